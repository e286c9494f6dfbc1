"""What the cache holds of one Rendezvous."""

from dataclasses import dataclass, field

from rendezvous_api import names
from rendezvous_api.meta import version_number
from rendezvous_api.participant import Participant
from rendezvous_api.rendezvous import Rendezvous, RendezvousSpec
from rendezvous_operator.core.world import Pod, SeenParticipant, Target


@dataclass
class Entry:
    """All objects of one Rendezvous; the Rendezvous itself may be missing. The fields are those of `World`."""

    rendezvous: Rendezvous | None = None
    participants: dict[str, SeenParticipant] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    absent: set[Target] = field(default_factory=set)
    vanished: set[Target] = field(default_factory=set)
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
