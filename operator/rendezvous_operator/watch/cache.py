"""The objects that the watches, lists and reads have shown, in the form that the core needs. Makes no decisions."""

import logging
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from rendezvous_api import names
from rendezvous_api.codec import DecodeError, decode
from rendezvous_api.meta import ObjectMeta, version_number
from rendezvous_api.participant import Participant
from rendezvous_api.rendezvous import Rendezvous
from rendezvous_operator.core import relevance
from rendezvous_operator.core.world import SeenParticipant, Target, World
from rendezvous_operator.kube.client import KINDS, Json
from rendezvous_operator.watch.entry import Entry
from rendezvous_operator.watch.pods import pod_from_object
from rendezvous_operator.watch.seen import (
    NOTHING_KNOWN,
    Asked,
    Gone,
    Key,
    Listed,
    Read,
    Reference,
    Seen,
    Shown,
    reference_of,
    slim,
    version_of,
)

logger = logging.getLogger(__name__)


Observer = Callable[[Key, Rendezvous | None], None]
"""Is called whenever a Rendezvous is seen, and with None when it is gone."""


class _Place(NamedTuple):
    """Where the newest version of a pod is kept."""

    key: Key | None
    """None: it does not have the label of a Rendezvous."""
    version: int


class Cache:
    """All objects of the kinds that the operator watches.

    Attributes:
        clock: seconds without outages (`OutageClock`); all times in the cache are by this clock.
        restored: how it was seen that etcd was restored from a snapshot, so that all that is known is of no use, and
            watches that go on from later versions show nothing; None: it was not.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._entries: dict[Key, Entry] = {}
        self._pods: dict[Reference, _Place] = {}
        self._listed: set[str] = set()
        self._asked: weakref.WeakSet[Asked] = weakref.WeakSet()
        self._newest = dict.fromkeys(KINDS, 0)
        self.restored: str | None = None
        self._observers: list[Observer] = []

    def observe(self, observer: Observer) -> None:
        """From now on call one more observer."""
        self._observers.append(observer)

    @property
    def complete(self) -> bool:
        """Whether every kind has been listed."""
        return self._listed.issuperset(KINDS)

    def keys(self) -> list[Key]:
        """Every Rendezvous of which any object is known."""
        return list(self._entries)

    def world(self, key: Key) -> World | None:
        """All that is seen of a Rendezvous; None: it does not exist."""
        entry = self._entries.get(key)
        if entry is None or entry.rendezvous is None:
            return None
        return World(
            rendezvous=entry.rendezvous,
            participants=dict(entry.participants),
            pods=dict(entry.pods),
            absent=frozenset(entry.absent),
            vanished=frozenset(entry.vanished),
            ended_at=dict(entry.ended_at),
            complete=self.complete,
        )

    def listed(self, kind: str) -> bool:
        """Whether that kind has been listed."""
        return kind in self._listed

    def orphans(self, key: Key) -> Mapping[str, SeenParticipant]:
        """Participants of a Rendezvous that does not exist, by name."""
        entry = self._entries.get(key)
        return {} if entry is None or entry.rendezvous is not None else dict(entry.participants)

    def asks(self, kind: str) -> Asked:
        """Note that objects of a kind are requested now, by a list, a read or a write; take the answer with it."""
        self._asked.add(asked := Asked(kind, self.clock(), self._newest[kind]))
        return asked

    def take(self, seen: Seen) -> set[Key]:
        """Note what was seen. Returns the keys of the Rendezvous that need a decision.

        A heartbeat without news gives none, so a thousand idle nodes cause no decisions.

        An object that does not fit its CRD is logged, and does not block the others. A participant of that kind is
        alive, see `SeenParticipant`; any other object is ignored.
        """
        match seen:
            case Shown():
                return self._shown(seen.kind, seen.item)
            case Gone():
                return self._gone(seen.kind, seen.item)
            case Listed():
                return self._listed_all(seen)
            case Read():
                return self._read(seen)

    def _shown(self, kind: str, item: Json) -> set[Key]:
        for asked in self._asked:
            if asked.kind == kind:
                asked.note_shown(reference_of(item))
        return self._object(kind, item)

    def _listed_all(self, listed: Listed) -> set[Key]:
        """What is not in the list is gone, unless a watch has shown it since the list was requested."""
        asked, kind = listed.asked, listed.asked.kind
        self._asked.discard(asked)
        if listed.version < asked.newest:
            self.restored = f"a list of every {kind} has version {listed.version}, but {asked.newest} was seen before"
            return set()
        items = [item for item in listed.items if reference_of(item) not in asked.gone]
        present = asked.shown.union(map(reference_of, items))
        touched: set[Key] = set()
        for key, entry in list(self._entries.items()):
            for name, uid in entry.known(kind):
                if (key.namespace, uid) not in present:
                    touched |= self._forget(key, kind, name, uid)
        for item in items:
            touched |= self._object(kind, item)
        if kind not in self._listed:
            self._listed.add(kind)
            touched |= set(self._entries)
        return touched

    def _object(self, kind: str, item: Json, *, read: Asked | None = None) -> set[Key]:
        self._newest[kind] = max(self._newest[kind], version_of(item))
        if kind == names.POD_KIND:
            return self._pod_seen(item)
        try:
            if kind == names.RENDEZVOUS_KIND:
                return self._rendezvous_seen(decode(Rendezvous, slim(item)))
            try:
                return self._participant_seen(decode(Participant, slim(item)), read)
            except DecodeError as error:
                return self._unknown_participant_seen(item, error, read)
        except DecodeError as error:
            logger.error("a %s is ignored: %s", kind, error)
            return set()

    def _gone(self, kind: str, item: Json) -> set[Key]:
        reference, name = reference_of(item), item["metadata"]["name"]
        namespace, uid = reference
        for asked in self._asked:
            if asked.kind == kind:
                asked.note_gone(reference)
        if kind == names.POD_KIND:
            place = self._pods.get(reference)
            # A label may be given back, so this may be older than what is known.
            key = place.key if place is not None and place.version <= version_of(item) else None
        elif kind == names.PARTICIPANT_KIND:
            key = Key(namespace, _rendezvous_name(item))
        else:
            key = Key(namespace, name)
        return self._forget(key, kind, name, uid) if key is not None else set()

    def _read(self, read: Read) -> set[Key]:
        target, item, entry = read.target, read.item, self._entries.get(read.key)
        self._asked.discard(read.asked)
        if entry is None:
            return set()
        if item is None or (target.uid and item["metadata"]["uid"] != target.uid):
            return self._absent(read, entry)
        if reference_of(item) in read.asked.gone:
            return set()  # while the answer was on its way
        known = entry.version(target)
        if reference_of(item) not in read.asked.shown and version_of(item) < known:
            self.restored = f"{target.kind} {target.name} has version {version_of(item)}, but {known} was seen before"
            return set()
        touched = self._object(target.kind, item, read=read.asked)
        if target.kind == names.POD_KIND and _pod_key(item) != read.key:
            return touched | self._unlabelled_pod_read(entry, read.key, item)
        if target.kind == names.PARTICIPANT_KIND and _rendezvous_name(item) != read.key.name:
            return touched | self._absent(read, entry)  # the name belongs to a node of another Rendezvous now
        return touched

    def _absent(self, read: Read, entry: Entry) -> set[Key]:
        target = read.target
        uid = target.uid or next((uid for name, uid in entry.known(target.kind) if name == target.name), "")
        if not target.uid and (read.key.namespace, uid) in read.asked.shown:
            return set()  # it was created, or created again, while the answer was on its way
        self._forget(read.key, target.kind, target.name, uid)
        entry.vanished.discard(target)
        if target.kind == names.PARTICIPANT_KIND and read.key not in read.asked.outdated:
            entry.absent.add(target)
        if target.kind == names.POD_KIND and entry.has_participant_of(uid):  # else it is of no interest any more
            entry.absent.add(target)
            entry.ended_at[uid] = self.clock()
        return {read.key}

    def _rendezvous_seen(self, rendezvous: Rendezvous) -> set[Key]:
        key = Key(rendezvous.metadata.namespace, rendezvous.metadata.name)
        entry = self._entries.setdefault(key, Entry())
        if entry.rendezvous is not None and _is_older(rendezvous, entry.rendezvous):
            return set()
        if _round_of(entry.rendezvous) != _round_of(rendezvous):
            self._another_round(key, entry)
        entry.rendezvous = rendezvous
        self._notify(key, rendezvous)
        # Only members are looked up in this set, so others are removed to keep it small.
        members = {member.name for member in rendezvous.status.participants}
        entry.absent = {target for target in entry.absent if target.kind == names.POD_KIND or target.name in members}
        return {key}

    def _another_round(self, key: Key, entry: Entry) -> None:
        """Participants come by another watch, which may be older than this round: none of them counts as read."""
        for asked in self._asked:
            asked.outdated.add(key)
        for seen in entry.participants.values():
            if seen.read_at is not None:
                entry.keep(replace(seen, read_at=None))
        entry.absent = {target for target in entry.absent if target.kind == names.POD_KIND}

    def _participant_seen(self, participant: Participant, read: Asked | None) -> set[Key]:
        key = Key(participant.metadata.namespace, participant.spec.rendezvous_name)
        entry = self._entries.setdefault(key, Entry())
        seen = entry.participants.get(participant.metadata.name)
        beats = seen is None or relevance.is_heartbeat(seen.object, participant)
        if self._hold(key, participant, read, beats=beats) and relevance.matters(
            seen, participant, entry.spec, self.clock()
        ):
            return {key}
        return set()

    def _unknown_participant_seen(self, item: Json, error: DecodeError, read: Asked | None) -> set[Key]:
        """A participant that does not fit its CRD: written by an agent of a later release, or by a person."""
        metadata = decode(ObjectMeta, slim(item)["metadata"])
        key = Key(metadata.namespace, _rendezvous_name(item))
        entry = self._entries.setdefault(key, Entry())
        seen = entry.participants.get(metadata.name)
        same = seen is not None and seen.object.metadata.uid == metadata.uid
        participant = replace(seen.object if seen is not None and same else NOTHING_KNOWN, metadata=metadata)
        # Who has written it is not known. If it was another client, the agent counts as alive for one interval more.
        changed = seen is None or seen.object.metadata.resource_version != metadata.resource_version
        if not self._hold(key, participant, read, beats=changed, understood=False):
            return set()
        if seen is None or seen.understood:
            logger.error("%s: participant %s counts as alive, but cannot be understood: %s", key, metadata.name, error)
            return {key}
        return {key} if not same or (changed and relevance.ends_a_silence(seen, entry.spec, self.clock())) else set()

    def _hold(
        self, key: Key, participant: Participant, read: Asked | None, *, beats: bool, understood: bool = True
    ) -> bool:
        """Keep the participant, unless a newer version is known.

        Args:
            key: of its Rendezvous.
            participant: as it was seen.
            read: the request that it answers; None: a watch has shown it.
            beats: whether its agent has just sent a heartbeat.
            understood: see `SeenParticipant`.

        Returns:
            Whether it is kept.
        """
        entry, name = self._entries[key], participant.metadata.name
        seen = entry.participants.get(name)
        read_at = seen.read_at if seen is not None else None
        if read is not None and key not in read.outdated:
            read_at = min(read.at, self.clock())
        if seen is not None and _is_older(participant, seen.object):
            # A watch has shown a newer version while the answer was on its way. It counts as read all the same.
            entry.keep(replace(seen, read_at=read_at))
            return False
        entry.absent.discard(Target(names.PARTICIPANT_KIND, name))
        beat_at = self.clock() if seen is None or beats else seen.beat_at
        entry.keep(SeenParticipant(participant, beat_at, read_at, understood))
        return True

    def _pod_seen(self, item: Json) -> set[Key]:
        key, reference, version = _pod_key(item), reference_of(item), version_of(item)
        before = self._pods.get(reference)
        if before is not None and version < before.version:
            return set()
        pod, touched = pod_from_object(item), set()
        if before is not None and before.key is not None and before.key != key:
            touched |= self._forget(before.key, names.POD_KIND, pod.name, pod.uid)
        if key is None:
            return touched
        entry = self._entries.setdefault(key, Entry())
        self._pods[reference] = _Place(key, version)
        if entry.keep_pod(pod, self.clock()):
            touched.add(key)
        entry.vanished.discard(Target(names.POD_KIND, pod.name, pod.uid))
        return touched

    def _unlabelled_pod_read(self, entry: Entry, key: Key, item: Json) -> set[Key]:
        """A pod that was read because a participant names it, and that is not known by its label."""
        reference, version = reference_of(item), version_of(item)
        place = self._pods.get(reference)
        is_needed = entry.has_participant_of(reference[1])
        if is_needed and (place is None or place.version <= version):
            pod = replace(pod_from_object(item), known=False)
            entry.keep_pod(pod, self.clock())
            entry.vanished.discard(Target(names.POD_KIND, pod.name, pod.uid))
            self._pods.setdefault(reference, _Place(None, version))
        return {key}

    def _forget(self, key: Key, kind: str, name: str, uid: str) -> set[Key]:
        entry = self._entries.get(key)
        if entry is None:
            return set()
        if kind == names.RENDEZVOUS_KIND and entry.rendezvous is not None and entry.rendezvous.metadata.uid == uid:
            entry.rendezvous = None
            self._notify(key, None)
        elif kind == names.PARTICIPANT_KIND and name in entry.participants:
            if entry.participants[name].object.metadata.uid != uid:
                return set()
            self._participant_gone(key, entry, name)
        elif kind == names.POD_KIND:
            entry.drop_pod(uid)
            self._pods.pop((key.namespace, uid), None)
            if entry.has_participant_of(uid):
                entry.vanished.add(Target(names.POD_KIND, name, uid))
        if entry.empty:
            del self._entries[key]
        return {key}

    def _participant_gone(self, key: Key, entry: Entry, name: str) -> None:
        # It is not `absent`: if this watch is late, there may be a new one of the name, which is a member already.
        spec = entry.drop(name).object.spec
        pod_uid = spec.pod_uid
        if pod_uid is not None and not entry.has_participant_of(pod_uid):
            target = Target(names.POD_KIND, spec.pod_name or "", pod_uid)
            entry.absent.discard(target)
            entry.vanished.discard(target)
            pod = entry.pods.get(pod_uid)
            if pod is None or not pod.known:
                entry.drop_pod(pod_uid)
            if pod is not None and not pod.known:
                place = self._pods.get((key.namespace, pod.uid))
                if place is not None and place.key is None:
                    del self._pods[key.namespace, pod.uid]

    def _notify(self, key: Key, rendezvous: Rendezvous | None) -> None:
        for observer in self._observers:
            observer(key, rendezvous)


def _rendezvous_name(item: Json) -> str:
    """The Rendezvous of a participant of which nothing else needs to be known."""
    spec = item.get("spec")
    name = spec.get("rendezvousName") if isinstance(spec, dict) else None
    return name if isinstance(name, str) else item["metadata"].get("labels", {}).get(names.LABEL_RENDEZVOUS, "")


def _round_of(rendezvous: Rendezvous | None) -> tuple[str, int] | None:
    return (rendezvous.metadata.uid, rendezvous.status.round) if rendezvous is not None else None


def _pod_key(item: Json) -> Key | None:
    metadata = item["metadata"]
    name = metadata.get("labels", {}).get(names.LABEL_RENDEZVOUS)
    return Key(metadata.get("namespace", ""), name) if name else None


def _is_older(new: Rendezvous | Participant, known: Rendezvous | Participant) -> bool:
    """Whether an object arrives late. Versions of a resource are ordered numbers, even over deletions (KEP-5504)."""
    return version_number(new.metadata.resource_version) < version_number(known.metadata.resource_version)
