"""What the watches have shown, as the core wants to see it. Holds no opinion: everything here was seen."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from rendezvous_api import names
from rendezvous_api.codec import DecodeError, decode
from rendezvous_api.participant import Participant
from rendezvous_api.reasons import FormationReason
from rendezvous_api.rendezvous import Rendezvous, RendezvousSpec, RendezvousStatus
from rendezvous_operator.cluster import KINDS, POD_KIND, Json
from rendezvous_operator.core.world import Pod, SeenParticipant, Target, World
from rendezvous_operator.pods import pod_from_object

logger = logging.getLogger(__name__)


class Key(NamedTuple):
    """One Rendezvous."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class RoundTimes:
    """When the present state of a Rendezvous began, in the clock's seconds; for metrics, nothing is decided on it."""

    round_since: float | None = None
    """When the current round was seen to be published; None: before this process looked."""
    forming_since: float | None = None
    """When a round was first seen to be in formation; None: none is."""
    formation_whole: bool = False
    """Whether its beginning was seen: it had not begun before this process looked."""


@dataclass
class _Entry:
    """What is seen around one Rendezvous; the Rendezvous itself may be missing."""

    rendezvous: Rendezvous | None = None
    times: RoundTimes = field(default_factory=RoundTimes)
    participants: dict[str, SeenParticipant] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    absent: set[Target] = field(default_factory=set)

    @property
    def empty(self) -> bool:
        return self.rendezvous is None and not self.participants and not self.pods


@dataclass
class _Meanwhile:
    """What has come while a list was made, by namespace and UID: it is newer than the list."""

    seen: set[tuple[str, str]] = field(default_factory=set)
    gone: set[tuple[str, str]] = field(default_factory=set)


