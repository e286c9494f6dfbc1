"""Rule "size": how many may be in a round."""

from tests.unit.core.started import running
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import FormationReason


def test_never_fewer_than_min_in_later_rounds() -> None:
    scenario = running("a", "b", replacement_seconds=0)
    scenario.gone("b")
    scenario.reenter("a")
    scenario.after(500)
    assert scenario.status.round == 1
    assert scenario.condition("Running").reason == FormationReason.WAITING_FOR_NODES
    assert "1 of at least 2 nodes; b was lost (its participant object is gone)" in scenario.explanation
    scenario.join("c")
    assert set(scenario.group) == {"a", "c"}


def test_never_more_than_max() -> None:
    scenario = Scenario(1, 2)
    scenario.join("a", "b", "c")
    assert scenario.group == ["a", "b"]
    assert scenario.status.spares == ("c",)
