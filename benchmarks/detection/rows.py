"""The rows of the table: what is done to a group of three, and what must follow. All times are seconds."""

import os
import signal
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from benchmarks.detection.judge import next_round, split, steps, stepped_on, told
from benchmarks.detection.small import Group, NotSeenError
from rendezvous_api import names
from rendezvous_api.reasons import ConditionReason, RoundEndReason

_LIMIT_SECONDS = 180.0
"""After a fault; what has not been seen then is missed."""
_BEATS = 1.0
_PAUSE_SECONDS, _RUN_SECONDS, _PAUSES = 3.0, 2.0, 12
PATH_SECONDS, AWAY_SECONDS = 60.0, 60.0


@dataclass
class Outcome:
    """What has followed in one run."""

    told: float | None = None
    """From the fault until the agents of all others knew that the round has ended."""
    new_round: float | None = None
    """From the fault until the workers of all others ran in a new round."""
    missed: list[str] = field(default_factory=list)
    """What was not as it must be."""
    more: dict[str, float | int | str | None] = field(default_factory=dict)
    """What else was seen."""


def killed(group: Group, *, rank_0: bool = False) -> Outcome:
    """SIGKILL to an agent and its workers."""
    node = group.rank_0 if rank_0 else group.others[0]
    return _lost(group, group.kill(node), {node})


def power_cut(group: Group, *, rank_0: bool = False) -> Outcome:
    """The machines of two members, or that of rank 0, lose their power."""
    nodes = [group.rank_0] if rank_0 else group.others
    return _lost(group, group.cut_power(*nodes), set(nodes))


def stopped(group: Group, *, rank_0: bool = False) -> Outcome:
    """SIGSTOP to an agent and its workers, until the others train again; then it must come back."""
    node = group.rank_0 if rank_0 else group.others[0]
    at = time.monotonic()
    group.agents[node].freeze()
    found = _lost(group, at, {node}, but={node})
    woken_at = time.monotonic()
    group.agents[node].thaw()
    if found.new_round is None:
        return found
    back = group.until(f"{node} in a round with the others", lambda: _round(group, group.machines, 1), _LIMIT_SECONDS)
    late = stepped_on(group.records(), {node}, group.round, woken_at)
    found.more |= {"back": back[1] - woken_at, "stepped on after waking": late}
    found.missed += split(group.records(), {node})
    return found


def pod_lost(group: Group) -> Outcome:
    """An agent and its workers are killed, and its labelled pod has failed; nobody makes another one."""
    node = group.others[0]
    at = group.kill(node)
    terminated = {"exitCode": 137, "reason": "Error", "containerID": f"containerd://{node}"}
    container = {"name": "torchrun", "image": "none", "imageID": "", "ready": False, "restartCount": 0}
    statuses = [{**container, "state": {"terminated": terminated}}]
    group.host.cluster.write_pod_status(group.pod(node), phase="Failed", containerStatuses=statuses)
    return _lost(group, at, {node})


def path_of_rank_0(group: Group) -> Outcome:
    """The path of rank 0 to all others breaks for good; later a worker of another one fails."""
    assert group.host.filter is not None
    found = Outcome()
    group.host.filter.drop(group.machines[group.rank_0].port)
    _stays(group, found, PATH_SECONDS, named=group.rank_0)
    failing = group.others[0]
    at = group.crash(failing)
    others = set(group.machines) - {failing}
    known = group.until(
        "the others to be told", lambda: told(group.records(), others, group.round, at), _LIMIT_SECONDS
    )
    first = group.until("another round", lambda: _published(group), _LIMIT_SECONDS)
    found.told = known - at
    found.more["rank 0 of the next round"] = host = first[1]
    if host == group.rank_0:
        found.missed.append("the next round has the same host")
    # The old host reaches no other member still: the two that reach each other must train.
    pair = set(group.machines) - {group.rank_0}
    number, trained_at = group.until("the others in a round", lambda: _round_with(group, pair), _LIMIT_SECONDS)
    found.new_round = trained_at - at
    found.more["rounds until then"] = number - group.round
    held_out = [one for one in group.status.held_out if one.name != f"{group.name}.{group.rank_0}"]
    found.missed += [f"{one.name} is held out: {one.message}" for one in held_out]
    found.more["held out"] = "; ".join(f"{one.name}: {one.reason}" for one in group.status.held_out) or "nobody"
    return found


def pulsing_rank_0(group: Group) -> Outcome:
    """The agent of rank 0 is stopped for 3 s of each 5 s, for a minute."""
    found = Outcome()
    agent = group.agents[group.rank_0].popen.pid
    for _ in range(_PAUSES):
        os.kill(agent, signal.SIGSTOP)
        time.sleep(_PAUSE_SECONDS)
        os.kill(agent, signal.SIGCONT)
        time.sleep(_RUN_SECONDS)
    _stays(group, found, 20.0)
    return found


