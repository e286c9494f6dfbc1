"""`kubectl rdzv simulate`: what a scenario may have in it, and its error for all else."""

from typing import Any

import pytest
from hack import generate_spec_schema
from tests.support.crd_schemas import root_schema
from tests.unit.cli.scenarios import Json, item, played, told

from kube_rendezvous_cli.kubectl import CommandError
from kube_rendezvous_cli.simulator import checks, scenario, show, spec
from rendezvous_api.codec import decode
from rendezvous_api.rendezvous import Rendezvous
from rendezvous_api.rendezvous_spec import RendezvousSpec

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
