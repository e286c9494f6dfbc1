"""What `kubectl get` shows of a Rendezvous."""

from tests.unit.core.started import three, two
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import LeaveReason, State
from rendezvous_api.rendezvous import Owner, Summary


def summary(scenario: Scenario) -> Summary:
    found = scenario.status.summary
    assert found is not None
    return found


def shown(scenario: Scenario) -> tuple[str, str, int]:
    found = summary(scenario)
    return str(found.state), found.nodes, found.spares


def test_the_life_of_a_group() -> None:
    scenario = Scenario(2, 3, last_call_seconds=30, replacement_seconds=30)
    scenario.settle()
    assert shown(scenario) == ("WaitingForNodes", "0/2-3", 0)
    assert summary(scenario).run is None
    scenario.join("a")
    assert shown(scenario) == ("WaitingForNodes", "1/2-3", 0)
    scenario.join("b")
    assert shown(scenario) == ("LastCall", "2/2-3", 0)
    scenario.join("c")
    assert shown(scenario) == ("Running", "3/2-3", 0)
    scenario.join("d")
    assert shown(scenario) == ("Running", "3/2-3", 1)
    scenario.silent("c")
    scenario.after(20)
    assert shown(scenario) == ("Degraded", "3/2-3", 1)
    scenario.gone("c")
    assert shown(scenario)[0] == "WaitingForMembers"
    scenario.reenter("a", "b")
    assert shown(scenario) == ("Running", "3/2-3", 0)
    scenario.leave("a", reason=LeaveReason.SUCCEEDED)
    assert shown(scenario) == ("Complete", "3/2-3", 0)


def test_a_group_of_one_size() -> None:
    assert summary(two()).nodes == "2/2"


def test_a_run_that_has_failed_and_one_that_may_not_begin() -> None:
    scenario = two()
    scenario.request_close("a")
    assert shown(scenario) == ("Failed", "2/2", 0)
    scenario = Scenario(2, 2)
    scenario.edit(closed=True)
    assert shown(scenario) == ("Closed", "0/2", 0)


def test_since_when() -> None:
    scenario = three()
    began = summary(scenario).since
    assert began == scenario.status.round_start_time
    scenario.after(10)
    scenario.join("s")
    assert summary(scenario).since == began
    scenario.request_restart("now")
    asked = summary(scenario).since
    assert asked > began
    scenario.after(10)
    scenario.reenter("a", "b", "c")
    assert summary(scenario).since == scenario.status.round_start_time > asked


def test_a_round_that_follows_at_once_runs_since_then() -> None:
    """There is no status in between, because the only member asks for the next round itself."""
    scenario = Scenario(1, 1)
    scenario.join("a")
    began = summary(scenario).since
    scenario.after(10)
    scenario.reenter("a")
    assert (scenario.status.round, summary(scenario).state) == (2, State.RUNNING)
    assert summary(scenario).since > began


def test_the_run_is_called_as_people_call_it() -> None:
    scenario = Scenario(2, 2)
    scenario.join("a", run="run-1")
    assert summary(scenario).run == "run-1"
    scenario = Scenario(2, 2)
    scenario.pod("a", workload="uid-of-job", owner_uid="uid-of-job", owner=Owner("Job", "digits"))
    scenario.join_from_pods("a", run=None)
    assert summary(scenario).run == "Job/digits"
