"""What the pair (``state``, ``lastState``) of a container says about the agent in it (rule "liveness")."""

from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import pytest
from tests.unit.core.builders import now
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import LeaveReason
from rendezvous_operator.core.nodes import Node, see_node
from rendezvous_operator.core.run_of_node import KnownRuns
from rendezvous_operator.core.world import Evidence, Target, World
from rendezvous_operator.kube.client import Json
from rendezvous_operator.watch.pods import pod_from_object, with_moments

BEGAN = 1000.0
"""Of a scenario, on its clock. All times below are seconds after it."""
END, START = 10, 20
"""The container has ended and has started again, by the clock of its machine."""
SEEN = 30
"""The operator sees that. One clock may differ from the other."""


def at(second: float) -> str:
    return now(BEGAN + second).timestamp


def terminated(finished: int | None, exit_code: int = 137) -> Json:
    return {"terminated": {"exitCode": exit_code, "reason": "Why", "finishedAt": finished and at(finished)}}


STATES: dict[str, Json] = {
    "runs since the first start or START": {"running": {"startedAt": at(START)}},
    "runs, unknown since when": {"running": {"startedAt": None}},
    "waits": {"waiting": {"reason": "CrashLoopBackOff"}},
    "ended": terminated(END),
    "ended, unknown when": terminated(None),
    "is not known": {},
}
LAST: dict[str, Json] = {"none": {}, "ended": terminated(END), "ended, unknown when": terminated(None)}
HEARTBEATS: dict[str, int | None] = {
    "none": None,
    "before the end": END - 1,
    "of the second of the end": END,
    "before the start": START - 1,
    "of the second of the start": START,
    "after the start": START + 1,
}
UNTIL_END = {"before the end", "of the second of the end"}
UNTIL_START = UNTIL_END | {"before the start"}
SENT = {*HEARTBEATS} - {"none"}
DEAD: dict[tuple[str, str], set[str]] = {
    ("runs since the first start or START", "ended"): UNTIL_START,
    ("runs since the first start or START", "ended, unknown when"): UNTIL_START,
    ("waits", "ended"): UNTIL_END,
    ("waits", "ended, unknown when"): SENT,
    ("is not known", "ended"): UNTIL_END,
    ("is not known", "ended, unknown when"): SENT,
    **{("ended", last): UNTIL_END for last in LAST},
    **{("ended, unknown when", last): SENT for last in LAST},
}
"""Which heartbeats were the last ones of an agent that ended with its container; the others are no evidence."""


def pod(name: str, state: Json, last: Json | None = None, policy: str = "Always") -> Json:
    metadata = {"name": name, "uid": f"uid-of-{name}", "labels": {"rdzv.dev/rendezvous": "train"}}
    owner = {"kind": "Job", "name": "job", "uid": "job", "controller": True}
    train = {"name": "train", "state": state, "lastState": last or {}}
    return {
        "metadata": {**metadata, "ownerReferences": [owner]},
        "spec": {"restartPolicy": policy, "containers": [{"name": "train"}, {"name": "log"}]},
        "status": {"phase": "Running", "containerStatuses": [train, {"name": "log", "state": {"running": {}}}]},
    }


def shown(scenario: Scenario, name: str, *args: Any, **how: Any) -> None:
    """A watch shows the pod, as the cache keeps it."""
    before = scenario.pods.get(f"uid-of-{name}")
    scenario.show_pod(with_moments(pod_from_object(pod(name, *args, **how)), before, scenario.clock))


def of(*who: str) -> Scenario:
    """A round of these nodes, each in its container ``train`` of a pod with another container."""
    scenario = Scenario(len(who), len(who))
    scenario.complete = False
    for name in who:
        shown(scenario, name, {"running": {"startedAt": at(-100)}})
    scenario.join_from_pods(*who, run=None)
    for name, seen in scenario.seen.items():
        spec = replace(seen.object.spec, container="train")
        scenario.seen[name] = replace(seen, object=replace(seen.object, spec=spec))
    scenario.complete = True
    scenario.settle()
    assert scenario.group == [*who]
    return scenario


