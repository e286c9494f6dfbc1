"""Objects of other releases, and of others' making: what is not understood is left out and said, and nothing is run."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.cli.played import trains, trains_again

from kube_rendezvous_cli import lenient
from kube_rendezvous_cli.get import group_json, tree
from kube_rendezvous_cli.group import group_of
from kube_rendezvous_cli.history import history
from kube_rendezvous_cli.kubectl import documents
from kube_rendezvous_cli.text import count, listing, painted, safe, table
from kube_rendezvous_cli.times import age, duration
from kube_rendezvous_cli.why import why
from rendezvous_api.codec import DecodeError
from rendezvous_api.meta import parse_time
from rendezvous_api.rendezvous import Rendezvous

REMOVED = object()


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where each value is in an object."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        yield (*path, key)
        yield from paths(child, (*path, key))


def test_whatever_one_field_is_the_rest_is_shown() -> None:
    """Each field in turn is removed, or has a value of another type, as in another release."""
    scenario = trains_again(max_restarts=20)
    rendezvous, participants, pods = scenario.objects()
    tried = 0
    for number, path in enumerate(paths(rendezvous)):
        for other in (REMOVED, ({"new": True}, ["new"], 7)[number % 3]):
            changed = copy.deepcopy(rendezvous)
            parent: Any = changed
            for step in path[:-1]:
                parent = parent[step]
            if other is REMOVED:
                del parent[path[-1]]
            else:
                parent[path[-1]] = other
            group = group_of(changed, participants, pods)
            for shown in (tree, why, history, group_json):
                assert shown(group, scenario.now)
            tried += 1
    assert tried > 200


def test_what_was_left_out_is_said() -> None:
    scenario = trains()
    rendezvous, participants, pods = scenario.objects()
    rendezvous["status"]["history"][0]["nodes"] = "three"
    rendezvous["status"]["fromTheFuture"] = {"a": 1}
    del participants[0]["spec"]["nodeID"]
    group = group_of(rendezvous, participants, pods)
    left_out = ["train: status.history[0].nodes: 'three' is no int", "train.train-0: spec.nodeID: is required"]
    assert list(group.problems) == left_out
    assert tree(group, scenario.now).endswith("".join(f"\nnote: {problem}" for problem in left_out))
    assert group.participants["train.train-0"].spec.pod_name == "train-0"


def test_a_field_that_must_be_there_gets_something_empty() -> None:
    rendezvous = trains_again().objects()[0]
    del rendezvous["status"]["history"][0]["formed"]
    del rendezvous["spec"]["minNodes"]
    rendezvous["metadata"]["labels"] = {"a.b/c": 7}
    read, problems = lenient.read(Rendezvous, rendezvous)
    assert read.status.history[0].formed == lenient.UNKNOWN
    assert (read.spec.min_nodes, read.spec.max_nodes) == (0, 4)
    assert len(problems) == 3
    empty, problems = lenient.read(Rendezvous, {})
    assert (empty.metadata.name, empty.spec.max_nodes) == (lenient.UNKNOWN, 0)
    with pytest.raises(DecodeError, match="is no object"):
        lenient.read(Rendezvous, [])  # type: ignore[arg-type]


def test_a_participant_that_cannot_be_read_hides_no_other() -> None:
    scenario = trains()
    rendezvous, participants, pods = scenario.objects()
    participants[1]["spec"] = "?"
    group = group_of(rendezvous, participants, pods)
    assert set(group.participants) == {"train.train-0", "train.train-2"}
    assert "train.train-1: spec: '?' is no object" in group.problems


def test_what_others_write_is_no_command_for_the_terminal() -> None:
    scenario = trains()
    rendezvous, participants, pods = scenario.objects()
    rendezvous["status"]["conditions"][0]["message"] = "\x1b[2J\x1b]0;title\x07 gone"
    shown = safe(tree(group_of(rendezvous, participants, pods), scenario.now))
    assert "\x1b" not in shown
    assert "\\x1b[2J" in shown
    assert shown.count("\n") > 3


def test_words_for_how_something_is_have_a_colour() -> None:
    assert painted("x   Running   1") == "x   \x1b[32mRunning\x1b[0m   1"
    assert "\x1b[31m" in painted("it is lost")
    assert painted("train-lost Running-1") == "train-lost Running-1", "names have none"
    assert painted("RANK   POD") == "\x1b[1mRANK   POD\x1b[0m"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (119.9, "119s"), (120, "2m"), (212, "3m32s"), (720, "12m"), (11000, "3h3m"), (86400 * 3, "3d")],
)
def test_ages_are_those_of_kubectl(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test_times() -> None:
    assert duration(14.94) == "14.9 s"
    assert duration(61) == "61s"
    for text in ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000Z", "2026-01-02T04:04:05.0000001+01:00"):
        moment = parse_time(text)
        assert moment is not None
        assert moment.isoformat() == "2026-01-02T03:04:05+00:00"
    for text in ("", "now", "2026-13-02T03:04:05Z", "2026-01-02"):
        assert parse_time(text) is None
    assert parse_time(None) is None


def test_small_words() -> None:
    assert (count(1, "node"), count(2, "node")) == ("1 node", "2 nodes")
    assert listing([]) == ""
    assert listing(["a"]) == "a"
    assert listing(["a", "b"]) == "a and b"
    assert listing(["a", "b", "c", "d"]) == "a, b, c and d"
    assert listing(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert table(("A", "LONG"), [("wide", "b"), ("c", "")]) == ["A      LONG", "wide   b", "c"]


def test_a_watch_is_read_object_by_object() -> None:
    lines = ["{\n", '    "type": "ADDED",\n', '    "object": {\n', '        "a": "}"\n', "    }\n", "}\n"] * 2
    assert [*documents(iter(lines))] == [{"type": "ADDED", "object": {"a": "}"}}] * 2
    in_one_line = ['{"type": "ADDED", "object": {"a": "}"}}\n'] * 2
    assert [*documents(iter(in_one_line))] == [*documents(iter(lines))]
