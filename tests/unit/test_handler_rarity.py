"""How rare heartbeats may be."""

from dataclasses import replace
from typing import Any

import pytest
from tests.support.specs import spec_of

from rendezvous_api.meta import ObjectMeta
from rendezvous_api.reasons import FormationReason
from rendezvous_api.rendezvous import Formation, Rendezvous, RendezvousStatus
from rendezvous_handler.agent.rarity import rare_seconds

GATHERS = Formation(FormationReason.GATHERING, "1 more node joined", "2030-01-01T00:00:00Z", 1)


def group(often: int = 5, rare: int | None = 60, **status: Any) -> Rendezvous:
    """Round 3 runs."""
    spec = spec_of(2, 4, heartbeat_interval_seconds=5, heartbeat_peers_interval_seconds=rare)
    calm = RendezvousStatus(round=3, heartbeat_interval_seconds=often)
    return Rendezvous(ObjectMeta(name="train"), spec, replace(calm, **status))


def test_they_are_rare_in_a_round_that_goes_on() -> None:
    assert rare_seconds(group(), 3, heard=True) == 60


@pytest.mark.parametrize(
    "known",
    [
        pytest.param(None, id="nothing is known"),
        pytest.param(group(rare=None), id="nobody has asked for it"),
        pytest.param(group(often=60), id="the group is so large that all are as rare"),
        pytest.param(group(waiting_nodes=1), id="the members are asked to join again"),
        pytest.param(group(formation=GATHERS), id="a node waits until all are heard"),
        pytest.param(group(round=4), id="another round runs"),
    ],
)
def test_else_all_keep_the_same_interval(known: Rendezvous | None) -> None:
    assert rare_seconds(known, 3, heard=True) is None


def test_nor_are_those_of_who_is_not_heard_or_runs_no_round() -> None:
    assert rare_seconds(group(), 3, heard=False) is None
    assert rare_seconds(group(round=0), 0, heard=True) is None