def lossy(group: Group, seconds: float) -> Outcome:
    """A fifth of the packets of a member to and from its peers is lost."""
    assert group.host.filter is not None
    found, port = Outcome(), group.machines[group.others[0]].port
    group.host.filter.drop(port, 20)
    _stays(group, found, seconds)
    found.more["packets dropped"] = dropped = group.host.filter.dropped(port)
    if not dropped:
        found.missed.append("no packet was lost")
    return found


def without_api(group: Group, seconds: float, cut: Collection[str]) -> Outcome:
    """These members have no way to the API server; at the end the worker of one of them fails, and then it is back."""
    found = Outcome()
    for node in cut:
        group.machines[node].way.swallow()
    _stays(group, found, seconds)
    failing = next(node for node in [*group.others, group.rank_0] if node in cut)
    at = group.crash(failing)
    if len(cut) < len(group.machines):
        others = set(group.machines) - {failing}
        known = group.until(
            "the others to be told", lambda: told(group.records(), others, group.round, at), _LIMIT_SECONDS
        )
        found.told = known - at
    else:
        # Nobody can be told: the others train on until the way is there again.
        _stays(group, found, AWAY_SECONDS, but={failing})
        at = time.monotonic()
    for node in cut:
        group.machines[node].way.mend()
    number, trained_at = group.until(
        "a round of all", lambda: _round(group, group.machines, 0), _LIMIT_SECONDS + AWAY_SECONDS
    )
    found.new_round = trained_at - at
    found.more |= {"rounds until all train": number - group.round, **_end_of(group)}
    if found.more["reason"] not in (RoundEndReason.WORKER_FAILED, RoundEndReason.MEMBER_REENTERED):
        found.missed.append(f"the round ended with {found.more['reason']}: {found.more['message']}")
    return found


def failed_while_away(group: Group, back: Callable[[], float]) -> Outcome:
    """The API server is away when the worker of a member fails; ``back`` returns when it is there again."""
    found = Outcome()
    failing = group.others[0]
    group.crash(failing)
    _stays(group, found, AWAY_SECONDS / 2, but={failing})
    at = back()
    others = set(group.machines) - {failing}
    known = group.until(
        "the others to be told", lambda: told(group.records(), others, group.round, at), _LIMIT_SECONDS
    )
    number, trained_at = group.until("a round of all", lambda: _round(group, group.machines, 0), _LIMIT_SECONDS)
    found.told, found.new_round = known - at, trained_at - at
    found.more |= {"rounds until all train": number - group.round, **_end_of(group)}
    return found


def _lost(group: Group, at: float, lost: Collection[str], but: Collection[str] = ()) -> Outcome:
    """What follows the loss of these; ``but``: those whose steps in an older round are no split here."""
    found, others = Outcome(), set(group.machines) - set(lost)
    try:
        known = group.until(
            "the others to be told", lambda: told(group.records(), others, group.round, at), _LIMIT_SECONDS
        )
        found.told = known - at
        _, trained_at = group.until("a round of the others", lambda: _round_with(group, others), _LIMIT_SECONDS)
        found.new_round = trained_at - at
    except NotSeenError as error:
        found.missed.append(str(error))
    found.more |= _end_of(group)
    found.missed += split(group.records(), but)
    return found


def _stays(
    group: Group, found: Outcome, seconds: float, *, named: str | None = None, but: Collection[str] = ()
) -> None:
    """In this time the round must go on, and all workers with it; and the condition Degraded must name a node."""
    workers = {record.pid for record in group.records("start")}
    others, until, was_named = set(group.machines) - set(but), time.monotonic() + seconds, False
    while time.monotonic() < until:
        time.sleep(min(2.0, seconds / 10))
        if named is not None and not was_named:
            was_named = _is_degraded(group, named)
        if {record.pid for record in group.records("start")} != workers:
            break
    new = [record for record in group.records("start") if record.pid not in workers]
    found.missed += [f"{one.node} began round {one.round}, with {one.nodes} nodes" for one in new]
    recent = {one.node for one in steps(group.records()) if one.time > time.monotonic() - 3}
    found.missed += [f"{node} does not step any more" for node in sorted(others - recent)]
    if named is not None and not was_named:
        found.missed.append(f"the condition Degraded has not named {named} with PathBroken")


def _is_degraded(group: Group, node: str) -> bool:
    condition = group.status.condition(names.CONDITION_DEGRADED)
    return condition is not None and condition.reason == ConditionReason.PATH_BROKEN and node in condition.message


def _end_of(group: Group) -> Mapping[str, str | None]:
    """Why the first round has ended, as the Rendezvous says it."""
    record = group.record_of(group.round)
    return {"reason": record.reason, "message": record.message}


def _round(group: Group, nodes: Collection[str], more: int) -> tuple[int, float] | None:
    return next_round(group.records("start"), nodes, group.round + more)


def _round_with(group: Group, nodes: Collection[str]) -> tuple[int, float] | None:
    return _round(group, nodes, 0)


def _published(group: Group) -> tuple[int, str] | None:
    """A later round, and the node of its rank 0."""
    status = group.status
    host = [one.name.removeprefix(f"{group.name}.") for one in status.participants if one.rank == 0]
    return (status.round, host[0]) if status.round > group.round and host else None
