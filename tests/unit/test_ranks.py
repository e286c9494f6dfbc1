"""Sets of ranks as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rendezvous_api import ranks


@pytest.mark.parametrize(
    ("found", "text"),
    [((), ""), ((3,), "3"), ((0, 1), "0-1"), ((5, 3, 4, 0), "0,3-5"), ((1, 3, 5), "1,3,5"), (range(2000), "0-1999")],
)
def test_a_set_of_ranks_is_written_in_the_shortest_way(found: tuple[int, ...], text: str) -> None:
    assert ranks.to_text(found) == text


@given(st.sets(st.integers(min_value=0, max_value=1999)))
def test_what_was_written_is_read_again(found: set[int]) -> None:
    assert ranks.from_text(ranks.to_text(found)) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", set()),
        ("x", set()),
        ("1,x,3", {1, 3}),
        ("5-3", set()),
        ("-1", set()),
        ("1998-4000000000", set()),
        ("1998-400000000", {1998, 1999}),
        ("99999", set()),
        (" 1, 2 ", {1, 2}),
    ],
)
def test_a_text_of_another_release_names_only_ranks(text: str, found: set[int]) -> None:
    assert ranks.from_text(text) == found
