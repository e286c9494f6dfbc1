"""The rounds on one axis of time, and what they cost."""

import xml.etree.ElementTree as ET
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hack.pictured_round import Life
from tests.unit.cli.played import Played, has_lost_one, named, trains, trains_again
from tests.unit.core.builders import now

from kube_rendezvous_cli import arguments
from kube_rendezvous_cli.group import Group, group_of
from kube_rendezvous_cli.history import history, history_json
from kube_rendezvous_cli.kubectl import CommandError
from kube_rendezvous_cli.plot import plot
from kube_rendezvous_cli.session import Session
from kube_rendezvous_cli.timeline import Kind, Round, columns, time_lost, timeline
from rendezvous_api.codec import encode
from rendezvous_api.reasons import LeaveReason
from rendezvous_api.rendezvous import Rendezvous


def of(life: Life) -> tuple[Group, datetime]:
    return group_of(encode(Rendezvous(life.metadata, life.spec, life.status)), (), ()), now(life.clock).wall


def test_the_life_of_a_round_is_told_as_in_how_it_works() -> None:
    """Formed after 35 s, checked in at 43 s, last heard at 100 s, asked at 117 s, ended at 119 s, the next at 125 s."""
    first, second = timeline(*of(Life()))
    assert [(span.kind, span.seconds) for span in first.spans] == [
        (Kind.STARTING, 8),
        (Kind.TRAINING, 57),
        (Kind.DETECTING, 17),
        (Kind.STOPPING, 2),
        (Kind.FORMING, 6),
    ]
    assert time_lost([first, second], 1) == 17 + 2 + 6 + second.seconds(Kind.STARTING)
    assert second.going_on
    assert not first.going_on


def whole(rounds: list[Round]) -> float:
    return sum(span.seconds for each in rounds for span in each.spans)


@pytest.mark.parametrize("seconds", [0, 0.5, 1, 7, 100])
def test_the_times_of_a_run_are_its_wall_time(seconds: float) -> None:
    scenario = trains_again()
    scenario.after(seconds)
    rounds = timeline(scenario.shown(), scenario.now)
    begin = rounds[0].begin
    assert whole(rounds) == pytest.approx((scenario.now - begin).total_seconds())
    for one, following in pairwise(rounds):
        assert one.end == following.begin
        assert all(a.end == b.begin for a, b in pairwise(one.spans))


def test_a_group_that_stands_still_loses_time_until_now() -> None:
    scenario = has_lost_one()
    rounds = timeline(scenario.shown(), scenario.now)
    before = time_lost(rounds, 1)
    assert before is not None
    scenario.after(3)
    assert time_lost(timeline(scenario.shown(), scenario.now), 1) == before + 3


def test_a_run_that_has_ended_loses_no_time() -> None:
    scenario = trains()
    scenario.leave(*named("train-0"), reason=LeaveReason.SUCCEEDED)
    end = scenario.now
    (only,) = timeline(scenario.shown(), end + timedelta(hours=1))
    assert only.end <= end
    assert time_lost([only], 1) is None


def test_the_time_between_two_runs_belongs_to_none() -> None:
    scenario = Played(2, 2, last_call_seconds=0)
    scenario.join("train.a", "train.b", run="one")
    scenario.after(10)
    scenario.leave("train.a", "train.b", reason=LeaveReason.SUCCEEDED)
    scenario.gone("train.a", "train.b")
    scenario.after(500)
    scenario.join("train.c", "train.d", run="two")
    scenario.after(10)
    first, second = timeline(scenario.shown(), scenario.now)
    assert (first.end, second.begin) != (second.begin, first.end)
    assert whole([first]) <= 10
    assert history_json(scenario.shown(), scenario.now)["totals"]["trainingSeconds"] <= 10
    assert None in [*columns([first, second], 60)], "the axis shows that no round ran"


def test_what_people_and_programs_get() -> None:
    scenario = trains_again()
    text = history(scenario.shown(), scenario.now)
    value = history_json(scenario.shown(), scenario.now)
    assert (
        "1       00:16:41Z   3       105s      22.0 s   MemberLost   train.train-2: its pod train-2 has failed" in text
    )
    assert value["rounds"][0]["lostSeconds"] == 22
    assert value["rounds"][1]["end"] is None
    assert value["totals"]["goodput"] == pytest.approx(130 / 167)
    assert "training 2m10s (77.8%)" in text


def test_before_the_first_round_there_is_nothing() -> None:
    scenario = Played()
    scenario.start("train-0")
    assert history(scenario.shown(), scenario.now) == "train has had no round yet."
    ET.fromstring(plot(scenario.shown(), scenario.now))


def test_the_picture_has_each_span_and_each_reason() -> None:
    scenario = trains_again()
    root = ET.fromstring(plot(scenario.shown(), scenario.now))
    titles = [title.text or "" for title in root.iter("{http://www.w3.org/2000/svg}title")]
    rounds = timeline(scenario.shown(), scenario.now)
    spans = sum(len(each.spans) for each in rounds)
    assert len(titles) == spans + len(rounds)
    assert any("MemberLost, 22.0 s lost: train.train-2" in title for title in titles)


def test_names_in_the_picture_are_only_text() -> None:
    scenario = trains_again()
    rendezvous, participants, pods = scenario.objects()
    rendezvous["status"]["history"][0]["message"] = "<script>alert(1)</script>"
    drawn = plot(group_of(rendezvous, participants, pods), scenario.now)
    assert "<script>" not in drawn
    ET.fromstring(drawn)


def test_a_time_that_cannot_be_read_is_left_out() -> None:
    scenario = trains_again()
    rendezvous, participants, pods = scenario.objects()
    rendezvous["status"]["history"][0]["formed"] = "yesterday"
    (only,) = timeline(group_of(rendezvous, participants, pods), scenario.now)
    assert only.record.round == 2


@pytest.mark.parametrize(
    ("options", "printed", "drawn"),
    [
        ("", "in words\n", False),
        ("-o json", '"as a value"\n', False),
        ("--plot=FILE", "in words\n", True),
        ("--plot=FILE -o yaml", "as a value\n", True),
        ("--plot=-", "<svg", False),
        ("--plot=- -o json", "<svg", False),
    ],
)
@pytest.mark.parametrize("command", ["history", "simulate"])
def test_rounds_are_shown_as_the_options_say(
    command: str, options: str, printed: str, drawn: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario, file = trains_again(), tmp_path / "rounds.svg"
    words = options.replace("FILE", str(file)).split()
    session = Session(arguments.parsed([command, "train", *words]))
    session.show_rounds(scenario.shown(), scenario.now, lambda: "in words", lambda: "as a value")
    out = capsys.readouterr().out
    assert out == printed or (printed == "<svg" and out == plot(scenario.shown(), scenario.now))
    assert file.exists() == drawn
    if drawn:
        assert file.read_text() == plot(scenario.shown(), scenario.now)


def test_a_picture_that_cannot_be_written_is_named_before_anything_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = trains_again()
    session = Session(arguments.parsed(["history", "train", f"--plot={tmp_path / 'no' / 'folder.svg'}"]))
    with pytest.raises(CommandError, match=r"^--plot=.*/no/folder\.svg: No such file or directory$"):
        session.show_rounds(scenario.shown(), scenario.now, str, str)
    assert capsys.readouterr().out == ""
