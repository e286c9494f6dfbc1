"""A small world around the decision core, for `test_search`: every state that it can reach can be visited.

Three agents, one Rendezvous, one operator. Agents act on what they have seen, which may be old: seeing a membership,
checking in at the store, the heartbeat that reports it, being asked to join again, stopping, and the write that asks
for the next rank are separate steps, and between any two of them everything else can happen. So is a reconcile of the
operator: any number of steps of the agents may lie between two of its decisions.

What is left out of a state because nothing depends on it: numbers of rounds, attempts and incarnations (only how an
object relates to the member list is kept), times (a timer is "new" or "over its limit", and any one may pass its limit
at any moment), ranks (`test_stable` has them) and words. The agents are alike, so states that differ
only in who is who are one; where the core must choose between nodes, it is asked with each assignment of names.

A fact about long times is kept honest: 330 s pass only when each heartbeat has arrived or its agent is known to be
silent. The number of re-entries, restarts and rounds is not bounded.
"""

from collections.abc import Hashable, Iterator
from itertools import permutations
from typing import NamedTuple

from tests.unit.core.small_world_path import Second
from tests.unit.core.small_world_setup import Setup

SUCCEEDED, FAILED, TIMED_OUT, JOINED = "succeeded", "failed", "timed out", "joined"
"""What a participant object says; "" is no object."""

JOIN_ANEW = "JoinAnew"
"""The only refusal that does not end an agent."""

SAME, AGAIN, RESTARTED = "same", "again", "restarted"
"""How an object relates to the member entry of its name: the member's attempt, a later one, another incarnation."""

WAITS, CHECKS_IN, ALL_ARE_IN, TRAINS = "waits", "checks in", "all are in", "trains"
STOPS, GIVES_UP, LEAVES_WELL, LEAVES = "stops", "gives up", "leaves well", "leaves"
"""What a process does; "" is no process. STOPS: it trained and was asked, or failed; GIVES_UP: it was checking in."""

RUNS_WORKERS = frozenset({ALL_ARE_IN, TRAINS, STOPS})

NOW_FAILED = 0
"""In the place of a number: the failure that has ended the current round."""

UNHEARD = 3
"""Silent, but given another full period because all were silent before."""

FOR_HOURS = 4
"""Silent for longer than a participant is kept."""

SILENT = frozenset({1, 2, FOR_HOURS})

NEW, OVER = 1, 2
"""Age of a timer in the memory of the operator."""

Ages = tuple[tuple[tuple[Hashable, ...], int], ...]
"""Timers of one agent: name of the timer, what its key says beside the name of the agent, and its age."""


class Node(NamedTuple):
    """One agent: its process, its object, and what the status and the operator's memory say of it by name."""

    run: str = "A"
    rack: str = ""
    """Where its machine is, or its replacement group; empty: neither matters."""
    pod: str = ""
    """"" where pods are left out, else "none", "live" or "leaving"."""
    member: bool = False
    host: bool = False
    """It has rank 0; kept only where a setup has a second path."""
    second: Second = Second()
    entry: str = ""
    object: str = ""
    reports: bool = False
    """The heartbeat reports that the attempt in the object is a member and trains."""
    was_asked: bool = False
    """The attempt in the object was made because the agent was asked to join again."""
    close: bool = False
    process: str = ""
    asked: bool = False
    """Why the process stops; becomes `was_asked` with the next attempt."""
    silence: int = 0
    behind: bool = False
    """It was silent when all were, and has not been heard since, but nodes of another run have."""
    spare: int = 0
    refused: str = ""
    ages: Ages = ()
    checked_in: bool = False
    failures: tuple[int, ...] = ()
    """Which of the failures that count are its own, the oldest one is 1; `NOW_FAILED` is that of the current round."""

    @property
    def acts(self) -> bool:
        """Whether its path to the API server works."""
        return bool(self.process) and not self.silence

    @property
    def current(self) -> bool:
        """Whether its present attempt is a member of the current round."""
        return self.member and self.entry == SAME


class Shared(NamedTuple):
    """What is not about one agent."""

    published: bool = False
    waiting: bool = False
    run: str = ""
    closed: tuple[tuple[str, str], ...] = ()
    round_run: str = ""
    ended: str = ""
    over: bool = False
    """No member runs the round any more, and the history says so."""
    restarts: int = 0
    spec_closed: bool = False
    suspended: bool = False
    requested: bool = False
    """The user asks for a new round, and that was not acted on yet."""
    limits: int = 0
    """Which of the limits of the setup the user has set now."""
    facts: tuple[tuple[tuple[str, Hashable], int], ...] = ()
    """Timers that are not about one agent: name and key, and age."""


