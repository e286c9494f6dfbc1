"""Parts of the sentences that people read."""

from rendezvous_api import names
from rendezvous_api.rendezvous import Missing
from rendezvous_api.text import one_line
from rendezvous_operator.core.words import cut, listing, more_nodes, number_of_nodes


def test_one_is_singular() -> None:
    assert [number_of_nodes(count) for count in (0, 1, 2)] == ["0 nodes", "1 node", "2 nodes"]
    assert [more_nodes(count) for count in (1, 2)] == ["1 more node", "2 more nodes"]


def test_a_long_list_ends_with_a_number() -> None:
    found = [Missing(name, "is Pending") for name in "abcde"]
    assert listing(found[:2]) == "a is Pending, b is Pending"
    assert listing(found) == "a is Pending, b is Pending, c is Pending and 2 more"
    assert listing([]) == ""


def test_a_message_is_never_too_long_for_the_schema() -> None:
    most = names.MAX_MESSAGE_LENGTH
    assert cut("x" * most) == "x" * most
    assert cut("x" * (most + 1)) == "x" * (most - 3) + "..."


def test_a_text_of_others_is_one_line() -> None:
    assert one_line("Pod \u00fc is Pending") == "Pod \u00fc is Pending"
    assert one_line("a\nb\r\x1b[31m\u2028c") == "a\\nb\\r\\x1b[31m\\u2028c"
