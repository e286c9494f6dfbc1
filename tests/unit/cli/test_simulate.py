"""`kubectl rdzv simulate`: what a scenario may have in it, and what is played."""

from functools import cache
from random import Random
from typing import Any

import pytest
import yaml
from hack import generate_scenarios, generate_spec_schema
from hack.pictured_losses import losses
from tests.support.crd_schemas import root_schema

from kube_rendezvous_cli.kubectl import CommandError
from kube_rendezvous_cli.plot import plot
from kube_rendezvous_cli.simulator import checks, operator, scenario, show, spec
from kube_rendezvous_cli.simulator.operator import Operator
from kube_rendezvous_cli.simulator.play import Play
from rendezvous_api.codec import decode
from rendezvous_api.rendezvous import Rendezvous
from rendezvous_api.rendezvous_spec import RendezvousSpec
from rendezvous_operator.core.decide import decide

Json = dict[str, Any]


def item(**fields: Any) -> Json:
    """A scenario with these fields."""
    kinds = {"apiVersion": "rdzv.dev/v1alpha1", "kind": "Scenario"}
    return {**kinds, "spec": {"minNodes": 2, "maxNodes": 3}, "nodes": 3, **fields}


def played(*events: Json, **fields: Any) -> Play:
    """What is played when these events happen."""
    return scenario.play(scenario.read(item(events=[*events], **fields)))


def told(play: Play, *whats: str) -> list[tuple[float, str]]:
    """When the operator has told these reasons or states."""
    return [(entry.at, entry.what) for entry in play.record if entry.what in whats]


def line(play: Play, what: str) -> str:
    """What was told with this word last."""
    return [entry.message for entry in play.record if entry.what == what][-1]


# ---- what a file may have in it

