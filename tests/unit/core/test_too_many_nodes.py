"""TooManyNodes: the round has more nodes than the spec allows now."""

from tests.unit.core.started import three


def test_a_round_that_is_too_large_is_formed_again_and_the_highest_rank_is_a_spare() -> None:
    scenario = three()
    scenario.edit(max_nodes=2)
    assert scenario.ended_because == "TooManyNodes"
    assert scenario.status.history[-1].message == "3 nodes, but spec.maxNodes is 2"
    scenario.all_join_again()
    assert scenario.group == ["a", "b"]
    assert scenario.status.spares == ("c",)
    assert scenario.status.restarts == 0


def test_a_round_that_may_be_larger_goes_on() -> None:
    scenario = three()
    scenario.edit(max_nodes=8)
    assert not scenario.asks
