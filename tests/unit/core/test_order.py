"""The order in which the places of a round are given."""

from tests.unit.core.builders import participant

from rendezvous_api.participant import Participant
from rendezvous_api.rendezvous import Member, RankOwner
from rendezvous_operator.core.rank.stable import first_ranks
from rendezvous_operator.core.select.order import heirs_of, in_first_order


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


def test_an_index_of_some_nodes_gives_no_order() -> None:
    assert names(first_ranks(in_first_order(asking("a", "x", "z", a=1, z=0)))) == ["a", "x", "z"]


def member(name: str, rank: int, index: int | None = None) -> Member:
    return Member(name, "first", 1, rank, index)


def test_nobody_inherits_the_rank_of_a_member_that_is_there() -> None:
    """Two agents of one pod have the same podIndex."""
    nodes = [*asking("train-0-aaaaa", **{"train-0-aaaaa": 0}), *asking("train-0-aaaaa.1", **{"train-0-aaaaa.1": 0})]
    assert heirs_of(nodes, [member("train-0-aaaaa", 0, 0)]) == {}


def test_a_newcomer_inherits_one_rank_only() -> None:
    stands_in = Member("c", "first", 1, 0, 2, RankOwner("a", 0))
    nodes = asking("c", "a", c=2, a=1)
    assert heirs_of(nodes, [stands_in, member("b", 1, 1)]) == {"a": 0}, "that of its name, not also that of its index"
