"""Scenarios in which a round runs already."""

from typing import Any

from tests.unit.core.worlds import Scenario


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
