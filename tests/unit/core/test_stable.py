"""Rule "stable ranks"."""

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.core.builders import participant

from rendezvous_api.participant import Participant
from rendezvous_api.rendezvous import Member, RankOwner
from rendezvous_operator.core.rank.stable import later_ranks
from rendezvous_operator.core.select.order import in_later_order


def group(*nodes: str, **indices: int) -> tuple[Member, ...]:
    """Members in the order of their ranks; keyword arguments give the pod index of some."""
    return tuple(Member(node, "first", 1, rank, indices.get(node)) for rank, node in enumerate(nodes))


def asking(*nodes: str, **indices: int) -> list[Participant]:
    return [participant(node, attempt=2, index=indices.get(node)) for node in nodes]


def next_group(members: tuple[Member, ...], nodes: list[Participant], limit: int = 99) -> tuple[Member, ...]:
    return later_ranks(in_later_order(nodes, members, ())[:limit], members)


def names(members: tuple[Member, ...]) -> list[str]:
    return [member.name for member in members]


def test_who_stays_keeps_its_rank() -> None:
    members = group("c", "a", "b")
    assert names(next_group(members, asking("a", "b", "c"))) == ["c", "a", "b"]


def test_a_hole_goes_to_the_same_name() -> None:
    members = group("a", "b", "c")
    again = [*asking("a", "c"), participant("b", incarnation="second")]
    assert names(next_group(members, again)) == ["a", "b", "c"]


def test_else_to_the_same_pod_index_coming_back() -> None:
    members = group("p-aaa", "p-bbb", "p-ccc", **{"p-aaa": 0, "p-bbb": 1, "p-ccc": 2})
    back = asking("p-aaa", "p-ccc", "p-new", "p-eee", **{"p-aaa": 0, "p-ccc": 2, "p-new": 1, "p-eee": 7})
    assert names(next_group(members, back, limit=3)) == ["p-aaa", "p-new", "p-ccc"]


def test_indices_that_repeat_are_ignored() -> None:
    members = group("a", "b", **{"a": 0, "b": 1})
    back = asking("a", "x", "y", **{"a": 0, "x": 1, "y": 1})
    assert names(next_group(members, back, limit=2)) == ["a", "x"]


def test_else_to_a_spare_else_to_a_newcomer() -> None:
    members = group("a", "b", "c")
    nodes = [participant("early", created=0), participant("spare", created=5), *asking("a")]
    order = in_later_order(nodes, members, ("spare",))
    assert names(later_ranks(order, members)) == ["a", "spare", "early"]


def test_when_the_group_shrinks_the_highest_ranks_move_into_the_holes() -> None:
    members = group("a", "b", "c", "d", "e")
    assert names(next_group(members, asking("b", "c", "d", "e"))) == ["e", "b", "c", "d"]
    assert names(next_group(members, asking("b", "d", "e"))) == ["d", "b", "e"]


def test_who_was_stood_in_for_gets_its_rank_back() -> None:
    shrunk = next_group(group("a", "b", "c", "d"), asking("b", "c", "d"))
    assert names(shrunk) == ["d", "b", "c"]
    assert shrunk[0].stands_in_for == RankOwner("a", None)
    grown = next_group(shrunk, asking("a", "b", "c", "d"))
    assert names(grown) == ["a", "b", "c", "d"]
    assert all(member.stands_in_for is None for member in grown)


def test_also_by_pod_index() -> None:
    indices = {"a": 0, "b": 1, "c": 2}
    shrunk = next_group(group("a", "b", "c", **indices), asking("b", "c", **indices))
    assert shrunk[0].stands_in_for == RankOwner("a", 0)
    assert names(next_group(shrunk, asking("b", "c", "a2", b=1, c=2, a2=0))) == ["a2", "b", "c"]