LETTERS = "only lower-case letters and digits, and '-' and '.' between them"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"kind": "Rendezvous"}, "kind: 'Rendezvous' is not Scenario"),
        ({"apiVersion": "v1"}, "apiVersion: 'v1' is not rdzv.dev/v1alpha1"),
        ({"event": []}, "Scenario.event: is no known field; did you mean events?"),
        ({"events": {}}, "events: {} is no list"),
        ({"nodes": -1}, "nodes: -1 is not between 0 and 2000"),
        ({"nodes": "train-0"}, None),
        ({"nodes": [7]}, "nodes: [7] is no name, and no list of names"),
        ({"until": "soon"}, "until: 'soon' is no time such as 30s, 5m or 1h10m"),
        ({"until": -1}, "until: -1 is no time such as 30s, 5m or 1h10m"),
        ({"until": "1m30s"}, None),
        ({"spec": {"minNodes": 2}}, "spec.maxNodes: is required"),
        ({"spec": {"minNodes": 0, "maxNodes": 2}}, "spec.minNodes: 0 must be greater than or equal to 1"),
        (
            {"spec": {"minNodes": 3, "maxNodes": 2}},
            "spec.minNodes: 3: `minNodes` must be less than or equal to `maxNodes`",
        ),
        ({"spec": {"minNodes": 1, "maxNode": 2}}, "spec.maxNode: is no known field; did you mean maxNodes?"),
        (
            {"spec": {"minNodes": 1, "maxNodes": 2, "timeouts": {"joinSecond": 2}}},
            "spec.timeouts.joinSecond: is no known field; did you mean joinSeconds?",
        ),
        (
            {"spec": {"minNodes": 1, "maxNodes": 2, "restarts": {"perNode": 2}}},
            "spec.restarts.perNode: 2: `restarts.perNode` must have `restarts.max` beside it",
        ),
        (
            {"spec": {"minNodes": 1, "maxNodes": 2, "restarts": {"max": 3, "perReason": {}}}},
            "spec.restarts.perReason: {} must have at least 1 field",
        ),
        ({"agents": {"pods": "no"}}, "agents.pods: 'no' is neither true nor false"),
        (
            {"agents": {"owner": "jobset"}},
            "agents.owner: 'jobset' is none of Job, JobSet, StatefulSet, ReplicaSet, none; did you mean JobSet?",
        ),
        ({"agents": {"podLabels": ["rack"]}}, "agents.podLabels: ['rack'] is no object"),
        ({"agents": {"podLabels": {"rack": ["train-0"]}}}, "agents.podLabels.rack: ['train-0'] is no object"),
        ({"agents": {"podLabels": {"rack": {"a": []}}}}, "agents.podLabels.rack.a: [] is no name"),
        ({"agents": {"podLabels": {"rack": {"a": "train-0", "b": ["train-1"]}}}}, None),
        ({"agents": {"machineLabels": {"rack": ["train-0"]}}}, "agents.machineLabels.rack: ['train-0'] is no object"),
        ({"agents": {"machineLabels": {"rack": {"a": "train-0", "b": ["train-1"]}}}}, None),
        (
            {"spec": {"minNodes": 2, "maxNodes": 3, "nodes": {"groupKey": "rack", "groupSize": 2}}},
            "spec.maxNodes: 3: `maxNodes` must be a multiple of `nodes.groupSize`",
        ),
        ({"agents": {"startSecond": 2}}, "agents.startSecond: is no known field; did you mean startSeconds?"),
        ({"events": [{"kill": "train-0"}]}, "events[0].at: is required"),
        (
            {"events": [{"at": 1, "kil": "train-0"}]},
            "events[0].kil: is no known field; did you mean kill?",
        ),
        ({"until": 1e300}, "until: 1e+300 is more than 7 days"),
        ({"events": [{"at": "9999h", "kill": "train-0"}]}, "events[0].at: '9999h' is more than 7 days"),
        ({"nodes": ["a-" + 5000 * "9"]}, "has more than 253 characters"),
        ({"nodes": ["train-0", "Train_1"]}, f"nodes[1]: 'Train_1' is no DNS name: it must have {LETTERS}"),
        ({"nodes": ["a.b", "a..b"]}, "nodes[1]: 'a..b' is no DNS name"),
        ({"nodes": ["a", "a\n"]}, r"nodes[1]: 'a\n' is no DNS name"),
        ({"nodes": ["a", "b", "a"]}, "nodes[2]: 'a' is there twice"),
        ({"nodes": None}, "nodes: None is no name, and no list of names"),
        ({"nodes": []}, None),
        ({"events": [{"at": 1, "join": "-a"}]}, "events[0].join: '-a' is no DNS name"),
        ({"events": [{"at": 1, "kill": ["a", "b-"]}]}, "events[0].kill[1]: 'b-' is no DNS name"),
        ({"metadata": {"name": "a.b"}}, "metadata.name: 'a.b' is no DNS label: it must have only lower-case letters"),
        ({"metadata": {"name": 64 * "a"}}, "has more than 63 characters"),
        ({"metadata": {"name": 7}}, "metadata.name: 7 is no name"),
        ({"events": [{"at": 1}]}, "events[0]: must have one of join, "),
        ({"events": [{"at": 1, "kill": "train-0", "join": "a"}]}, "it has ['kill', 'join']"),
        ({"events": [{"at": 1, "operator": "gone"}]}, "events[0].operator: 'gone' is none of away, back"),
        (
            {"events": [{"at": 1, "edit": {"maxnodes": 3}}]},
            "events[0].edit.maxnodes: is no known field; did you mean maxNodes?",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_value(fields: Json, says: str | None) -> None:
    if says is None:
        scenario.read(item(**fields))
        return
    with pytest.raises(CommandError) as error:
        scenario.read(item(**fields))
    assert says in str(error.value)
    assert error.value.code == 2


def test_nodes_have_the_name_of_the_group() -> None:
    play = scenario.play(scenario.read(item(metadata={"name": "llm"}, agents={"pods": False})))
    assert [*play.nodes] == ["llm-0", "llm-1", "llm-2"]
    assert play.operator.rendezvous.metadata.name == "llm"


def test_a_group_without_nodes_waits_for_them() -> None:
    play = played(nodes=[])
    message = "0 of at least 2 nodes"
    assert [(entry.at, entry.what, entry.message) for entry in play.record] == [(0.0, "WaitingForNodes", message)]
    assert [*show.end(play)] == ["At 5:00: WaitingForNodes, round 0, 0 nodes."]
    later = played({"at": 10, "join": ["train-0", "train-1", "train-2"]}, nodes=0)
    assert told(later, "WaitingForNodes", "Running") == [(0.0, "WaitingForNodes"), (10.0, "Running")]


def test_a_group_of_which_no_operator_has_heard_has_no_state() -> None:
    play = played({"at": 0, "operator": "away"})
    assert [*show.end(play)] == ["At 5:00: no operator has decided anything about the group yet."]


def test_the_name_of_a_group_may_be_what_the_api_server_accepts() -> None:
    name = root_schema(Rendezvous)["properties"]["metadata"]["properties"]["name"]
    assert (name["maxLength"], name["pattern"]) == (checks.MOST_LETTERS_OF_A_GROUP, f"^{checks._LABEL}$")


def test_what_happens_to_a_node_that_is_not_there_is_named() -> None:
    with pytest.raises(CommandError, match=r"events\[0\]\.kill: 'train-9' is no node at 30 s; there are: train-0, "):
        played({"at": "30s", "kill": "train-9"})


def test_a_spec_that_is_edited_to_a_wrong_one_is_named() -> None:
    with pytest.raises(CommandError, match=r"^events\[0\]\.edit: spec\.minNodes: 9: `minNodes` must be less"):
        played({"at": 1, "edit": {"minNodes": 9}})


def test_the_schema_is_that_of_the_crd_and_all_its_rules_are_known() -> None:
    assert all(
        path.read_text(encoding="utf-8") == text for path, text in generate_spec_schema.generated_files().items()
    )
    assert rules_of(root_schema(Rendezvous)["properties"]["spec"]) == {*spec.RULES}


def rules_of(schema: dict[str, Any]) -> set[str]:
    """The messages of the rules of an object, and of all objects in it."""
    inner = [rules_of(each) for each in schema.get("properties", {}).values()]
    return {rule["message"] for rule in schema.get("x-kubernetes-validations", ())}.union(*inner)


def test_the_defaults_are_those_of_the_api_types() -> None:
    assert spec.read({"minNodes": 2, "maxNodes": 4}) == RendezvousSpec(2, 4)
    given = {"minNodes": 2, "maxNodes": 4, "timeouts": {"lastCallSeconds": 0}, "sizes": {"step": 2}}
    assert spec.read(given) == decode(RendezvousSpec, given)


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
