"""What the page of `kubectl rdzv dashboard` shows: it is what the other commands say."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.cli.fed import Fed, listed
from tests.unit.cli.played import Played, has_lost_one, named, trains, trains_again, trains_with_beats, waits

from kube_rendezvous_cli import history
from kube_rendezvous_cli.dashboard.live import WHAT, Live
from kube_rendezvous_cli.dashboard.snapshot import Objects, all_groups, one_group, sorted_objects
from kube_rendezvous_cli.follow import Broken, Seen, by_uid
from kube_rendezvous_cli.get import group_json
from kube_rendezvous_cli.timeline import Kind
from kube_rendezvous_cli.why import why

Json = dict[str, Any]
TRAIN = ("team-a", "train")
SCENARIOS = (trains, has_lost_one, trains_again, waits, trains_with_beats)


def objects_of(scenario: Played, *broken: Broken) -> Objects:
    found = {kind: by_uid(items) for kind, items in listed(scenario).items()}
    return sorted_objects(found, broken, scenario.now, WHAT)


def shown(scenario: Played) -> Json:
    group: Json = one_group(objects_of(scenario), TRAIN)["group"]
    return group


def node(scenario: Played, pod: str) -> Json:
    found: list[Json] = [each for each in shown(scenario)["nodes"] if each["pod"] == pod]
    return found[0]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_group_is_shown_as_the_other_commands_show_it(scenario: Callable[[], Played]) -> None:
    played = scenario()
    group, page = played.shown(), shown(played)
    for name, value in group_json(group, played.now).items():
        if name != "nodes":
            assert page[name] == value
    for mine, theirs in zip(page["nodes"], group_json(group, played.now)["nodes"], strict=True):
        assert {key: mine[key] or None for key in theirs if key != "rank"} == {
            key: value or None for key, value in theirs.items() if key != "rank"
        }
    said = why(group, played.now)
    assert all(part in said for part in page["why"].values())
    if page["rounds"]:
        told = history.history(group, played.now)
        assert all(each["message"] in told and each["reason"] in told for each in page["rounds"])
        assert page["goodput"] in told
    assert json.loads(json.dumps(page)) == page


def test_how_many_nodes_are_in_which_state() -> None:
    scenario = trains_again(max_nodes=3)
    scenario.start("train-4")
    scenario.silent(*named("train-1"))
    scenario.after(21)
    counts = {(each["what"], each["tone"]): each["count"] for each in shown(scenario)["counts"]}
    assert counts == {("training", "good"): 2, ("silent", "waits"): 1, ("spare", "idle"): 1}
    assert node(scenario, "train-1")["tone"] == "waits"
    (gone,) = [each for each in shown(has_lost_one())["nodes"] if each["state"] == "gone"]
    assert gone["tone"] == "bad"
    assert node(waits(), "train-1")["tone"] == "waits"


def test_the_spans_of_all_rounds_are_on_one_axis() -> None:
    page = shown(trains_again())
    assert [each["round"] for each in page["rounds"]] == [2, 1], "the newest first"
    spans = [span for each in reversed(page["rounds"]) for span in each["spans"]]
    at = 0.0
    for span in spans:
        assert span["from"] == pytest.approx(at)
        at += span["seconds"]
    assert page["axis"]["seconds"] == pytest.approx(at)
    assert page["axis"]["end"] == "now"
    assert {span["kind"] for span in spans} <= {*page["axis"]["kinds"]} == {kind.value for kind in Kind}
    assert shown(waits())["axis"] is None


def test_what_peers_say_is_shown() -> None:
    scenario = trains_with_beats(confirm_seconds=60)
    scenario.says(missed=named("train-2"))
    assert "no beats of it reach the host" in node(scenario, "train-2")["peers"]
    assert "its beats reach the host" in node(scenario, "train-1")["peers"]
    scenario.view("Missed", *named("train-1"))
    assert "it gets no answers from the host" in node(scenario, "train-1")["peers"]
    assert "no answers from it: 1 member" in node(scenario, "train-0")["peers"]
    assert node(trains(), "train-1")["peers"] == ""


def test_all_groups_are_listed_in_order() -> None:
    found = listed(trains())
    other = json.loads(json.dumps(found["rendezvous"][0]))
    other["metadata"] |= {"namespace": "another", "uid": "other"}
    found["rendezvous"].append(other)
    objects = sorted_objects({kind: by_uid(items) for kind, items in found.items()}, (), trains().now, WHAT)
    page = all_groups(objects)
    assert [(each["namespace"], each["tone"]) for each in page["groups"]] == [("another", "good"), ("team-a", "good")]
    # Each node belongs to the group of its own namespace.
    another = one_group(objects, ("another", "train"))["group"]
    assert {each["state"] for each in another["nodes"]} == {"gone"}
    assert one_group(objects, ("team-b", "train"))["group"] is None


def test_what_is_stale_is_shown_as_of_the_last_moment_at_which_it_was_known() -> None:
    scenario = trains()
    since = scenario.now - timedelta(seconds=40)
    stale = one_group(objects_of(scenario, Broken("pods", since, "connection refused")), TRAIN)
    assert stale["stale"]["age"] == "40s"
    assert stale["stale"]["reason"] == "connection refused"
    assert stale["group"]["nodes"][0]["state"] == "training 65s"
    assert shown(scenario)["nodes"][0]["state"] == "training 105s"
    # A watch that ends, as each does after a while, is nothing before it does not begin again.
    for seconds, said in ((1, None), (4, "kubectl's watch of pods has ended")):
        ended = Broken("pods", scenario.now - timedelta(seconds=seconds), "")
        page = all_groups(objects_of(scenario, ended))["stale"]
        assert (page is None) == (said is None)
        assert page is None or page["reason"].startswith(said)


def test_a_right_that_is_missing_is_a_note_and_the_rest_is_shown() -> None:
    reason = "Error from server (Forbidden): pods is forbidden"
    page = one_group(objects_of(trains(), Broken("pods", trains().now, reason)), TRAIN)
    assert page["stale"] is None
    assert page["group"]["problems"] == [f"pods cannot be listed: {reason}"]
    late = all_groups(objects_of(trains(), Broken("rendezvous", trains().now, reason)))
    assert late["stale"]["reason"] == reason


def test_a_view_is_computed_when_there_is_news(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = trains()
    watches = Fed(scenario)
    live = Live(watches, lambda: scenario.now)
    monkeypatch.setattr("kube_rendezvous_cli.dashboard.live.TOGETHER_SECONDS", 0.05)
    assert live.view(None, 0, 0.01) == (0, None), "nothing is known yet"
    live.follow()
    number, text = live.view(TRAIN, 0, 1)
    assert live.view(TRAIN, 0, 1)[1] is text, "two pages, computed once"
    assert live.view(TRAIN, number, 0.01) == (number, None)
    changed = listed(scenario)["rendezvous"][0]
    changed["metadata"]["name"] = "train\u202egnp.exe"
    changed["spec"]["suspend"] = True
    watches.feed(Seen("rendezvous", {"type": "MODIFIED", "object": changed}))
    live.follow()
    newer, text = live.view(None, number, 1)
    assert newer > number
    assert b'"name":"train\\\\u202egnp.exe"' in (text or b""), "no letter turns the direction of writing"
    live.end()
    assert live.view(TRAIN, 0, 10) == (0, None)
    assert live.ended
