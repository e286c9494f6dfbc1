"""What `kubectl rdzv get` shows of groups, as the decision core leaves them."""

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.cli.played import Played, has_lost_one, named, trains, trains_again, trains_with_beats, waits
from tests.unit.core.healths import stays_out
from tests.unit.core.started import x_is_held_out
from tests.unit.core.worlds import Scenario

from kube_rendezvous_cli import yaml_text
from kube_rendezvous_cli.get import group_json, groups_table, tree
from kube_rendezvous_cli.group import group_of
from kube_rendezvous_cli.rows import HELD_OUT, MEMBER, MISSING, REFUSED, SPARE, UNHEALTHY, WAITING, Row, rows
from rendezvous_api.codec import encode
from rendezvous_api.participant import PeerEvidence
from rendezvous_api.reasons import AttemptReason, HostState, LeaveReason, State
from rendezvous_api.rendezvous import Domain, Rendezvous, Topology


def found(scenario: Played) -> dict[str, Row]:
    return {row.pod or row.name: row for row in rows(scenario.shown(), scenario.now)}


def test_members_have_their_rank_pod_machine_and_heartbeat() -> None:
    scenario = trains()
    scenario.silent(*named("train-1"))
    scenario.after(4)
    seen = found(scenario)
    assert [row.mark for row in seen.values()] == ["0", "1", "2"]
    assert [row.machine for row in seen.values()] == ["gpu-a", "gpu-b", "gpu-b"]
    assert all(row.state.startswith("training ") for row in seen.values())
    assert seen["train-0"].evidence == "store 10.1.2.3:20001"
    assert seen["train-1"].heartbeat == 4


def test_a_silent_member_is_shown_with_the_time_after_which_it_is_lost() -> None:
    scenario = trains()
    scenario.silent(*named("train-1"))
    scenario.after(21)
    assert scenario.shown().state == State.DEGRADED
    seen = found(scenario)
    assert (seen["train-1"].state, seen["train-1"].heartbeat) == ("silent 21s of 2m", 21)
    assert seen["train-0"].state.startswith("training")


def test_a_member_for_which_its_peers_vouch_is_not_silent() -> None:
    scenario = trains_with_beats()
    scenario.silent(*named("train-1"))
    scenario.after(40)
    assert scenario.degraded[0] == "PathBroken"
    seen = found(scenario)
    assert seen["train-1"].state.startswith("training")
    assert seen["train-1"].heartbeat == 40


@pytest.mark.parametrize(("answers", "state"), [(True, "training"), (False, "silent")])
def test_a_member_whose_heartbeats_are_rare_is_not_silent_while_the_host_answers_it(answers: bool, state: str) -> None:
    scenario = trains()
    scenario.silent(*named("train-1"))
    scenario.after(21)
    (name,) = named("train-1")
    member = scenario.seen[name]
    peers = PeerEvidence(HostState.ANSWERS if answers else HostState.MISSED)
    status = replace(member.object.status, peers_interval_seconds=300, peers=peers)
    scenario.seen[name] = replace(member, object=replace(member.object, status=status))
    scenario.status = replace(scenario.status, conditions=())  # the operator does not say what it knows
    assert found(scenario)["train-1"].state.startswith(state)


@pytest.mark.parametrize("sets", [{"missed": named("train-2")}, {"closed": named("train-2")}])
def test_an_accused_member_is_shown_and_who_accuses_it_is_well(sets: dict[str, Any]) -> None:
    scenario = trains_with_beats(confirm_seconds=60)
    scenario.silent(*named("train-2"))
    scenario.says(**sets)
    assert scenario.degraded[0] == "MemberSuspected"
    assert "train.train-0 (rank 0)" in scenario.degraded[1]
    seen = found(scenario)
    assert seen["train-2"].state == "accused"
    assert seen["train-0"].state.startswith("training")