class Cache:
    """All objects of the kinds that the operator watches.

    Every method that takes in an object returns the keys of the Rendezvous to decide on again. A heartbeat that says
    nothing new gives none: a thousand idle nodes cost no decisions.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries: dict[Key, _Entry] = {}
        self._pod_keys: dict[tuple[str, str], Key] = {}
        self._listed: set[str] = set()
        self._meanwhile: dict[str, _Meanwhile] = {}
        self._answering_since: float | None = None

    @property
    def complete(self) -> bool:
        """Whether every kind has been listed."""
        return self._listed.issuperset(KINDS)

    def keys(self) -> list[Key]:
        """Every Rendezvous of which anything is known."""
        return list(self._entries)

    def world(self, key: Key) -> World | None:
        """What is seen around a Rendezvous; None when there is no such Rendezvous."""
        entry = self._entries.get(key)
        if entry is None or entry.rendezvous is None:
            return None
        return World(
            rendezvous=entry.rendezvous,
            participants=dict(entry.participants),
            pods=dict(entry.pods),
            absent=frozenset(entry.absent),
            complete=self.complete,
            answering_since=self._answering_since if self._answering_since is not None else self._clock(),
        )

    def listed(self, kind: str) -> bool:
        """Whether that kind has been listed."""
        return kind in self._listed

    def times(self, key: Key) -> RoundTimes:
        """Since when a Rendezvous has been as it is."""
        entry = self._entries.get(key)
        return entry.times if entry is not None else RoundTimes()

    def orphans(self, key: Key) -> Mapping[str, SeenParticipant]:
        """Participants of a Rendezvous that is not there."""
        entry = self._entries.get(key)
        return {} if entry is None or entry.rendezvous is not None else dict(entry.participants)

    def api_server_answered(self, answered: bool) -> None:
        """Note whether the API server answers. What it could not pass on does not count as silence of an agent."""
        if not answered:
            self._answering_since = None
        elif self._answering_since is None:
            self._answering_since = self._clock()

    def list_begins(self, kind: str) -> None:
        """All objects of a kind are about to be asked for; `list_seen` has the answer."""
        self._meanwhile[kind] = _Meanwhile()

    def list_seen(self, kind: str, objects: Iterable[Json]) -> set[Key]:
        """Take in a complete list of a kind: what is not in it is gone, unless it has come meanwhile."""
        meanwhile = self._meanwhile.pop(kind, _Meanwhile())
        objects = [item for item in objects if _reference(item) not in meanwhile.gone]
        present = meanwhile.seen.union(map(_reference, objects))
        touched: set[Key] = set()
        for key, entry in list(self._entries.items()):
            for name, uid in self._known(entry, kind):
                if (key.namespace, uid) not in present:
                    touched |= self._forget(key, kind, name, uid)
        for item in objects:
            touched |= self.object_shown(kind, item)
        if kind not in self._listed:
            self._listed.add(kind)
            touched |= set(self._entries)
        return touched

    def object_shown(self, kind: str, item: Json) -> set[Key]:
        """Take in one object of a list or a watch; one that cannot be understood must not keep others from theirs."""
        try:
            return self.object_seen(kind, item)
        except DecodeError as error:
            logger.error("a %s is ignored: %s", kind, error)
            return set()

    def object_seen(self, kind: str, item: Json, *, read: bool = False) -> set[Key]:
        """Take in one object. ``read``: it came as the answer to a read, not from a watch.

        Raises:
            DecodeError: the object is not of the shape that its CRD promises.
        """
        if kind in self._meanwhile:
            self._meanwhile[kind].gone.discard(_reference(item))
            self._meanwhile[kind].seen.add(_reference(item))
        if kind == names.RENDEZVOUS_KIND:
            return self._rendezvous_seen(decode(Rendezvous, item))
        if kind == names.PARTICIPANT_KIND:
            return self._participant_seen(decode(Participant, item), read=read)
        return self._pod_seen(item)

    def object_gone(self, kind: str, item: Json) -> set[Key]:
        """Take in the deletion of an object, as it last was."""
        metadata = item["metadata"]
        namespace, name, uid = metadata.get("namespace", ""), metadata["name"], metadata["uid"]
        if kind in self._meanwhile:
            self._meanwhile[kind].seen.discard(_reference(item))
            self._meanwhile[kind].gone.add(_reference(item))
        if kind == POD_KIND:
            key = self._pod_keys.get((namespace, uid))
        elif kind == names.PARTICIPANT_KIND:
            key = Key(namespace, item.get("spec", {}).get("rendezvousName", ""))
        else:
            key = Key(namespace, name)
        return self._forget(key, kind, name, uid) if key is not None else set()

    def target_read(self, key: Key, target: Target, item: Json | None) -> None:
        """Take in the answer to a read that a decision asked for; None: there is no such object."""
        entry = self._entries.get(key)
        if entry is None:
            return
        same = item is not None and (not target.uid or item["metadata"]["uid"] == target.uid)
        if item is None or not same:
            uid = target.uid or next((uid for name, uid in self._known(entry, target.kind) if name == target.name), "")
            self._forget(key, target.kind, target.name, uid)
            entry.absent.add(target)
        elif target.kind == POD_KIND:
            # Read only because a participant names it; whether it is known is said by its label.
            known = _pod_key(item) == key
            entry.pods[target.uid] = replace(pod_from_object(item), known=known)
        else:
            self.object_seen(target.kind, item, read=True)

    def _rendezvous_seen(self, rendezvous: Rendezvous) -> set[Key]:
        key = Key(rendezvous.metadata.namespace, rendezvous.metadata.name)
        entry = self._entries.setdefault(key, _Entry())
        if entry.rendezvous is not None and _is_older(rendezvous, entry.rendezvous):
            return set()
        entry.times = _times(entry.rendezvous, entry.times, rendezvous, self._clock())
        entry.rendezvous = rendezvous
        # Only members are ever looked up in here, so that the set does not grow with all who have been.
        members = {member.name for member in rendezvous.status.participants}
        entry.absent = {target for target in entry.absent if target.kind == POD_KIND or target.name in members}
        return {key}

    def _participant_seen(self, participant: Participant, *, read: bool) -> set[Key]:
        metadata = participant.metadata
        key = Key(metadata.namespace, participant.spec.rendezvous_name)
        entry = self._entries.setdefault(key, _Entry())
        seen = entry.participants.get(metadata.name)
        now = self._clock()
        if seen is not None and _is_older(participant, seen.object):
            return set()
        entry.absent.discard(Target(names.PARTICIPANT_KIND, metadata.name))
        heard = seen is None or _beat(participant) != _beat(seen.object)
        heard_at = now if seen is None or heard else seen.heard_at
        read_at = now if read else (seen.read_at if seen is not None else None)
        entry.participants[metadata.name] = SeenParticipant(participant, heard_at, read_at)
        if seen is not None and _says_the_same(participant, seen.object):
            # Whoever was silent for long may have been called so.
            return {key} if heard and now - seen.heard_at >= self._keep_alive_seconds(entry) else set()
        return {key}

    def _pod_seen(self, item: Json) -> set[Key]:
        key = _pod_key(item)
        pod = pod_from_object(item)
        reference = _reference(item)
        touched = set()
        before = self._pod_keys.get(reference)
        if before is not None and before != key:
            touched |= self._forget(before, POD_KIND, pod.name, pod.uid, gone=False)
        if key is None:
            return touched
        entry = self._entries.setdefault(key, _Entry())
        self._pod_keys[reference] = key
        if entry.pods.get(pod.uid) != pod:
            entry.pods[pod.uid] = pod
            touched.add(key)
        return touched

    def _forget(self, key: Key, kind: str, name: str, uid: str, *, gone: bool = True) -> set[Key]:
        entry = self._entries.get(key)
        if entry is None:
            return set()
        if kind == names.RENDEZVOUS_KIND and entry.rendezvous is not None and entry.rendezvous.metadata.uid == uid:
            entry.rendezvous = None
            entry.times = RoundTimes()
        elif kind == names.PARTICIPANT_KIND and name in entry.participants:
            if entry.participants[name].object.metadata.uid != uid:
                return set()
            self._participant_gone(entry, name)
        elif kind == POD_KIND:
            entry.pods.pop(uid, None)
            self._pod_keys.pop((key.namespace, uid), None)
            if gone and any(seen.object.spec.pod_uid == uid for seen in entry.participants.values()):
                entry.absent.add(Target(POD_KIND, name, uid))
        if entry.empty:
            del self._entries[key]
        return {key}

    def _participant_gone(self, entry: _Entry, name: str) -> None:
        pod_uid = entry.participants.pop(name).object.spec.pod_uid
        entry.absent.add(Target(names.PARTICIPANT_KIND, name))
        if not any(seen.object.spec.pod_uid == pod_uid for seen in entry.participants.values()):
            entry.absent = {target for target in entry.absent if target.uid != pod_uid or not pod_uid}
            pod = entry.pods.get(pod_uid or "")
            if pod is not None and not pod.known:
                del entry.pods[pod.uid]

    def _known(self, entry: _Entry, kind: str) -> list[tuple[str, str]]:
        """Name and UID of all objects of a kind in an entry that a list would show."""
        if kind == names.RENDEZVOUS_KIND:
            metadata = entry.rendezvous.metadata if entry.rendezvous is not None else None
            return [(metadata.name, metadata.uid)] if metadata is not None else []
        if kind == names.PARTICIPANT_KIND:
            return [(name, seen.object.metadata.uid) for name, seen in entry.participants.items()]
        return [(pod.name, pod.uid) for pod in entry.pods.values() if pod.known]

    def _keep_alive_seconds(self, entry: _Entry) -> int:
        if entry.rendezvous is None:
            return RendezvousSpec(1, 1).keep_alive_seconds
        return entry.rendezvous.spec.keep_alive_seconds


def _times(known: Rendezvous | None, times: RoundTimes, new: Rendezvous, now: float) -> RoundTimes:
    if known is not None and known.metadata.uid != new.metadata.uid:
        known, times = None, RoundTimes()
    watched = known is not None
    published = known is not None and new.status.round != known.status.round
    since, whole = times.forming_since, times.formation_whole
    if not is_forming(new.status):
        since, whole = None, False
    elif since is None or published:
        since, whole = now, watched
    return RoundTimes(now if published else times.round_since, since, whole)


def is_forming(status: RendezvousStatus) -> bool:
    """Whether a next round is waited for; newcomers that are gathered while training goes on are not meant."""
    return status.formation is not None and status.formation.reason is not FormationReason.GATHERING


def _reference(item: Json) -> tuple[str, str]:
    """Namespace and UID."""
    return (item["metadata"].get("namespace", ""), item["metadata"]["uid"])


def _pod_key(item: Json) -> Key | None:
    metadata = item["metadata"]
    name = metadata.get("labels", {}).get(names.LABEL_RENDEZVOUS)
    return Key(metadata.get("namespace", ""), name) if name else None


def _is_older(new: Rendezvous | Participant, known: Rendezvous | Participant) -> bool:
    """Whether an object comes late. Versions of one resource are ordered numbers (KEP-5504), over deletions, too."""
    return int(new.metadata.resource_version or 0) < int(known.metadata.resource_version or 0)


def _beat(participant: Participant) -> tuple[Any, ...]:
    spec, status = participant.spec, participant.status
    return (participant.metadata.uid, spec.incarnation, spec.attempt, spec.state, status.heartbeat_time)


def _says_the_same(new: Participant, known: Participant) -> bool:
    """Whether nothing but the time of the heartbeat differs."""
    return (
        new.metadata.uid == known.metadata.uid
        and new.spec == known.spec
        and replace(new.status, heartbeat_time=None) == replace(known.status, heartbeat_time=None)
    )
