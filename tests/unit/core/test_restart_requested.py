"""RestartRequested: the user asks for a new round."""

from tests.unit.core.worlds import Scenario


def test_one_request_of_the_user_is_one_round_and_an_old_one_is_none() -> None:
    scenario = Scenario(2, 2)
    scenario.request_restart("before")
    scenario.join("a", "b")
    assert not scenario.asks
    scenario.request_restart("now")
    scenario.all_join_again()
    assert scenario.status.round == 2
    scenario.after(1000)
    assert not scenario.asks