def test_an_accused_host_is_shown_and_who_accuses_it_is_well() -> None:
    scenario = trains_with_beats(confirm_seconds=60)
    scenario.silent(*named("train-0"))
    scenario.view("Missed", *named("train-1", "train-2"))
    assert scenario.degraded[0] == "MemberSuspected"
    states = {name: row.state.split(" ")[0] for name, row in found(scenario).items()}
    assert states == {"train-0": "accused", "train-1": "training", "train-2": "training"}


def test_a_clock_that_differs_makes_no_member_silent() -> None:
    """The heartbeats of all agents seem old: then the clock of this machine is wrong."""
    scenario = trains()
    moment = scenario.now.replace(hour=scenario.now.hour + 1)
    assert all(row.state.startswith("training") for row in rows(scenario.shown(), moment))


def test_a_lost_member_is_shown_with_the_reason_and_its_pod() -> None:
    seen = found(has_lost_one())
    assert seen["train-2"] == Row(
        MEMBER,
        "train.train-2",
        "gone",
        rank=2,
        pod="train-2",
        machine="gpu-b",
        evidence="was lost (its participant object is gone)",
    )
    assert seen["train-0"].state == "has joined again: MembershipChange"


def test_a_pod_without_a_machine_is_missing_with_the_reason() -> None:
    seen = found(waits())
    assert seen["train-0"].kind == WAITING
    missing = seen["train-1"]
    assert (missing.kind, missing.mark, missing.state) == (MISSING, "?", "Pending")
    assert missing.evidence == "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."


def test_a_pod_that_runs_and_has_not_joined_is_missing() -> None:
    scenario = trains()
    scenario.pod("train-3")
    assert found(scenario)["train-3"].state == "Running, has not joined"


def test_spares_and_who_is_refused_are_shown() -> None:
    scenario = Played(2, 2, last_call_seconds=0)
    scenario.start("train-0", "train-1", "train-2")
    scenario.join(*named("train-3"), run="another", pod="train-3")
    seen = found(scenario)
    assert (seen["train-2"].kind, seen["train-2"].mark) == (SPARE, "-")
    assert (seen["train-3"].kind, seen["train-3"].state) == (REFUSED, "refused: OtherRunActive")
    assert "claimed Rendezvous" in seen["train-3"].evidence


def of(scenario: Scenario) -> list[Row]:
    """Those of a scenario of the core's own tests."""
    item = encode(Rendezvous(scenario.metadata, scenario.spec, scenario.status))
    group = group_of(item, [encode(seen.object) for seen in scenario.seen.values()], ())
    return rows(group, Played.now.fget(scenario))  # type: ignore[attr-defined]


def test_who_is_held_out_is_shown_with_the_time_and_the_reason() -> None:
    (row,) = [row for row in of(x_is_held_out()) if row.kind == HELD_OUT]
    assert (row.mark, row.name, row.state) == ("x", "x", "held out 30s more")
    assert row.evidence.startswith("StoreNotReached: it did not reach the store of round 2")


def test_who_is_unhealthy_is_shown_with_what_was_found() -> None:
    scenario = trains()
    stays_out(scenario, *named("train-2"))
    member = found(scenario)["train-2"]
    assert (member.kind, member.state) == (MEMBER, "unhealthy: gpus: 7 of 8 GPUs are there")
    scenario.all_join_again()
    row = found(scenario)["train-2"]
    assert (row.kind, row.mark, row.state, row.machine) == (UNHEALTHY, "x", "unhealthy", "gpu-b")
    assert row.evidence == "gpus: 7 of 8 GPUs are there"
    assert row.heartbeat is None, "it sends none now"


def test_a_member_that_was_started_again_is_lost() -> None:
    scenario = trains()
    # What is seen between that start and the operator's decision.
    seen = scenario.seen[named("train-1")[0]]
    spec = replace(seen.object.spec, incarnation="second")
    scenario.seen[named("train-1")[0]] = replace(seen, object=replace(seen.object, spec=spec))
    assert found(scenario)["train-1"].state == "lost: its agent was started again"


