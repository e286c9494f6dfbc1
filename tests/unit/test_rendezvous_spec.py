"""What follows from the spec of a Rendezvous, the same for agents and operator."""

import pytest
from tests.support.specs import changed, spec_of

from rendezvous_api import names
from rendezvous_api.rendezvous_spec import RendezvousSpec


@pytest.mark.parametrize(
    ("max_nodes", "attempts", "timeout", "expected"),
    [
        (4, 3, 120, 120),
        (4, 3, 15, 15),
        (4, 3, 14, 15),
        (2000, 3, 120, 120),
        (2000, 10, 120, 400),
        (2000, 10, 500, 500),
    ],
)
def test_a_member_is_never_lost_for_its_silence_before_it_is_a_suspect(
    max_nodes: int, attempts: int, timeout: int, expected: int
) -> None:
    spec = spec_of(1, max_nodes, max_missed=attempts, suspect_seconds=timeout)
    assert spec.suspect_seconds == expected
    assert changed(spec, suspect_seconds=expected).suspect_seconds == expected


def test_the_defaults_suit_every_size() -> None:
    specs = [RendezvousSpec(1, max_nodes) for max_nodes in range(1, names.MAX_NODES + 1)]
    assert {spec.suspect_seconds for spec in specs} == {RendezvousSpec(1, 1).timeouts.suspect_seconds}
