"""The former core and this one decide on the same worlds; what differs is named, or is a defect of this one."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from tests.unit.former_core import decide as former
from tests.unit.former_core import world as former_world

from rendezvous_api import names
from rendezvous_api.reasons import RoundEndReason
from rendezvous_api.rendezvous import Missing, RendezvousStatus
from rendezvous_operator.core.decide import decide
from rendezvous_operator.core.timers import Fact, Timer
from rendezvous_operator.core.world import Decision, Evidence, Memory, Now, World


class Differences:
    """Counts how often each named difference was found. `watch` raises an AssertionError at any other one."""

    def __init__(self, now: Now) -> None:
        self.now = now
        self.decisions = 0
        self.found: Counter[str] = Counter()

    def watch(self, world: World, memory: Memory, answer: Decision | Evidence) -> None:
        """Compare one answer with that of the former core."""
        self.decisions += 1
        before = former.decide(self.now, world, _former_memory(memory))
        for name in _differences(world, memory, before, answer):
            self.found[name] += 1


def _differences(
    world: World, memory: Memory, before: former_world.Decision, after: Decision | Evidence
) -> Iterator[str]:
    if before.confirm or isinstance(after, Evidence):
        yield from _reads(world, memory, before, after)
        return
    if _cannot_grow(world) and _comparable(before.status) != _comparable(after.status):
        yield "newcomers end a round although minNodes are not there for another one"
        return
    if _is_evicted_and_fails(world) and _comparable(before.status) != _comparable(after.status):
        assert any(RoundEndReason.MEMBER_EVICTED in event.message for event in after.events)
        yield "the eviction of a member is the failure of its agent"
        return
    if _has_checked_in(world, memory) and _comparable(before.status) != _comparable(after.status):
        assert {member.name for member in before.status.participants} == {
            member.name for member in after.status.participants
        }
        yield "a host loses rank 0 for a failed check-in from before a good one"
        return
    _check_statuses(before, after)
    yield from _deletions(world, before, after)
    yield from _timers(before, after)


def _reads(world: World, memory: Memory, before: former_world.Decision, after: Decision | Evidence) -> Iterator[str]:
    targets = after.targets if isinstance(after, Evidence) else frozenset()
    if before.confirm == targets:
        return
    for target in targets - before.confirm:
        assert target.kind == "Pod", f"read only now: {target}"
        yield "a pod is read although this turn would close the run"
    for target in before.confirm - targets:
        if target.kind == "Pod":
            yield "a pod is read in the next turn if this one makes it matter"
        else:
            yield "reads for deletions hold up the decision"


def _check_statuses(before: former_world.Decision, after: Decision) -> None:
    old, new = _comparable(before.status), _comparable(after.status)
    assert old == new, f"\n{_only(old, new)}\n{_only(new, old)}"
    assert before.lost.keys() == after.lost.keys()
    for name, reason in after.lost.items():
        assert before.lost[name] is reason or reason is RoundEndReason.MEMBER_EVICTED
    assert [event.reason for event in before.events] == [event.reason for event in after.events]


def _deletions(world: World, before: former_world.Decision, after: Decision) -> Iterator[str]:
    old = {(deletion.kind, deletion.name) for deletion in before.deletions}
    new = {(deletion.kind, deletion.name) for deletion in after.deletions}
    members = {member.name for member in world.rendezvous.status.participants}
    may_run = bool(world.rendezvous.status.history) and world.rendezvous.status.history[-1].ended is None
    for kind, name in old - new:
        if kind == names.PARTICIPANT_KIND and (Timer.ALL_SILENT, None) in after.memory.since:
            yield "participants are deleted while all are silent"
        elif kind == names.PARTICIPANT_KIND and after.memory.grace_from > world.participants[name].heard_at:
            yield "participants are deleted as soon as the first of all that were silent is heard"
        elif kind == names.PARTICIPANT_KIND:
            assert may_run, f"{name} is not deleted"
            assert name in members, f"{name} is not deleted"
            yield "members of a round that somebody may still run are deleted"
        else:
            raise AssertionError(f"{kind} {name} is not deleted")
    assert new <= old, f"deleted only now: {new - old}"


def _timers(before: former_world.Decision, after: Decision) -> Iterator[str]:
    old, new = before.memory.since, _former_facts(after.memory)
    for fact, began in old.items():
        if fact in new:
            assert new[fact] == began, f"{fact} has another age: {began}, {new[fact]}"
        else:
            assert began >= before.memory.grace_from, fact
            yield f"{fact[0]}: begins with the turn that decides it, not with the next one"
    for fact in new.keys() - old.keys():
        yield f"{fact[0]}: is forgotten while no rule asks"
    assert before.memory.grace_from == after.memory.grace_from


def _is_evicted_and_fails(world: World) -> bool:
    """Whether a member has to go, and more speaks against it than that."""
    for member in world.rendezvous.status.participants:
        seen = world.participants.get(member.name)
        pod = world.pods.get(seen.object.spec.pod_uid or "") if seen is not None else None
        if pod is not None and pod.leaving is not None:
            return True
    return False


def _has_checked_in(world: World, memory: Memory) -> bool:
    """Whether check-ins failed before, and all have checked in since."""
    history = world.rendezvous.status.history
    return memory.failed_check_ins is not None and bool(history) and history[-1].checked_in is not None


def _cannot_grow(world: World) -> bool:
    """Whether the user has raised minNodes over the size of the running round."""
    return 0 < world.rendezvous.status.nodes < world.rendezvous.spec.min_nodes


def _comparable(status: RendezvousStatus) -> RendezvousStatus:
    """Without words, and without what the former core did not write."""
    formation = status.formation
    return replace(
        status,
        formation=None if formation is None else replace(formation, message="", missing=_names(formation.missing)),
        conditions=tuple(replace(condition, message="") for condition in status.conditions),
        history=tuple(
            replace(record, formed="", checked_in=None, last_heard=None, asked=None, ended=None, message=None)
            for record in status.history
        ),
        refused=tuple(replace(refusal, message="") for refusal in status.refused),
    )


def _names(missing: tuple[Missing, ...]) -> tuple[Missing, ...]:
    return tuple(replace(node, message="") for node in missing)


def _only(status: RendezvousStatus, other: RendezvousStatus) -> str:
    return ", ".join(f"{name}={value}" for name, value in vars(status).items() if value != getattr(other, name))


def _former_memory(memory: Memory) -> former_world.Memory:
    failed = memory.failed_check_ins
    return former_world.Memory(
        _former_facts(memory),
        memory.grace_from,
        None if failed is None else former_world.FailedCheckIns(failed.host, failed.count, 0),
    )


def _former_facts(memory: Memory) -> dict[former_world.Fact, float]:
    return {found: began for fact, began in memory.since.items() if (found := _former_fact(fact)) is not None}


def _former_fact(fact: Fact) -> former_world.Fact | None:
    timer, key = fact
    if timer in (Timer.ALL_SILENT, Timer.EMPTY):
        return (timer.value,)
    if isinstance(key, int):
        if timer is Timer.CHECKED_IN:
            return None
        return (timer.value, str(key) if timer is Timer.ASKED else key)
    if isinstance(key, frozenset):
        return (timer.value, ",".join(sorted(key)))
    if isinstance(key, tuple):
        name, *attempt = key
        return ("claims" if timer is Timer.CLAIMED else timer.value, name, "/".join(str(part) for part in attempt))
    return (timer.value, str(key or ""))


def compared(now: Now, world: World, memory: Memory) -> Differences:
    """The differences of one decision."""
    differences = Differences(now)
    differences.watch(world, memory, decide(now, world, memory))
    return differences