def test_a_group_that_grows_again_has_its_ranks_by_pod_index() -> None:
    indices = {"a": 0, "b": 1, "c": 2, "d": 3}
    alone = next_group(group("a", "b", "c", "d", **indices), asking("d", **indices))
    assert alone[0].stands_in_for == RankOwner("a", 0)
    back = [*asking("d", **indices), *asking("c2", "b2", "a2", c2=2, b2=1, a2=0)]
    assert names(next_group(alone, back)) == ["a2", "b2", "c2", "d"]
    assert names(next_group(alone, asking("d", "c2", "b2", d=3, c2=2, b2=1))) == ["d", "b2", "c2"]
    # They may also come one after the other.
    with_b, with_c = (next_group(alone, asking("d", new, d=3, **{new: index})) for new, index in (("b2", 1), ("c2", 2)))
    assert names(with_b) == ["d", "b2"]
    assert with_b[0].stands_in_for == RankOwner("a", 0)
    assert names(next_group(with_b, asking("d", "b2", "a2", d=3, b2=1, a2=0))) == ["a2", "b2", "d"]
    assert names(next_group(with_b, back)) == ["a2", "b2", "c2", "d"]
    # c2 has a rank that is not its own, so it may have come instead of a.
    assert names(with_c) == ["d", "c2"]
    assert with_c[0].stands_in_for is None
    # An index does not take a rank from who stays, nor one that a lost member had from a spare.
    members = group("x", "y", "z", x=7, y=8, z=9)
    assert names(next_group(members, asking("x", "y", "z", "new", x=7, y=8, z=9, new=1))) == ["x", "y", "z", "new"]
    order = in_later_order([*asking("x", "z", x=7, z=9), *asking("spare", "new", spare=5, new=1)], members, ("spare",))
    assert names(later_ranks(order, members)) == ["x", "spare", "z", "new"]


def test_an_index_that_repeats_gives_no_place() -> None:
    members = group("a", a=0)
    twice = [*asking("a", a=0), participant("y", index=2), participant("x", index=2)]
    assert names(next_group(members, twice)) == ["a", "x", "y"]


def test_standing_in_lasts_while_the_group_is_that_small() -> None:
    shrunk = next_group(group("a", "b", "c", "d"), asking("b", "c", "d"))
    once_more = next_group(shrunk, asking("b", "c", "d"))
    assert once_more[0].stands_in_for == RankOwner("a", None)
    with_another = next_group(once_more, asking("b", "c", "d", "x"))
    assert names(with_another) == ["d", "b", "c", "x"]
    assert with_another[0].stands_in_for is None
    # a is a newcomer like any other now.
    assert names(next_group(with_another, asking("a", "b", "c", "d", "x"))) == ["d", "b", "c", "x", "a"]


def test_a_stand_in_of_a_stand_in_stands_in_for_the_first() -> None:
    shrunk = next_group(group("a", "b", "c", "d"), asking("b", "c", "d"))
    again = next_group(shrunk, asking("b", "c"))
    assert names(again) == ["c", "b"]
    assert again[0].stands_in_for == RankOwner("a", None)


def test_in_a_group_that_does_not_shrink_nobody_stands_in() -> None:
    """Whoever comes later than the owner of a rank has no claim to it: the group is complete."""
    shrunk = next_group(group("a", "b", "c"), asking("b", "c"))
    assert names(shrunk) == ["c", "b"]
    assert shrunk[0].stands_in_for == RankOwner("a", None)
    # a comes back, and b is lost: c gives its rank back, and takes that of b.
    complete = next_group(shrunk, asking("a", "c"))
    assert names(complete) == ["a", "c"]
    assert [one.stands_in_for for one in complete] == [None, None]


def test_a_newcomer_in_the_rank_of_a_stand_in_is_none() -> None:
    shrunk = next_group(group("a", "b", "c", "d"), asking("b", "c", "d"))
    assert shrunk[0].stands_in_for == RankOwner("a", None)
    replaced = next_group(shrunk, [*asking("b", "c"), participant("d", incarnation="second"), participant("x")], 3)
    assert names(replaced) == ["d", "b", "c"]
    shrunk_again = next_group(shrunk, [*asking("c"), participant("x")])
    assert names(shrunk_again) == ["c", "x"]
    assert shrunk_again[1].stands_in_for is None, "x was no member, so no rank is kept for another node in its place"


NODES = st.sampled_from([f"n{number}" for number in range(8)])


@given(
    before=st.lists(NODES, min_size=1, max_size=6, unique=True),
    rounds=st.lists(st.lists(NODES, min_size=1, max_size=6, unique=True), min_size=1, max_size=4),
    indexed=st.booleans(),
)
def test_ranks_are_a_permutation_and_each_member_that_can_keeps_its_own(
    before: list[str], rounds: list[list[str]], indexed: bool
) -> None:
    indices = {node: int(node[1:]) for node in (f"n{number}" for number in range(8))} if indexed else {}
    members = group(*before, **indices)
    for nodes in rounds:
        after = next_group(members, asking(*nodes, **indices))
        assert sorted(names(after)) == sorted(nodes)
        assert [member.rank for member in after] == list(range(len(nodes)))
        for member in members:
            returned = member.stands_in_for is not None and member.stands_in_for.name in nodes
            if member.name in nodes and member.rank < len(nodes) and not returned:
                assert after[member.rank].name == member.name
        members = after
