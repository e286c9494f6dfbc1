"""Rule "scale-up": when newcomers end the running round."""

import pytest
from tests.unit.core.started import running

from rendezvous_api.reasons import FormationReason


def test_newcomers_are_gathered_while_training_goes_on() -> None:
    scenario = running("a", "b", max_nodes=5, scale_up_interval_seconds=60)
    for seconds, node in [(10, "c"), (30, "d")]:
        scenario.at(seconds)
        scenario.join(node)
        assert not scenario.asks
        assert scenario.condition("Running").status == "True"
        assert scenario.status.formation is not None
        assert scenario.status.formation.reason is FormationReason.GATHERING
    scenario.at(60)
    assert not scenario.asks
    scenario.at(61)
    assert scenario.ended_because == "ScaleUp"
    scenario.all_join_again()
    assert scenario.group == ["a", "b", "c", "d"]
    assert scenario.status.restarts == 0


def test_newcomers_that_fill_the_group_are_taken_in_at_once() -> None:
    scenario = running("a", "b", max_nodes=4, scale_up_interval_seconds=600)
    scenario.join("c")
    assert not scenario.asks
    scenario.join("d")
    assert scenario.asks


@pytest.mark.parametrize(
    ("newcomers", "message"),
    [("c", "1 more node joined"), ("cd", "2 more nodes joined"), ("cdef", "4 more nodes joined")],
)
def test_one_node_has_come_and_two_have(newcomers: str, message: str) -> None:
    scenario = running("a", "b", max_nodes=5, scale_up_interval_seconds=0)
    scenario.complete = False
    scenario.join(*newcomers)
    scenario.complete = True
    scenario.settle()
    assert scenario.ended_because == "ScaleUp"
    assert scenario.status.history[-1].message == message
    assert scenario.events[-1].message == f"round 1 ends: ScaleUp: {message}"


@pytest.mark.parametrize(("newcomers", "words"), [("c", "1 more node joined"), ("cd", "2 more nodes joined")])
def test_the_gathered_are_counted(newcomers: str, words: str) -> None:
    scenario = running("a", "b", max_nodes=5)
    scenario.join(*newcomers)
    assert scenario.status.formation is not None
    assert scenario.status.formation.joined == len(newcomers)
    assert scenario.status.formation.message.startswith(words)


def test_there_is_no_place_for_a_newcomer_in_a_full_group() -> None:
    scenario = running("a", "b", max_nodes=2, scale_up_interval_seconds=0)
    scenario.join("c")
    scenario.after(1000)
    assert not scenario.asks
