"""The rows of the table: what is done to a group of three, and what must follow. All times are seconds."""

import os
import signal
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from benchmarks.detection.judge import next_round, split, stepped_on, steps, told
from benchmarks.detection.small import Group

from rendezvous_api import names
from rendezvous_api.reasons import ConditionReason, RoundEndReason

_LIMIT_SECONDS = 180.0
"""After a fault; what has not been seen then is missed."""
_RECENT_SECONDS = 10.0
"""Who has not stepped for so long does not train; a step takes 0.2 s, and the machine may be busy."""
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


def killed(group: Group, found: Outcome, *, rank_0: bool = False) -> None:
    """SIGKILL to an agent and its workers."""
    node = group.rank_0 if rank_0 else group.others[0]
    _lost(group, found, group.kill(node), {node})


def power_cut(group: Group, found: Outcome, *, rank_0: bool = False) -> None:
    """The machines of two members, or that of rank 0, lose their power."""
    nodes = [group.rank_0] if rank_0 else group.others
    _lost(group, found, group.cut_power(*nodes), set(nodes))


def stopped(group: Group, found: Outcome, *, rank_0: bool = False) -> None:
    """SIGSTOP to an agent and its workers, until the others train again; then it must come back."""
    node = group.rank_0 if rank_0 else group.others[0]
    _lost(group, found, group.stop(node), {node}, but={node})
    woken_at = time.monotonic()
    group.agents[node].thaw()
    back = group.until(f"{node} with the others", lambda: _round(group, group.machines, 1), _LIMIT_SECONDS)
    late = stepped_on(group.records(), {node}, group.round, woken_at)
    found.more |= {"back": back[1] - woken_at, "stepped on after waking": late}
    found.missed += split(group.records(), {node})


def pod_lost(group: Group, found: Outcome) -> None:
    """An agent and its workers are killed, and its labelled pod has failed; nobody makes another one."""
    node = group.others[0]
    at = group.kill(node)
    terminated = {"exitCode": 137, "reason": "Error", "containerID": f"containerd://{node}"}
    container = {"name": "torchrun", "image": "none", "imageID": "", "ready": False, "restartCount": 0}
    statuses = [{**container, "state": {"terminated": terminated}}]
    group.host.cluster.write_pod_status(group.pod(node), phase="Failed", containerStatuses=statuses)
    _lost(group, found, at, {node})


def path_of_rank_0(group: Group, found: Outcome) -> None:
    """The path of rank 0 to all others breaks for good; later a worker of another one fails."""
    assert group.host.filter is not None
    group.host.filter.drop(group.machines[group.rank_0].port)
    _stays(group, found, PATH_SECONDS, named=group.rank_0)
    failing = group.others[0]
    at = group.crash(failing)
    others = set(group.machines) - {failing}
    found.told = _told(group, others, at)
    first = group.until("another round", lambda: _published(group), _LIMIT_SECONDS)
    found.more["rank 0 of the next round"] = host = first[1]
    if host == group.rank_0:
        found.missed.append("the next round has the same host")
    # The old host reaches no other member still: the two that reach each other must train.
    pair = set(group.machines) - {group.rank_0}
    number, trained_at = group.until("the others in a round", lambda: _round(group, pair, 0), 2 * _LIMIT_SECONDS)
    found.new_round = trained_at - at
    found.more["rounds until then"] = number - group.round
    held_out = [one for one in group.status.held_out if one.name != f"{group.name}.{group.rank_0}"]
    found.missed += [f"{one.name} is held out: {one.message}" for one in held_out]
    found.more["held out"] = "; ".join(f"{one.name}: {one.reason}" for one in group.status.held_out) or "nobody"


def pulsing_rank_0(group: Group, found: Outcome) -> None:
    """The agent of rank 0 is stopped for 3 s of each 5 s, for a minute."""
    agent = group.agents[group.rank_0].popen.pid
    for _ in range(_PAUSES):
        os.kill(agent, signal.SIGSTOP)
        time.sleep(_PAUSE_SECONDS)
        os.kill(agent, signal.SIGCONT)
        time.sleep(_RUN_SECONDS)
    _stays(group, found, 20.0)


def lossy(group: Group, found: Outcome, seconds: float) -> None:
    """A fifth of the packets of a member to and from its peers is lost."""
    assert group.host.filter is not None
    port = group.machines[group.others[0]].port
    group.host.filter.drop(port, 20)
    _stays(group, found, seconds)
    found.more["packets dropped"] = dropped = group.host.filter.dropped(port)
    if not dropped:
        found.missed.append("no packet was lost")


def without_api(group: Group, found: Outcome, seconds: float, cut: Collection[str]) -> None:
    """These members have no way to the API server; at the end the worker of one of them fails, and then it is back."""
    for node in cut:
        group.machines[node].way.swallow()
    _stays(group, found, seconds)
    failing = next(node for node in [*group.others, group.rank_0] if node in cut)
    at = group.crash(failing)
    if len(cut) < len(group.machines):
        found.told = _told(group, set(group.machines) - {failing}, at)
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


def failed_while_away(group: Group, found: Outcome, back: Callable[[], float]) -> None:
    """The API server is away when the worker of a member fails; ``back`` returns when it is there again."""
    failing = group.others[0]
    group.crash(failing)
    _stays(group, found, AWAY_SECONDS / 2, but={failing})
    at = back()
    found.told = _told(group, set(group.machines) - {failing}, at)
    number, trained_at = group.until("a round of all", lambda: _round(group, group.machines, 0), _LIMIT_SECONDS)
    found.new_round = trained_at - at
    found.more |= {"rounds until all train": number - group.round, **_end_of(group)}


def _lost(group: Group, found: Outcome, at: float, lost: Collection[str], but: Collection[str] = ()) -> None:
    """What follows the loss of these; ``but``: those whose steps in an older round are no split here."""
    others = set(group.machines) - set(lost)
    found.told = _told(group, others, at)
    _, trained_at = group.until("a round of the others", lambda: _round(group, others, 0), _LIMIT_SECONDS)
    found.new_round = trained_at - at
    found.more |= _end_of(group)
    found.missed += split(group.records(), but)


def _told(group: Group, others: Collection[str], at: float) -> float:
    """How long it took until all of these knew that the first round has ended."""
    seen = group.until("the others to be told", lambda: told(group.records(), others, group.round, at), _LIMIT_SECONDS)
    return seen - at


def _stays(
    group: Group, found: Outcome, seconds: float, *, named: str | None = None, but: Collection[str] = ()
) -> None:
    """In this time the round must go on, and all workers with it; and the condition Degraded must name a node."""
    workers = {record.pid for record in group.records("start")}
    others, until, was_named = set(group.machines) - set(but), time.monotonic() + seconds, False
    while time.monotonic() < until:
        group.sleep(min(2.0, seconds / 10))
        if named is not None and not was_named:
            was_named = _is_degraded(group, named)
        if {record.pid for record in group.records("start")} != workers:
            break
    new = [record for record in group.records("start") if record.pid not in workers]
    found.missed += [f"{one.node} began round {one.round}, with {one.nodes} nodes" for one in new]
    recent = {one.node for one in steps(group.records()) if one.time > time.monotonic() - _RECENT_SECONDS}
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


def _published(group: Group) -> tuple[int, str] | None:
    """A later round, and the node of its rank 0."""
    status = group.status
    host = [one.name.removeprefix(f"{group.name}.") for one in status.participants if one.rank == 0]
    return (status.round, host[0]) if status.round > group.round and host else None
