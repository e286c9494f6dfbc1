"""Whether a journal keeps the promises of the project: a pure function from a journal to violations."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tests.support.round_rules import broken

from chaos.causes import causes
from chaos.journal import Event, Journal, Step, Why
from rendezvous_api.codec import decode
from rendezvous_api.reasons import FAILURES, RoundEndReason
from rendezvous_api.rendezvous import Rendezvous

BOUND_SECONDS = 90.0
"""Within which all train again once all faults are healed, on a machine that gives each process what it asks for."""
_KILLED, _TERMINATED = -9, -15


@dataclass(frozen=True)
class Violation:
    """A promise that was broken."""

    rule: str
    at: float
    message: str


@dataclass(frozen=True)
class Together:
    """An all-reduce that all members of a group have made."""

    group: tuple[int, str]
    nodes: frozenset[str]
    entered: float
    """When the first of them began it."""
    at: float
    """When the last of them had ended it."""


@dataclass(frozen=True)
class RoundEnd:
    """A round that was ended, as the observer saw it."""

    at: float
    round: int
    reason: str
    message: str


def check(journal: Journal) -> list[Violation]:
    """All violations, in the order of time."""
    found = [violation for rule in RULES for violation in rule(journal)]
    return sorted(found, key=lambda violation: violation.at)


# ---- what the journal says


def together(steps: Iterable[Step]) -> list[Together]:
    """The all-reduces that are known to be complete. One of which a killed worker has said nothing is not."""
    by_number: dict[tuple[tuple[int, str], int], list[Step]] = defaultdict(list)
    for step in steps:
        if step.step:
            by_number[step.group, step.step].append(step)
    found = [
        Together(
            group,
            frozenset(step.node for step in made),
            min(step.entered for step in made),
            max(step.at for step in made),
        )
        for (group, _), made in by_number.items()
        if len({step.rank for step in made}) == made[0].nodes
    ]
    return sorted(found, key=lambda one: one.at)


def trains(steps: Iterable[Step], nodes: Iterable[str], size: int, since: float) -> float | None:
    """When that number of these nodes, and no other one, first made an all-reduce that was begun after that moment."""
    wanted = frozenset(nodes)
    recent = together(step for step in steps if step.at > since)
    moments = [one.at for one in recent if one.entered > since and len(one.nodes) == size and one.nodes <= wanted]
    return min(moments, default=None)


def bound(seconds: float, slowness: Iterable[tuple[float, float]], since: float) -> float:
    """A bound on a machine that lets processes wait: as much longer as it is slower since that moment."""
    factors = [factor for at, factor in slowness if at >= since]
    return seconds * (max(1.0, sum(factors) / len(factors)) if factors else 1.0)


def versions(journal: Journal) -> list[tuple[float, Rendezvous]]:
    """All versions of the Rendezvous, and when they were seen."""
    return [(event.at, decode(Rendezvous, event["object"])) for event in journal.all("object")]


def round_ends(journal: Journal) -> list[RoundEnd]:
    """Each round that was ended, once."""
    seen: set[tuple[int, str, str]] = set()
    found = []
    for at, rendezvous in versions(journal):
        for record in rendezvous.status.history:
            if record.reason is not None and (key := (record.round, record.formed, record.reason)) not in seen:
                seen.add(key)
                found.append(RoundEnd(at, record.round, record.reason, record.message or ""))
    return found


# ---- the rules


def no_split(journal: Journal) -> Iterator[Violation]:
    """No group makes a step after a newer one has made one."""
    newest: tuple[int, str] | None = None
    begun: dict[tuple[int, str], float] = {}
    for one in together(journal.steps):
        if one.group not in begun:
            begun[one.group] = one.at
            newest = one.group
        elif one.group != newest and newest is not None and one.entered > begun[newest]:
            yield Violation(
                "no split group",
                one.at,
                f"{sorted(one.nodes)} step in round {one.group[0]} (store {one.group[1]}) "
                f"after round {newest[0]} (store {newest[1]}) has stepped",
            )


def as_published(journal: Journal) -> Iterator[Violation]:
    """Each worker has the rank, the size and the store of a round that was published."""
    published: dict[tuple[int, str], tuple[int, dict[str, int]]] = {}
    for _, rendezvous in versions(journal):
        status = rendezvous.status
        if status.store is not None:
            ranks = {member.name.rpartition(".")[2]: member.rank for member in status.participants}
            published[status.round, f"{status.store.host}:{status.store.port}"] = status.nodes, ranks
    gaps = [event.at for event in journal.all("gap")]
    for step in journal.steps:
        if step.step:
            continue
        known = published.get(step.group)
        if known is None:
            if not any(abs(gap - step.at) < _GAP_SECONDS for gap in gaps):
                where = f"round {step.round} with the store {step.master}"
                yield Violation("ranks as published", step.at, f"{step.node} runs {where}, which was never published")
        elif (step.nodes, step.rank) != (known[0], known[1].get(step.node)):
            yield Violation(
                "ranks as published",
                step.at,
                f"{step.node} has rank {step.rank} of {step.nodes} in round {step.round}, published: {known}",
            )


_GAP_SECONDS = 30.0
"""A round that was published while nobody could watch may be unknown to the observer."""


def true_objects(journal: Journal) -> Iterator[Violation]:
    """Rounds go forward, never change, have a size of the spec and new attempts of members; failures are counted."""
    resets = [event.at for event in journal.all("restored")]
    before: tuple[float, Rendezvous] | None = None
    for at, rendezvous in versions(journal):
        recreated = before is not None and before[1].metadata.uid != rendezvous.metadata.uid
        if before is not None and (recreated or any(before[0] < reset <= at for reset in resets)):
            before = None
        for message in _wrong(before[1] if before is not None else None, rendezvous):
            yield Violation("rounds as promised", at, message)
        before = at, rendezvous


def _wrong(before: Rendezvous | None, after: Rendezvous) -> Iterator[str]:
    old, new = before.status if before is not None else None, after.status
    yield from broken(after.spec.min_nodes, after.spec.max_nodes, old, new)
    if old is not None and new.round == old.round + 1 and new.run_id == old.run_id:
        reason = next((record.reason for record in new.history if record.round == old.round), None)
        # A failure that is the fault of nodes that are held out for it does not count.
        excused = reason in FAILURES and not {*new.held_out} <= {*old.held_out}
        if new.restarts - old.restarts not in ({0, 1} if excused else {int(reason in FAILURES)}):
            yield f"restarts was {old.restarts} and is {new.restarts} after round {old.round} ended: {reason}"


def true_reasons(journal: Journal) -> Iterator[Violation]:
    """Each round is ended for a reason that one of the faults may have."""
    known = list(causes(journal))
    stopping = next((event.at for event in journal.all("stopping")), float("inf"))
    for end in round_ends(journal):
        if end.at >= stopping and end.reason == "RunSucceeded":
            continue
        if not any(cause.explains(end.at, end.reason, end.message) for cause in known):
            there = sorted({cause.name for cause in known if cause.begins <= end.at <= cause.ends})
            yield Violation(
                "rounds end for a true reason",
                end.at,
                f"round {end.round} ended: {end.reason}: {end.message}; faults of that time: {there or 'none'}",
            )


def no_needless_restart(journal: Journal) -> Iterator[Violation]:
    """No more rounds are ended than the faults between two times of calm may cost."""
    known = list(causes(journal))
    ends = [end for end in round_ends(journal) if end.reason in set(RoundEndReason)]
    moments = [float("-inf"), *(event.at for event in journal.all("recovered")), float("inf")]
    for begins, over in itertools.pairwise(moments):
        between = [end for end in ends if begins < end.at <= over]
        there = [cause for cause in known if cause.ends > begins and cause.begins <= over]
        allowed = sum(cause.effect.rounds for cause in there)
        if len(between) > allowed:
            yield Violation(
                "no needless restart",
                between[-1].at,
                f"{len(between)} rounds ended ({[(end.round, end.reason) for end in between]}), and "
                f"{allowed} are explained by {[cause.name for cause in there]}",
            )


def trains_again(journal: Journal) -> Iterator[Violation]:
    """All that may train do so within the bound, once all faults are healed."""
    slowness = [(event.at, event["factor"]) for event in journal.all("slowness")]
    for calm, seconds in recoveries(journal):
        until = calm.at + (seconds if seconds is not None else float("inf"))
        most = bound(BOUND_SECONDS, [sample for sample in slowness if sample[0] <= until], calm.at)
        if seconds is None or seconds > most:
            took = "not at all" if seconds is None else f"after {seconds:.0f} s"
            yield Violation(
                "trains again",
                calm.at,
                f"{calm['size']} of {calm['nodes']} train {took}; the bound is {most:.0f} s",
            )


def recoveries(journal: Journal) -> list[tuple[Event, float | None]]:
    """Each time of calm, and the seconds until all train again; None: they did not."""
    found: list[tuple[Event, float | None]] = []
    for calm in journal.all("calm"):
        at = trains(journal.steps, calm["nodes"], calm["size"], calm.at)
        found.append((calm, None if at is None else at - calm.at))
    return found


def right_exit_codes(journal: Journal) -> Iterator[Violation]:
    """Agents end when they are ended, with the exit code of that end; so do operators."""
    for event in journal.all("exit"):
        wanted = _EXIT_CODES[Why(event["why"])]
        if event["code"] not in wanted:
            how = f"ended with exit code {event['code']}; {event['why'] or 'nothing has ended it'}: expected {wanted}"
            yield Violation("exit codes", event.at, f"{event['name']} {how}")
    for event in journal.all("not ended"):
        yield Violation("exit codes", event.at, f"{event['name']} has not ended after {event['seconds']:.0f} s")


_EXIT_CODES: dict[Why, tuple[int, ...]] = {
    Why.NOTHING: (),
    Why.KILLED: (_KILLED,),
    # Before its first round torch has no handler for the signal yet.
    Why.TERMINATED: (1, _TERMINATED),
    Why.SUCCEEDED: (0,),
    Why.ASKED: (0,),
}


def no_traceback(journal: Journal) -> Iterator[Violation]:
    """No operator logs an error that it does not know."""
    for event in journal.all("traceback"):
        yield Violation("no traceback", event.at, f"{event['name']}: {event['text']}")


Rule = Callable[[Journal], Iterator[Violation]]
RULES: tuple[Rule, ...] = (
    no_split,
    as_published,
    true_objects,
    true_reasons,
    no_needless_restart,
    trains_again,
    right_exit_codes,
    no_traceback,
)


def describe(rule: Rule) -> str:
    """What a rule says, for the report."""
    return (rule.__doc__ or "").strip()
