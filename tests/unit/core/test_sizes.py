"""Rule "size": which sizes a round may have."""

import pytest

from rendezvous_api.rendezvous_spec import RendezvousSpec
from rendezvous_operator.core.sizes.sizes import Sizes, sizes_of


def test_all_from_the_fewest_to_the_most_are_allowed() -> None:
    sizes = sizes_of(RendezvousSpec(2, 4))
    assert sizes.allowed == (2, 3, 4)
    assert (sizes.fewest, sizes.most) == (2, 4)
    assert [sizes.fitting(nodes) for nodes in (1, 2, 4, 5)] == [0, 2, 4, 4]


@pytest.mark.parametrize(("nodes", "size"), [(0, 0), (1, 0), (2, 2), (3, 2), (4, 4), (7, 4), (8, 8), (99, 8)])
def test_so_many_nodes_fill_the_largest_size_that_they_can(nodes: int, size: int) -> None:
    assert Sizes((2, 4, 8)).fitting(nodes) == size


def test_where_no_size_is_allowed_none_fits() -> None:
    sizes = Sizes(())
    assert (sizes.fewest, sizes.most, sizes.fitting(9)) == (0, 0, 0)
