"""Which pods may still bring an agent of the run, so that it is neither failed nor abandoned."""

from dataclasses import replace

import pytest
from tests.unit.core.builders import now
from tests.unit.core.worlds import Scenario

from rendezvous_operator.core.world import ContainerEnd


def test_a_pod_without_the_label_keeps_no_run() -> None:
    scenario = Scenario(2, 2, join_seconds=60)
    scenario.pod("c", known=False, workload="run")
    scenario.join("a", "b")
    scenario.leave("a", "b")
    scenario.after(60)
    assert scenario.closed_runs == {"run": "RunFailed"}


@pytest.mark.parametrize("again", [(), ("one",), ("two",)])
def test_a_pod_of_two_agents_keeps_its_run_while_a_container_starts_again(again: tuple[str, ...]) -> None:
    scenario = Scenario(2, 2, join_seconds=60)
    scenario.pod("pod", workload="job", owner_uid="job")
    scenario.complete = False
    scenario.join("one", "two", run=None, pod="pod")
    for name, seen in scenario.seen.items():
        spec = replace(seen.object.spec, container=name)
        scenario.seen[name] = replace(seen, object=replace(seen.object, spec=spec))
    scenario.complete = True
    scenario.settle()
    scenario.leave("one", "two")
    ends = tuple(
        ContainerEnd(name, 1, "Error, exit code 1", now(scenario.clock).timestamp, over=name not in again)
        for name in ("one", "two")
    )
    scenario.pod("pod", workload="job", owner_uid="job", ended=ends)
    scenario.after(60)
    assert (scenario.closed_runs == {"job": "RunFailed"}) is not bool(again)