def node_of(
    state: Json, last: Json, heartbeat: int | None, *, arrived: float, policy: str, first: bool = False
) -> Node:
    """The node of which the last heartbeat has that time and arrived then.

    Its pod is seen so at `SEEN`; if that is the ``first`` sight of it, nothing is known of the time before.
    """
    world = _world_of_one()
    ((uid, before),) = world.pods.items()
    now_shown = pod_from_object(pod("a", state, last, policy=policy))
    world = replace(world, pods={uid: with_moments(now_shown, None if first else before, BEGAN + SEEN)})
    seen = world.participants["a"]
    status = replace(seen.object.status, heartbeat_time=None if heartbeat is None else at(heartbeat))
    seen = replace(seen, object=replace(seen.object, status=status), beat_at=BEGAN + arrived)
    return see_node(world, "a", seen, KnownRuns.of(world.rendezvous.status))


@cache
def _world_of_one() -> World:
    return of("a").world()


@pytest.mark.parametrize(("state", "last"), list(product(STATES, LAST)))
def test_which_agent_has_ended_with_its_container(state: str, last: str) -> None:
    found = {
        heartbeat
        for heartbeat, second in HEARTBEATS.items()
        if node_of(STATES[state], LAST[last], second, arrived=SEEN - 1, policy="Always").dead
    }
    assert found == DEAD.get((state, last), set())


@pytest.mark.parametrize(("state", "last"), list(product(STATES, LAST)))
def test_an_agent_in_a_container_that_is_not_started_again_has_ended(state: str, last: str) -> None:
    found = {
        heartbeat
        for heartbeat, second in HEARTBEATS.items()
        if node_of(STATES[state], LAST[last], second, arrived=SEEN + 1, policy="Never").over
    }
    assert found == ({*HEARTBEATS} if "terminated" in STATES[state] else set())


@pytest.mark.parametrize(("last", "heartbeat"), list(product(LAST, HEARTBEATS)))
def test_no_agent_is_dead_of_which_a_heartbeat_arrives_when_its_container_runs(last: str, heartbeat: str) -> None:
    for state in STATES.values():
        if "running" in state:
            for arrived, first in ((SEEN, False), (SEEN + 1, False), (SEEN - 1, True)):
                node = node_of(state, LAST[last], HEARTBEATS[heartbeat], arrived=arrived, policy="Always", first=first)
                assert not node.dead


@pytest.mark.parametrize("last", ["ended", "ended, unknown when"])
@pytest.mark.parametrize("set_back", [0, 60, 7200])
def test_a_clock_that_is_set_back_loses_no_agent_that_has_started_again(last: str, set_back: int) -> None:
    scenario = of("a", "b")
    scenario.after(100)
    shown(scenario, "b", {"waiting": {}}, terminated(None if "unknown" in last else 100))
    scenario.silent("b")
    scenario.settle()
    assert scenario.ended_because == "MemberLost"
    shown(scenario, "b", {"running": {"startedAt": at(110)}}, terminated(None if "unknown" in last else 100))
    scenario.after(10)
    scenario.restart("b")
    scenario.reenter("a")
    scenario.after(10)
    assert (scenario.status.round, scenario.group, scenario.asks) == (2, ["a", "b"], False)
    for _ in range(3):
        scenario.clock += 5
        scenario.beat("a", "b")
        seen = scenario.seen["b"]
        status = replace(seen.object.status, heartbeat_time=now(scenario.clock - set_back).timestamp)
        scenario.seen["b"] = replace(seen, object=replace(seen.object, status=status))
        decision = scenario.decide()
        assert decision.status.history[-1].reason is None


def test_the_last_word_is_read_before_the_end_of_a_container_counts() -> None:
    scenario = of("a", "b")
    scenario.after(100)
    scenario.reads.clear()
    scenario.seen["a"] = replace(scenario.seen["a"], read_at=scenario.clock - 1)
    shown(scenario, "a", terminated(100, exit_code=1), policy="Never")
    answer = scenario.look()
    assert isinstance(answer, Evidence)
    assert answer.targets == {Target("RendezvousParticipant", "a")}
    # The answer: it had left with success before, and a watch lags behind.
    scenario.leave("a", reason=LeaveReason.SUCCEEDED)
    assert scenario.reads == []
    assert scenario.closed_runs == {"job": "RunSucceeded"}


@pytest.mark.parametrize(
    ("exit_code", "policy", "is_success"), [(0, "Never", True), (0, "Always", False), (1, "Never", False)]
)
def test_exit_code_0_without_a_last_word_is_a_success_if_it_was_the_last_start(
    exit_code: int, policy: str, is_success: bool
) -> None:
    scenario = of("a", "b")
    scenario.after(100)
    scenario.silent("a")
    shown(scenario, "a", terminated(100, exit_code=exit_code), policy=policy)
    scenario.settle()
    assert bool(scenario.closed_runs) is is_success
    assert scenario.asks is not is_success
