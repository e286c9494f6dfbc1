"""`kubectl rdzv simulate`: what is played, and what is shown of it."""

from functools import cache
from random import Random
from typing import Any

import pytest
import yaml
from hack import generate_scenarios
from hack.pictured_losses import losses
from tests.unit.cli.scenarios import Json, item, played, told

from kube_rendezvous_cli.plot import plot
from kube_rendezvous_cli.simulator import operator, scenario, show
from kube_rendezvous_cli.simulator.operator import Operator
from kube_rendezvous_cli.simulator.play import Play
from rendezvous_operator.core.decide import decide


def line(play: Play, what: str) -> str:
    """What was told with this word last."""
    return [entry.message for entry in play.record if entry.what == what][-1]


# ---- the scenarios of the documentation


def test_the_page_has_the_timeline_of_each_scenario() -> None:
    ((page, text),) = generate_scenarios.generated_files().items()
    assert page.read_text(encoding="utf-8") == text, "run hack/generate_scenarios.py"
    assert set(generate_scenarios.TITLES) == set(generate_scenarios.timelines())


def test_the_same_file_gives_the_same_timeline() -> None:
    text = (generate_scenarios.FOLDER / "held-out.yaml").read_text(encoding="utf-8")
    one, other = (scenario.play(scenario.read(yaml.safe_load(text))) for _ in range(2))
    assert show.value(one) == show.value(other)


# ---- what is played


played_by_the_core = cache(losses)

QUICK = {"stopSeconds": 1, "startSeconds": 1}


@pytest.mark.parametrize(
    ("what", "events", "fields"),
    [
        ("its labelled pod is evicted, its Job makes none", [{"at": 700, "evict": "train-1"}], {}),
        ("the same, and no Job would make one", [{"at": 700, "evict": "train-1"}], {"owner": "none"}),
        ("the same, and a spare waits", [{"at": 700, "evict": "train-1"}], {"nodes": 4}),
        (
            "its labelled pod fails, a new one joins after 15 s",
            [{"at": 700, "kill": "train-1"}, {"at": 715, "join": "train-4"}],
            {},
        ),
        (
            "the same, but there is no machine for the new one",
            [{"at": 700, "kill": "train-1"}, {"at": 710, "pending": "train-4"}],
            {},
        ),
        ("its machine loses its power, workers of the others hang", [{"at": 700, "powerOff": "train-1"}], {}),
        ("the same in a group without beats", [{"at": 700, "powerOff": "train-1"}], {"beats": False}),
    ],
)
def test_a_loss_takes_as_long_as_in_the_tests_of_the_core(what: str, events: list[Json], fields: Json) -> None:
    """Those play other agents, and are in docs/protocol/failures.md."""
    (expected,) = (loss for loss in played_by_the_core() if loss.what == what)
    nodes = fields.pop("nodes", 3)
    play = played(*events, agents={**QUICK, **fields}, nodes=nodes, until=1400)
    asked, published = (at for at, _ in [*told(play, "RoundEnded")[:1], *told(play, "RoundPublished")[1:2]])
    # The last heartbeat was sent up to 5 s before the node was lost; there, a pod is gone 1 s after its agent.
    slack = 5 if "powerOff" in events[0] else 1 if "owner" in fields else 0
    assert expected.asked_at - slack <= asked - 700 <= expected.asked_at
    assert expected.next_round_at - slack <= published - 700 <= expected.next_round_at
    assert f": {expected.reason}: " in line(play, "RoundEnded")


def test_the_workers_of_the_others_fail_if_the_file_says_so() -> None:
    play = played({"at": 600, "powerOff": "train-2"}, agents={"workersFailSeconds": 4, "pods": False})
    assert told(play, "RoundEnded") == [(604.0, "RoundEnded")]
    first = next(entry for entry in play.record if entry.at == 604.0)
    assert first.message == "train-0 and train-1 have failed workers"


def test_a_silent_node_is_a_suspect_and_is_heard_again() -> None:
    play = played({"at": 600, "silence": "train-1"}, {"at": 660, "hear": "train-1"}, agents={"beats": False})
    assert [what for _, what in told(play, "Degraded", "MemberSuspected", "RoundEnded")] == [
        "MemberSuspected",
        "Degraded",
    ]
    assert told(play, "MemberResponds") == [(660.0, "MemberResponds")]


def test_a_node_for_which_its_peers_vouch_is_kept_without_heartbeats() -> None:
    silent = {"at": 600, "silence": "train-1"}
    assert told(played(silent, until=1400), "RoundEnded") == []
    assert told(played(silent, until=1400, agents={"beats": False}), "RoundEnded") != []


def test_a_run_ends_when_its_nodes_have_succeeded_and_spares_leave() -> None:
    play = played({"at": 600, "succeed": ["train-0", "train-1", "train-2"]}, nodes=4)
    assert play.operator.status.holds("Complete")
    assert [entry.message for entry in play.record if entry.who == "nodes"][-1] == "train-3 has no more to do, leaves"


def test_an_agent_gives_up_to_wait_after_its_time() -> None:
    play = played(nodes=1, spec={"minNodes": 2, "maxNodes": 2, "timeouts": {"joinSeconds": 40}})
    assert (40.0, "gives up waiting") in [(entry.at, entry.what) for entry in play.record]


def test_a_node_that_was_away_finds_another_round_and_joins_again() -> None:
    events = [{"at": 600, "silence": "train-2"}, {"at": 900, "hear": "train-2"}]
    play = played(*events, agents={"beats": False}, until=1200)
    published = [entry.message[:7] for entry in play.record if entry.what == "RoundPublished"]
    assert published == ["round 1", "round 2", "round 3"]
    assert {member.name for member in play.operator.status.participants} == {"train-0", "train-1", "train-2"}