def start(setup: Setup) -> tuple[Shared, tuple[Node, ...]]:
    """Nobody has come yet."""
    pod = "none" if setup.pods else ""
    racks = setup.racks or setup.groups or ("",) * len(setup.runs)
    return Shared(), tuple(Node(run=run, rack=rack, pod=pod) for run, rack in zip(setup.runs, racks, strict=True))


def assignments(setup: Setup, shared: Shared, nodes: tuple[Node, ...]) -> Iterator[tuple[Node, ...]]:
    """Every way to give the names to the nodes, where names decide who gets a place; else one."""
    waiting = sum(node.object == JOINED and not node.current for node in nodes)
    all_fit = setup.limits[shared.limits][1] >= len(nodes) and setup.sizes is None and setup.segment is None
    if waiting <= 1 or all_fit:
        yield nodes
    else:
        yield from dict.fromkeys(permutations(nodes))


class Surroundings(NamedTuple):
    """What decides about the parts of a node that nothing depends on any more."""

    waiting: bool
    closed: frozenset[str]
    check_in_goes_on: bool
    host_is_member: bool
    """The host has not joined again, so what the members and it say of each other counts."""


def tidied(node: Node, around: Surroundings) -> Node:
    """The node without what nothing depends on any more, so that fewer states differ."""
    if node.checked_in and not around.check_in_goes_on:
        node = node._replace(checked_in=False)
    if not node.current:
        node = node._replace(second=Second())
    elif not around.host_is_member and node.second != Second():
        node = node._replace(second=node.second._replace(said=Second().said, word=Second().word, apart=False))
    if node.behind and not node.object:
        node = node._replace(behind=False)
    if node.silence == 2 and (around.waiting or not node.current):
        node = node._replace(silence=1)
    if node.object == SUCCEEDED and node.entry != SAME:
        node = node._replace(object=TIMED_OUT)
    if node.run in around.closed and node.object != JOINED:
        node = node._replace(close=False, was_asked=False, object=TIMED_OUT if node.object else "")
    elif node.run in around.closed:
        node = node._replace(close=False, was_asked=node.was_asked and not node.refused)
    return node


