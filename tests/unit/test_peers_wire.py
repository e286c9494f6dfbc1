"""The lines that members and host of a round send each other, also those that no release has sent."""

from dataclasses import replace

import pytest
from tests.support.peers import FENCE, UID, peer

from rendezvous_api.participant import PeerReport
from rendezvous_handler.peers import wire
from rendezvous_handler.peers.wire import Answer, WireError

HOST = peer(0, 4)


def text(line: bytes) -> str:
    """A line as it is read."""
    assert line.endswith(b"\n")
    return line.decode("ascii").rstrip("\n")


def test_a_member_says_who_it_is() -> None:
    assert wire.read_hello(text(wire.hello(peer(3, 4))), HOST) == 3
    assert len(wire.hello(peer(1999, 2000))) < wire.LONGEST_FROM_MEMBER


def test_a_later_release_may_say_more() -> None:
    assert wire.read_hello(f"kube-rendezvous-peers/1 {UID} {FENCE} 3 more and more", HOST) == 3
    assert wire.read_beat("beat yes 64-bytes-of-payload") == wire.Beat(arrives=True)
    assert wire.read_beat("beat no unanswered 64-bytes-of-payload") == wire.Beat(arrives=False, unanswered=True)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (text(wire.hello(replace(peer(3, 4), uid="another"))), "another Rendezvous"),
        (text(wire.hello(replace(peer(3, 4), fence="another"))), "another round"),
        (text(wire.hello(peer(0, 4))), "1 to 3"),
        (text(wire.hello(peer(4, 4))), "1 to 3"),
        (text(wire.hello(peer(-1, 4))), "1 to 3"),
        (f"kube-rendezvous-peers/1 {UID} {FENCE} {'9' * 400}", "1 to 3"),
        (f"kube-rendezvous-peers/1 {UID} {FENCE} x", "1 to 3"),
        (f"kube-rendezvous-peers/1 {UID} {FENCE}", "is spoken here"),
        (f"kube-rendezvous-peers/2 {UID} {FENCE} 3", "is spoken here"),
        ("beat yes", "is spoken here"),
        ("GET / HTTP/1.1", "is spoken here"),
        ("", "is spoken here"),
    ],
)
def test_who_is_no_member_of_the_round_is_answered_why(line: str, why: str) -> None:
    with pytest.raises(WireError, match=why) as raised:
        wire.read_hello(line, HOST)
    assert wire.read_refusal(text(wire.refusal(str(raised.value)))) == str(raised.value)


@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize("unanswered", [True, False])
def test_a_beat_says_whether_the_heartbeats_reach_the_api_server_and_whether_the_host_answers(
    arrives: bool, unanswered: bool
) -> None:
    said = wire.Beat(arrives, unanswered)
    assert wire.read_beat(text(wire.beat(said))) == said


@pytest.mark.parametrize("arrives", [True, False])
def test_an_earlier_release_reads_a_beat(arrives: bool) -> None:
    """It reads the second word and passes over the others."""
    words = text(wire.beat(wire.Beat(arrives, unanswered=True))).split(" ")
    assert words[:2] == ["beat", "yes" if arrives else "no"]


@pytest.mark.parametrize("line", ["", "beat", "beats yes", "farewell", "answer 1 -", "later words"])
def test_another_line_is_no_beat(line: str) -> None:
    assert wire.read_beat(line) is None


@pytest.mark.parametrize(
    "said",
    [
        Answer(0, None, None),
        Answer(7, None, PeerReport(7)),
        Answer(7, 3, PeerReport(7, missed="1,3-5", closed="2", left="6", not_connected="7-1999")),
        Answer(2147483647, 1999, PeerReport(2147483647, too_many=True)),
        Answer(8, 1, None),
    ],
    ids=str,
)
def test_an_answer_is_read_as_it_was_said(said: Answer) -> None:
    assert wire.read_answer(text(wire.answer(said))) == said


def test_the_longest_answer_is_a_line() -> None:
    full = "1" * 4096
    assert len(wire.answer(Answer(1, 1, PeerReport(1, full, full, full, full)))) < wire.LONGEST_FROM_HOST


def test_a_field_of_a_later_release_is_passed_over() -> None:
    assert wire.read_answer('answer 1 - {"number":1,"missed":"2","later":[1]}') == Answer(1, None, PeerReport(1, "2"))


@pytest.mark.parametrize(
    "line",
    [
        "answer",
        "answer 1",
        "answer x -",
        "answer 1 x",
        "answer 1 - {",
        "answer 1 - []",
        "answer 1 - 7",
        'answer 1 - {"number":"1"}',
        'answer 1 - {"missed":"2"}',
        "answer 1 - " + "[" * 30000,
    ],
    ids=lambda line: line[:24],
)
def test_an_answer_that_cannot_be_read_is_an_error(line: str) -> None:
    with pytest.raises(WireError, match="an answer cannot be read"):
        wire.read_answer(line)


@pytest.mark.parametrize("line", ["", "beat yes", "hello", "later answer"])
def test_another_line_is_no_answer(line: str) -> None:
    assert wire.read_answer(line) is None


def test_last_words_are_known_whatever_follows() -> None:
    assert wire.is_last(text(wire.FAREWELL), wire.FAREWELL)
    assert wire.is_last("farewell because", wire.FAREWELL)
    assert wire.is_last(text(wire.RETIRED), wire.RETIRED)
    assert not wire.is_last(text(wire.RETIRED), wire.FAREWELL)
    assert not wire.is_last("farewells", wire.FAREWELL)


# ---- lines out of bytes


def test_lines_come_whole_however_they_are_cut() -> None:
    sent = b"one\ntwo\n\nthree\nfo"
    for cut in range(len(sent)):
        buffer, found = bytearray(), []
        for part in (sent[:cut], sent[cut:]):
            buffer += part
            found += list(wire.lines(buffer, 16))
        assert found == ["one", "two", "", "three"]
        assert bytes(buffer) == b"fo"


@pytest.mark.parametrize("sent", [b"x" * 16, b"x" * 16 + b"\n", b"one\n" + b"x" * 20, b"x" * 1000])
def test_a_line_that_is_too_long_is_an_error(sent: bytes) -> None:
    with pytest.raises(WireError, match="longer than 16 bytes"):
        list(wire.lines(bytearray(sent), 16))


def test_a_line_of_fifteen_bytes_is_none() -> None:
    assert list(wire.lines(bytearray(b"x" * 15 + b"\n"), 16)) == ["x" * 15]


def test_bytes_that_are_no_text_are_an_error() -> None:
    with pytest.raises(WireError, match="no text"):
        list(wire.lines(bytearray(b"\xff\xfe\n"), 16))
