"""The order in which the places of a round are given."""

from tests.unit.core.builders import participant

from rendezvous_api.participant import Participant
from rendezvous_api.rendezvous import Member
from rendezvous_operator.core.rank.stable import first_ranks
from rendezvous_operator.core.select.order import in_first_order


def asking(*nodes: str, **indices: int) -> list[Participant]:
    return [participant(node, attempt=2, index=indices.get(node)) for node in nodes]


def names(members: tuple[Member, ...]) -> list[str]:
    return [member.name for member in members]


def test_the_first_round_goes_by_pod_index() -> None:
    assert names(first_ranks(in_first_order(asking("x", "y", "z", x=2, y=0, z=1)))) == ["y", "z", "x"]


def test_without_an_index_for_each_it_goes_by_natural_order_of_names() -> None:
    assert names(first_ranks(in_first_order(asking("n-10", "n-9", "n-1")))) == ["n-1", "n-9", "n-10"]
    repeated = [participant("b", index=0), participant("a", index=0)]
    assert names(first_ranks(in_first_order(repeated))) == ["a", "b"]