def all_checked_in(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """Once every member has been at the store of the round, all who still check in will return."""
    if not all(node.checked_in for node in nodes if node.member):
        return nodes
    return tuple(
        node._replace(process=ALL_ARE_IN if node.process == CHECKS_IN and node.current else node.process)
        for node in nodes
    )


def joined(node: Node) -> Node:
    """A process starts under this name, whatever was there before."""
    pod = "live" if node.pod == "none" else node.pod
    entry = RESTARTED if node.member else ""
    fresh = Node(
        run=node.run, rack=node.rack, pod=pod, member=node.member, checked_in=node.checked_in, spare=node.spare
    )
    return fresh._replace(entry=entry, object=JOINED, process=WAITS, host=node.host, failures=node.failures)


def joins_after_restart(node: Node) -> Node:
    """A process whose object was deleted finds that out and asks for a place with a new one."""
    return joined(node)._replace(entry=AGAIN if node.member else "", checked_in=False)


def ended(node: Node, state: str) -> Node:
    """The agent says that it leaves, and its process ends."""
    return _without_process(node)._replace(
        object=state,
        reports=False,
        silence=0,
        behind=False,
        ages=_settled(node),
        refused="",
        second=node.second.after_a_heartbeat,
    )


def asked_again(node: Node, setup: Setup) -> Node:
    """The write by which an agent asks for a place in the next round."""
    return node._replace(
        entry=AGAIN if node.entry == SAME else node.entry,
        reports=False,
        was_asked=node.asked and setup.reasons_matter,
        asked=False,
        process=WAITS,
        refused="",
        ages=_settled(node),
        second=node.second.after_a_heartbeat._replace(farewell=False),
    )


def beats(node: Node) -> Node:
    """A heartbeat arrives: it says what is true now."""
    reports = node.process in (TRAINS, STOPS) and not node.second.farewell
    return node._replace(silence=0, behind=False, reports=reports, second=node.second.after_a_heartbeat)


def died(node: Node) -> Node:
    """The process is no more; no other process knows."""
    return _without_process(node)._replace(silence=0 if node.silence == UNHEARD else node.silence)


def vanished(node: Node) -> Node:
    """The object goes, and with it what the operator remembered of it."""
    gone = Node(run=node.run, rack=node.rack, pod=node.pod, member=node.member, checked_in=node.checked_in)
    return gone._replace(spare=node.spare, host=node.host, failures=node.failures)


def window_passes(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """The oldest failure counts no more."""
    return tuple(
        node._replace(failures=tuple(number - (number > 1) for number in node.failures if number != 1))
        for node in nodes
    )


def _settled(node: Node) -> Ages:
    """The timers that do not end with an attempt: their key has nothing but names."""
    return tuple(entry for entry in node.ages if len(entry[0]) == 1)


def _without_process(node: Node) -> Node:
    return node._replace(process="", asked=False)


def steps(node: Node, shared: Shared, setup: Setup) -> Iterator[tuple[str, Node]]:
    """Everything that one agent, its pod or its path to the API server may do next."""
    if not node.process:
        yield from _steps_without_process(node, shared, setup)
        return
    if not node.object:
        yield "dies", died(node)
        yield "joins after a restart", joins_after_restart(node)
        return
    if setup.silence or node.pod:
        yield "dies while it is silent" if node.silence else "dies", died(node)
    if setup.silence:
        if node.silence in (0, UNHEARD):
            yield "stays silent" if node.silence else "becomes silent", node._replace(silence=1)
        elif _may_be_suspect(node, shared):
            yield "is silent for long", node._replace(silence=2)
        if setup.retention and node.silence in (1, 2):
            yield "is silent for hours", node._replace(silence=FOR_HOURS)
        if node.silence:
            yield "sends a heartbeat again", beats(node)
    if setup.deletion and not node.pod:
        yield "vanishes", vanished(node)
    if node.pod:
        yield from _steps_of_a_pod(node)
    yield from _steps_inside(node, setup)
    if node.acts:
        yield from _steps_at_the_api(node, shared, setup)
        if setup.ends:
            yield from _ends(node)
        if setup.closes and not node.close:
            yield "asks to close", node._replace(close=True)


def _may_be_suspect(node: Node, shared: Shared) -> bool:
    """Only of a member of a running round a long silence means more than a short one."""
    return node.silence == 1 and node.current and not shared.waiting


def _steps_without_process(node: Node, shared: Shared, setup: Setup) -> Iterator[tuple[str, Node]]:
    if node.pod != "leaving":
        yield f"{node.run} starts", joined(node)
    if node.object and node.pod != "live":
        yield "its object goes", vanished(node)
    may_be_silent = node.object == JOINED and (setup.silence or node.pod)
    if may_be_silent and (node.silence == 0 or _may_be_suspect(node, shared)):
        yield "stays silent", node._replace(silence=node.silence + 1)
    if may_be_silent and setup.retention and node.silence in (1, 2):
        yield "is silent for hours", node._replace(silence=FOR_HOURS)
    if node.pod == "none" and not node.object:
        yield "gets a pod", node._replace(pod="live")
    elif node.pod:
        yield from _steps_of_a_pod(node)


def _steps_of_a_pod(node: Node) -> Iterator[tuple[str, Node]]:
    if node.pod == "live":
        yield "loses its pod", died(node)._replace(pod="none")
        yield "is evicted", node._replace(pod="leaving")
    elif node.pod == "leaving":
        yield "its pod ends", died(node)._replace(pod="none")


def _steps_inside(node: Node, setup: Setup) -> Iterator[tuple[str, Node]]:
    """What needs no API server: the agents talk to one another at the store."""
    if node.process == ALL_ARE_IN:
        yield "returns", node._replace(process=TRAINS)
    if setup.failing and node.process in (CHECKS_IN, ALL_ARE_IN):
        yield "fails to check in", node._replace(process=GIVES_UP)
    if setup.failing and node.process == TRAINS:
        yield "fails", node._replace(process=STOPS)


def _steps_at_the_api(node: Node, shared: Shared, setup: Setup) -> Iterator[tuple[str, Node]]:
    if node.process in (TRAINS, STOPS) and not node.reports and not node.second.farewell:
        yield "sends a heartbeat", beats(node)
    if node.process == WAITS and node.current:
        yield "sees its admission", node._replace(process=CHECKS_IN, checked_in=True)
    elif node.process == WAITS and node.refused == JOIN_ANEW:
        yield "sees its refusal", asked_again(node, setup)
    elif node.process == WAITS and node.refused:
        yield "sees its refusal", node._replace(process=LEAVES_WELL if node.refused == "RunSucceeded" else LEAVES)
    elif node.process in (LEAVES, LEAVES_WELL):
        yield "leaves", ended(node, SUCCEEDED if node.process == LEAVES_WELL else FAILED)
    elif node.process in (STOPS, GIVES_UP):
        yield "asks again", asked_again(node, setup)
    if shared.waiting or not node.current:
        if node.process == TRAINS:
            yield "is asked", node._replace(process=STOPS, asked=setup.reasons_matter)
        elif node.process in (CHECKS_IN, ALL_ARE_IN):
            yield "is asked while it checks in", node._replace(process=GIVES_UP)


def _ends(node: Node) -> Iterator[tuple[str, Node]]:
    if node.process == TRAINS:
        yield "succeeds", ended(node, SUCCEEDED)
        yield "fails for good", ended(node, FAILED)
    if node.process == WAITS and not node.refused:
        yield "runs out of time", ended(node, TIMED_OUT)