def test_members_that_stop_are_told_apart_from_those_that_have_joined_again() -> None:
    scenario = trains()
    scenario.reenter(*named("train-0"), reason=AttemptReason.WORKER_FAILURE)
    seen = found(scenario)
    assert seen["train-0"].state == "has joined again: WorkerFailure"
    assert seen["train-1"].state == "asked to join again"


def test_after_the_end_no_member_trains() -> None:
    scenario = trains()
    scenario.leave(*named("train-0"), reason=LeaveReason.SUCCEEDED)
    seen = found(scenario)
    assert seen["train-0"].state == "has left: Succeeded"
    assert seen["train-1"].state == "run has ended"
    assert scenario.shown().state == State.COMPLETE
    assert "store" not in tree(scenario.shown(), scenario.now)


def test_a_member_that_was_dropped_and_is_silent_is_lost() -> None:
    """Outside of pods its object stays: the operator has answered its attempt, and nothing reads that."""
    scenario = Played(2, 3, last_call_seconds=1, replacement_seconds=0)
    scenario.join(*named("a", "b", "c"))
    scenario.after(1)
    scenario.silent(*named("c"))
    scenario.after(130)
    scenario.all_join_again()
    scenario.after(5)
    (row,) = [row for row in rows(scenario.shown(), scenario.now) if row.name == "train.c"]
    assert (row.kind, row.mark) == (MISSING, "?")
    assert row.state.startswith("lost: silent ")


def test_the_table_has_a_line_for_each_group() -> None:
    scenario = trains_again(max_restarts=20)
    lines = groups_table([scenario.shown()], scenario.now, all_namespaces=True).splitlines()
    assert lines[0].split() == [*("NAMESPACE", "NAME", "STATE", "RUN", "ROUND", "NODES", "SPARES", "RESTARTS", "SINCE")]
    assert lines[1].split() == ["team-a", "train", "Running", "Job/train", "2", "3/2-4", "0", "1/20", "40s"]
    wide = groups_table([scenario.shown()], scenario.now, wide=True).splitlines()[1]
    assert "MemberLost 47s ago, 22.0 s lost" in wide


def test_a_group_that_no_operator_has_seen_is_shown() -> None:
    item = encode(Rendezvous(trains().metadata, trains().spec))
    group = group_of(item, (), ())
    assert groups_table([group], trains().now).splitlines()[1].split() == [
        *("train", "Unknown", "-", "0", "-", "-", "0", "-")
    ]
    assert tree(group, trains().now).startswith("train   Unknown   restarts 0")


@pytest.mark.parametrize("scenario", [trains, has_lost_one, waits])
def test_what_programs_get_is_what_people_see(scenario: type[Played]) -> None:
    played = scenario()
    group = played.shown()
    value = group_json(group, played.now)
    shown = tree(group, played.now)
    assert value["state"] in shown
    for node in value["nodes"]:
        (line,) = [line for line in shown.splitlines() if f"   {node['pod'] or node['participant']} " in line]
        assert node["state"] in line
        assert node["rank"] is None or line.startswith(f"{node['rank']} ")
    assert json.loads(json.dumps(value)) == value
    yaml = pytest.importorskip("yaml")
    assert yaml.safe_load(yaml_text.dump(value)) == value


def test_members_have_their_domain_where_ranks_follow_machines() -> None:
    scenario = trains()
    assert "DOMAIN" not in tree(scenario.shown(), scenario.now)
    scenario.status = replace(
        scenario.status, topology=Topology(("zone", "rack"), (Domain(("east", "r1"), 2), Domain(("east", ""), 1)))
    )
    lines = tree(scenario.shown(), scenario.now).splitlines()
    assert [line.split()[:4] for line in lines[-4:]] == [
        ["RANK", "POD", "MACHINE", "DOMAIN"],
        ["0", "train-0", "gpu-a", "east/r1"],
        ["1", "train-1", "gpu-b", "east/r1"],
        ["2", "train-2", "gpu-b", "east/?"],
    ]
    assert [node["domain"] for node in group_json(scenario.shown(), scenario.now)["nodes"]] == [
        "east/r1",
        "east/r1",
        "east/?",
    ]
