"""What the cache holds of one Rendezvous."""

from dataclasses import dataclass, field

from rendezvous_api import names
from rendezvous_api.meta import version_number
from rendezvous_api.participant import Participant
from rendezvous_api.rendezvous import Rendezvous
from rendezvous_api.rendezvous_spec import RendezvousSpec
from rendezvous_operator.core.world import Pod, SeenParticipant, Target
from rendezvous_operator.watch.pods import with_moments


@dataclass
class Entry:
    """All objects of one Rendezvous; the Rendezvous itself may be missing. The fields are those of `World`."""

    rendezvous: Rendezvous | None = None
    participants: dict[str, SeenParticipant] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    absent: set[Target] = field(default_factory=set)
    vanished: set[Target] = field(default_factory=set)
    ended_at: dict[str, float] = field(default_factory=dict)
    _of_pod: dict[str | None, set[str]] = field(default_factory=dict)
    """Names of the participants in each pod, by UID, so that thousands that go at once cost no more each than one."""

    def keep(self, seen: SeenParticipant) -> None:
        """Hold a participant, in the place of an earlier version of it."""
        name, pod_uid = seen.object.metadata.name, seen.object.spec.pod_uid
        before = self.participants.get(name)
        if before is not None and before.object.spec.pod_uid != pod_uid:
            self._leave_pod(name, before.object.spec.pod_uid)
        self._of_pod.setdefault(pod_uid, set()).add(name)
        self.participants[name] = seen

    def drop(self, name: str) -> SeenParticipant:
        """Hold that participant no more."""
        seen = self.participants.pop(name)
        self._leave_pod(name, seen.object.spec.pod_uid)
        return seen

    def keep_pod(self, pod: Pod, now: float) -> bool:
        """Hold a pod, in the place of an earlier version of it. Returns whether anything is different.

        Args:
            pod: as it is now.
            now: monotonic seconds; its ends that were not seen before have this moment.
        """
        before = self.pods.get(pod.uid)
        pod = with_moments(pod, before, now)
        if (pod.over or pod.ended) and (before is None or (before.phase, before.ended) != (pod.phase, pod.ended)):
            self.ended_at[pod.uid] = now
        self.pods[pod.uid] = pod
        return before != pod

    def drop_pod(self, uid: str) -> None:
        """Hold that pod no more."""
        self.pods.pop(uid, None)
        if not self.has_participant_of(uid):
            self.ended_at.pop(uid, None)

    def has_participant_of(self, pod_uid: str | None) -> bool:
        """Whether a participant in that pod is held; None: one in no pod."""
        return pod_uid in self._of_pod

    def _leave_pod(self, name: str, pod_uid: str | None) -> None:
        self._of_pod[pod_uid].discard(name)
        if not self._of_pod[pod_uid]:
            del self._of_pod[pod_uid]

    @property
    def empty(self) -> bool:
        """Whether it has no object."""
        return self.rendezvous is None and not self.participants and not self.pods

    @property
    def spec(self) -> RendezvousSpec | None:
        """Of the Rendezvous; None: it is missing."""
        return self.rendezvous.spec if self.rendezvous is not None else None

    def known(self, kind: str) -> list[tuple[str, str]]:
        """Name and UID of all objects of a kind that a list shows."""
        if kind == names.RENDEZVOUS_KIND:
            metadata = self.rendezvous.metadata if self.rendezvous is not None else None
            return [(metadata.name, metadata.uid)] if metadata is not None else []
        if kind == names.PARTICIPANT_KIND:
            return [(name, seen.object.metadata.uid) for name, seen in self.participants.items()]
        return [(pod.name, pod.uid) for pod in self.pods.values() if pod.known]

    def version(self, target: Target) -> int:
        """Of an object as it is known; 0: it is not, or it is a pod."""
        known: Rendezvous | Participant | None = self.rendezvous if target.kind == names.RENDEZVOUS_KIND else None
        if target.kind == names.PARTICIPANT_KIND and target.name in self.participants:
            known = self.participants[target.name].object
        return version_number(known.metadata.resource_version) if known is not None else 0
