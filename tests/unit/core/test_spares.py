"""Rule "spares": who waits without a place."""

from tests.unit.core.started import running, two
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import AttemptReason

WORKER_FAILURE = AttemptReason.WORKER_FAILURE


def spares(scenario: Scenario) -> list[str]:
    return [*scenario.status.spares]


def test_spares_never_count_as_waiting_and_are_listed() -> None:
    scenario = Scenario(2, 2)
    scenario.join("a", "b")
    scenario.join("s", "t")
    scenario.after(5000)
    assert scenario.status.spares == ("s", "t")
    assert not scenario.asks
    assert scenario.condition("Running").status == "True"


def test_a_spare_takes_a_lost_members_rank_at_once() -> None:
    scenario = Scenario(2, 2)
    scenario.join("a", "b")
    scenario.join("s")
    scenario.gone("a")
    scenario.reenter("b")
    assert scenario.group == ["s", "b"]
    assert scenario.status.spares == ()


def test_a_silent_spare_is_none() -> None:
    scenario = Scenario(2, 2, replacement_seconds=0)
    scenario.join("a", "b")
    scenario.join("s")
    scenario.silent("s")
    scenario.after(16)
    assert scenario.status.spares == ()
    scenario.gone("a")
    scenario.reenter("b")
    assert scenario.status.round == 1


def test_who_has_no_place_for_certain_is_listed_while_a_round_is_formed() -> None:
    scenario = two()
    scenario.join("s", run="one")
    scenario.reenter("a", reason=AttemptReason.WORKER_FAILURE)
    assert spares(scenario) == ["s"], "b may still come back"
    scenario.gone("b")
    assert scenario.group == ["a", "s"]
    assert spares(scenario) == []


def test_they_take_the_places_in_the_order_in_which_they_came() -> None:
    scenario = two()
    for name in ("z", "y", "x"):
        scenario.after(1)
        scenario.join(name, run="one")
    assert spares(scenario) == ["z", "y", "x"]
    scenario.gone("a")
    scenario.reenter("b")
    assert scenario.group == ["z", "b"]
    assert spares(scenario) == ["y", "x"]


def test_who_will_get_a_place_is_no_spare() -> None:
    scenario = running("a", "b", max_nodes=3)
    scenario.reenter("a", reason=WORKER_FAILURE)
    scenario.join("c")
    assert scenario.asks
    assert scenario.status.spares == (), "b joins again, and all three have a place"


def test_who_waits_for_too_few_is_no_spare() -> None:
    scenario = Scenario(3, 3)
    scenario.join("a", "b", "c")
    scenario.gone("a", "b", "c")
    scenario.join("d")
    assert scenario.status.spares == (), "its join timeout counts"