def test_a_spare_that_is_unhealthy_takes_no_place() -> None:
    events = [{"at": 600, "unhealthy": "train-3"}, {"at": 660, "kill": "train-1"}, {"at": 900, "healthy": "train-3"}]
    play = played(*events, spec={"minNodes": 2, "maxNodes": 3}, nodes=4, until=890)
    assert [at for at, _ in told(play, "NodeUnhealthy")] == [600.0]
    assert [member.name for member in play.operator.status.participants] == ["train-0", "train-2"]
    play = played(*events, spec={"minNodes": 2, "maxNodes": 3}, nodes=4, until=1200)
    assert {member.name for member in play.operator.status.participants} == {"train-0", "train-2", "train-3"}
    assert not play.operator.status.unhealthy


def test_hold_outs_end_when_a_retry_is_requested() -> None:
    text = (generate_scenarios.FOLDER / "held-out.yaml").read_text(encoding="utf-8")
    found = yaml.safe_load(text)
    found["events"] = [{"at": "1s", "cutOff": "train-2"}, {"at": "2m10s", "reconnect": "train-2"}]
    found["events"].append({"at": "2m11s", "request": "retry"})
    play = scenario.play(scenario.read(found))
    assert [at for at, _ in told(play, "NodeHeldOut")] == [120.0]
    assert not play.operator.status.held_out
    assert play.operator.status.nodes == 3


def test_a_new_process_of_the_operator_decides_on_what_happened_without_one() -> None:
    events = [{"at": 600, "operator": "away"}, {"at": 610, "kill": "train-0"}, {"at": 660, "operator": "back"}]
    assert told(played(*events), "RoundEnded") == [(660.0, "RoundEnded")]


def test_1000_nodes_are_played_and_shown() -> None:
    given = {"minNodes": 500, "maxNodes": 1000}
    play = played({"at": 600, "powerOff": "train-999"}, spec=given, nodes=1000, until=900)
    assert (play.operator.status.round, play.operator.status.nodes) == (2, 999)
    assert max(map(len, show.text(play).splitlines())) < 400


# ---- the time between two things that happen


def anything(seed: int) -> Json:
    """Many things happen to five nodes: some of them at one moment, and often nothing for a long time."""
    chance = Random(seed)
    events: list[Json] = []
    at = 0.0
    for _ in range(14):
        at += chance.choice([0, 1, 7, 12, 40, 300, 1500])
        kind = chance.choice([*scenario.OF_NODES, "request", "operator", "edit"])
        nodes = [f"train-{number}" for number in sorted(chance.sample(range(5), chance.randint(1, 3)))]
        value: Any = nodes
        if kind == "request":
            value = chance.choice(["restart", "retry"])
        elif kind == "operator":
            value = chance.choice(["away", "back"])
        elif kind == "edit":
            value = chance.choice(
                [{"suspend": True}, {"suspend": False}, {"maxNodes": 3}, {"timeouts": {"joinSeconds": 60}}]
            )
        elif kind == "pending":
            value = [f"train-{chance.randint(5, 7)}"]
        events.append({"at": at, kind: value})
    agents: Json = {"beats": chance.random() < 0.7, "pods": chance.random() < 0.7}
    if chance.random() < 0.5:
        agents["workersFailSeconds"] = 3
    return item(spec={"minNodes": 2, "maxNodes": 4}, nodes=5, agents=agents, events=events)


def every_decision(patch: pytest.MonkeyPatch) -> None:
    """Let the operator of a simulation decide whenever a heartbeat would be missing next, as the real one does."""
    patch.setattr(Operator, "sleep", lambda *_: None)


@pytest.mark.parametrize("seed", range(20))
def test_decisions_that_change_nothing_may_be_left_out(seed: int) -> None:
    read = scenario.read(anything(seed))
    sparse = scenario.play(read)
    with pytest.MonkeyPatch.context() as patch:
        every_decision(patch)
        dense = scenario.play(read)
    assert show.value(sparse) == show.value(dense)


def decisions(read: scenario.Scenario) -> int:
    """How many are made."""
    made = 0

    def counted(*arguments: Any) -> Any:
        nonlocal made
        made += 1
        return decide(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operator, "decide", counted)
        scenario.play(read)
    return made


def test_hours_in_which_little_happens_have_few_decisions(monkeypatch: pytest.MonkeyPatch) -> None:
    read = scenario.read(item(nodes=4, events=[{"at": "2h", "powerOff": "train-1"}], until="5h"))
    assert decisions(read) < 60
    every_decision(monkeypatch)
    assert decisions(read) > 1000


# ---- what is shown


def test_moments_in_messages_are_on_the_clock_of_the_timeline() -> None:
    play = played(agents={"pods": False})
    assert "2030" not in show.text(played({"at": 20, "kill": "train-0"}))
    assert show.value(play)["end"] == {
        "at": 300.0,
        "state": "Running",
        "round": 1,
        "ranks": {"train-0": 0, "train-1": 1, "train-2": 2},
        "spares": [],
        "conditions": {
            "Running": "True", "Complete": "False", "Failed": "False", "Suspended": "False", "Degraded": "False",
            "Reconciling": "False", "Stalled": "False",
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (5, "0:05"), (65.25, "1:05.2"), (3605, "1:00:05"), (-3, "-0:03")]
)
def test_the_clock_of_a_timeline(seconds: float, text: str) -> None:
    assert show.clock(seconds) == text


def test_the_rounds_are_drawn() -> None:
    play = played({"at": 600, "kill": "train-0"})
    picture = plot(show.group_of(play), play.operator.wall(play.now))
    assert picture.count(">round ") >= 2
    assert "MemberLost" in picture
