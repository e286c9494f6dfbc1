"""Scenarios in which a round runs already."""

from typing import Any, TypeVar

from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import HeldOutReason

CHECK_IN_SECONDS = 61
"""More than the check-in of a round takes."""

S = TypeVar("S", bound=Scenario)


def together(scenario: S, *nodes: str) -> S:
    """The scenario after these nodes have come in one moment: one round takes them all, with ranks in this order."""
    scenario.complete = False
    scenario.join(*nodes)
    scenario.complete = True
    scenario.settle()
    assert scenario.group == [*nodes]
    return scenario


def running(*nodes: str, min_nodes: int = 2, max_nodes: int = 4, **spec: Any) -> Scenario:
    """A scenario in which a round of these nodes runs."""
    scenario = Scenario(min_nodes, max_nodes, **{"last_call_seconds": 0, **spec})
    for node in nodes[: min_nodes - 1]:
        scenario.join(node)
    # The others come in one moment, so that one round takes them all.
    rest = nodes[min_nodes - 1 :]
    scenario.edit(last_call_seconds=1)
    scenario.join(*rest)
    scenario.after(1)
    assert set(scenario.group) == {*nodes}
    return scenario


def two(run: str | None = "one", **spec: Any) -> Scenario:
    """A round of a and b runs, and there is no place for another node."""
    scenario = Scenario(2, 2, **spec)
    scenario.join("a", "b", run=run)
    assert scenario.group == ["a", "b"]
    return scenario


def three(**spec: Any) -> Scenario:
    """A round of a, b and c runs, there is no place for another node, and lost ones are not waited for."""
    scenario = Scenario(2, 3, **{"replacement_seconds": 0, **spec})
    scenario.join("a", "b", "c")
    assert scenario.status.round == 1
    return scenario


def trains_and_x_comes(**spec: object) -> Scenario:
    """The round of a, b and c has trained for ten minutes when x joins, which reaches the API server but no store."""
    scenario = Scenario(2, 4, **{"last_call_seconds": 0, "replacement_seconds": 30, **spec})
    together(scenario, "a", "b", "c")
    scenario.after(600)
    scenario.join("x")
    scenario.meets = False
    scenario.all_join_again()
    assert scenario.group == ["a", "b", "c", "x"]
    scenario.after(CHECK_IN_SECONDS)
    return scenario


def x_is_held_out(**spec: object) -> Scenario:
    """The next round of a, b and c, since x did not reach the store of the one that it was taken into."""
    scenario = trains_and_x_comes(**spec)
    scenario.fail_to_check_in("x")
    scenario.meets = True
    assert scenario.group == ["a", "b", "c"]
    assert scenario.held_out == {"x": (HeldOutReason.STORE_NOT_REACHED, 1)}
    return scenario
