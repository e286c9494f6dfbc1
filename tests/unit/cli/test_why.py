"""What `kubectl rdzv why` says."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.support.pages import anchors, read
from tests.unit.cli.played import JOB, Played, has_lost_one, named, trains, trains_again, trains_with_beats, waits
from tests.unit.core.healths import stays_out

from kube_rendezvous_cli import why as module
from kube_rendezvous_cli.get import group_json, tree
from kube_rendezvous_cli.group import group_of
from kube_rendezvous_cli.rows import rows
from kube_rendezvous_cli.version import SITE, TROUBLESHOOTING
from kube_rendezvous_cli.why import BY_END, BY_STATE, Advice, why
from rendezvous_api.codec import encode
from rendezvous_api.reasons import (
    AttemptReason,
    ClosedReason,
    LeaveReason,
    PassedOverReason,
    RanksPolicy,
    RoundEndReason,
    State,
)
from rendezvous_api.rendezvous import PassedOver, Rendezvous
from rendezvous_api.rendezvous_spec import Ranks, RestartsPerReason

ADVICE = [value for value in vars(module).values() if isinstance(value, Advice)] + [*BY_STATE.values()]


def said(scenario: Played) -> str:
    return why(scenario.shown(), scenario.now)


@pytest.mark.parametrize("advice", ADVICE, ids=lambda advice: advice.anchor)
def test_each_page_is_there(advice: Advice) -> None:
    assert f"{SITE}docs/troubleshooting.md" == TROUBLESHOOTING
    assert advice.anchor in anchors(read("docs/troubleshooting.md"))
    assert advice.text.format(name="train", label="rack").endswith((".", "train", "doctor", "pods"))


def test_there_is_advice_for_each_state_and_words_for_each_end() -> None:
    assert set(BY_STATE) == set(State)
    assert set(BY_END) == {*RoundEndReason, *ClosedReason}


def test_a_group_that_waits_names_the_missing_pod_and_why() -> None:
    text = said(waits())
    assert text.startswith(
        "train (Job/train, 2 nodes) has been WaitingForNodes for 90s: 1 of at least 2 nodes; train-1 is Pending "
        "(0/3 nodes "
        "are available: 3 Insufficient nvidia.com/gpu.)"
    )
    assert "What to do: Let a Pending pod find a machine" in text
    assert text.count("train-1") == 1, "said once"


def test_a_group_without_known_pods_needs_more_nodes() -> None:
    scenario = Played(2, 2)
    scenario.join(*named("a"))
    assert "What to do: Start more nodes" in said(scenario)


def test_a_loss_is_told_with_its_cause_and_its_cost() -> None:
    text = said(has_lost_one())
    assert (
        "Round 1 ended 7s ago because a member was lost (MemberLost: train.train-2: its pod train-2 has failed)"
    ) in text
    assert "the group has stood still for 7.0 s" in text
    assert "train.train-2 was lost (its participant object is gone)" in text


def test_a_loss_of_long_ago_is_not_told() -> None:
    scenario = trains_again(max_restarts=20)
    assert "the group stood still for 22.0 s. " in said(scenario)
    assert "That is restart 1 of at most 20." in said(scenario)
    scenario.after(600)
    assert "Round 1" not in said(scenario)


def failed_twice(**restarts: Any) -> Played:
    """Workers of train-1 have failed twice, 100 s apart."""
    scenario = trains(max_restarts=3, **restarts)
    for _ in range(2):
        scenario.after(100)
        scenario.reenter(*named("train-1"), reason=AttemptReason.WORKER_FAILURE)
        scenario.all_join_again()
    return scenario


def test_it_says_how_much_of_the_restart_budget_is_left() -> None:
    limits = RestartsPerReason(worker_failed=3, member_lost=1)
    scenario = failed_twice(restarts_window_seconds=600, restarts_per_node=2, restarts_per_reason=limits)
    scenario.after(400)
    assert (
        "Used of the restart budget within 10m: 2 of 3 (restarts.max), 2 of 2 by train.train-1 (restarts.perNode), "
        "2 of 3 (restarts.perReason.workerFailed). The oldest failure counts for 100s more."
    ) in said(scenario)
    assert "restarts 2 (2/3)" in tree(scenario.shown(), scenario.now)
    scenario.after(150)
    assert "within 10m: 1 of 3 (restarts.max), 1 of 2 by" in said(scenario)
    assert "restarts 2 (1/3)" in tree(scenario.shown(), scenario.now)
    scenario.after(600)
    assert "restart budget" not in said(scenario)
    assert "restarts 2 (0/3)" in tree(scenario.shown(), scenario.now)


def test_where_workers_have_failed_the_logs_are_named() -> None:
    assert "The logs say why: kubectl rdzv logs train --round 2." in said(failed_twice())


def test_it_says_what_is_left_of_a_whole_run() -> None:
    scenario = failed_twice(restarts_per_node=2)
    scenario.after(600)
    assert "Used of the restart budget: 2 of 3 (restarts.max), 2 of 2 by train.train-1 (restarts.perNode)." in said(
        scenario
    )
    assert "restarts 2/3" in tree(scenario.shown(), scenario.now)
    limits = group_json(scenario.shown(), scenario.now)["restartLimits"]
    assert limits[1] == {"limit": "perNode", "of": "train.train-1", "used": 2, "allowed": 2}


def test_a_silent_member_is_named() -> None:
    scenario = trains()
    scenario.silent(*named("train-1"))
    scenario.after(30)
    text = said(scenario)
    assert "has been Degraded" in text
    assert "train.train-1 is silent since" in text
    assert "What to do: Look into the log of the node that the message names first" in text


@pytest.mark.parametrize("left", [2, 1])
def test_an_unhealthy_node_is_named_and_what_was_found(left: int) -> None:
    scenario = trains(min_nodes=2)
    stays_out(scenario, *named("train-2", "train-1")[: 3 - left])
    scenario.all_join_again()
    text = said(scenario)
    assert ("has been Degraded" if left == 2 else "has been WaitingForNodes") in text
    assert text.count("train.train-2 is unhealthy: gpus: 7 of 8 GPUs are there") == 1
    assert "because a health check of a member failed (MemberUnhealthy: " in text
    assert "What to do: Repair what the health check of each unhealthy node has found" in text
    assert text.endswith("#a-node-is-unhealthy")


def test_a_broken_path_is_named() -> None:
    scenario = trains_with_beats()
    scenario.silent(*named("train-1"))
    scenario.after(40)
    text = said(scenario)
    assert "train.train-1 sends no heartbeats since 2030-01-01T00:18:41Z, but trains on with the others." in text
    assert "What to do: Repair the path that the message names" in text


def test_spares_are_told() -> None:
    scenario = Played(2, 2, last_call_seconds=0)
    scenario.start("train-0", "train-1", "train-2")
    assert "train-2 is a spare and takes the place of a lost member at once." in said(scenario)


def in_racks(**racks: str) -> Played:
    """Two nodes are a rack, as the labels of the pods say; a round has two to four nodes."""
    scenario = Played(2, 4, last_call_seconds=0, group_key="example.com/rack", group_size=2)
    scenario.complete = False
    for pod, rack in racks.items():
        scenario.start(pod.replace("_", "-"))
        scenario.pod(pod.replace("_", "-"), owner=JOB, labels={"example.com/rack": rack})
    scenario.complete = True
    scenario.settle()
    return scenario


def test_nodes_that_wait_for_their_replacement_group_are_told_and_which_pod_to_look_for() -> None:
    text = said(in_racks(train_0="a", train_1="a", train_2="b"))
    assert "train.train-2 waits for its replacement group 'b' (1 of 2 nodes)." in text
    assert "train-2 is a spare; a whole replacement group takes the place of one that loses a member." in text
    assert (
        "What to do: Find out which pod of the replacement group is missing: kubectl get pods -L example.com/" in text
    )
    assert "#a-replacement-group-is-not-whole" in text


def test_so_it_is_while_too_few_replacement_groups_are_whole() -> None:
    text = said(in_racks(train_0="a", train_1="b"))
    assert "0 of at least 2 nodes may become members; train.train-0 waits for its replacement group 'a'" in text
    assert "kubectl get pods -L example.com/rack" in text


def test_nothing_has_to_be_done_while_all_replacement_groups_are_whole() -> None:
    text = said(in_racks(train_0="a", train_1="a", train_2="b", train_3="b"))
    assert "What to do: Nothing has to be done." in text
    assert "spare" not in text


def test_new_nodes_that_are_gathered_can_be_taken_in_now() -> None:
    scenario = Played(2, 4, last_call_seconds=0, scale_up_interval_seconds=3600)
    scenario.start("train-0", "train-1", "train-2")
    assert "To take in the new nodes now: kubectl rdzv restart train" in said(scenario)


def test_suspended_and_closed_groups_say_how_to_go_on() -> None:
    scenario = trains()
    scenario.edit(suspend=True)
    scenario.reenter(*named("train-0", "train-1", "train-2"))
    assert "To continue: kubectl rdzv resume train" in said(scenario)
    assert "because the group was suspended (Suspended" in said(scenario)
    scenario.edit(closed=True)
    assert "To let nodes join again: kubectl rdzv reopen train" in said(scenario)


def test_a_spent_budget_names_who_failed() -> None:
    scenario = trains(max_restarts=0)
    scenario.reenter(*named("train-1"), reason=AttemptReason.WORKER_FAILURE)
    scenario.reenter(*named("train-0", "train-2"))
    text = said(scenario)
    assert "has been Failed" in text
    assert "train.train-1" in text
    assert "because the restart budget is used up (RestartBudgetExhausted" in text
    assert "create the Job again" in text


def test_success_needs_nothing() -> None:
    scenario = trains()
    scenario.leave(*named("train-0"), reason=LeaveReason.SUCCEEDED)
    assert re.search(r"has been Complete.*it has succeeded.*\n\nWhat to do: Nothing has to be done\.", said(scenario))


def test_without_an_operator_it_says_so() -> None:
    scenario = trains()
    item = encode(Rendezvous(scenario.metadata, scenario.spec))
    late = scenario.now + timedelta(seconds=60)
    text = why(group_of(item, (), ()), late)
    assert "no operator has seen it, although it was created" in text
    assert "kubectl rdzv doctor" in text
    assert "although" not in why(group_of(item, (), ()), scenario.now - timedelta(seconds=115))


def test_a_state_of_a_later_release_is_shown() -> None:
    scenario = trains()
    rendezvous, participants, pods = scenario.objects()
    rendezvous["status"]["summary"]["state"] = "Hibernating"
    rendezvous["status"]["history"][-1]["reason"] = "MoonPhase"
    text = why(group_of(rendezvous, participants, pods), scenario.now)
    assert "has been Hibernating" in text
    assert "because MoonPhase (MoonPhase)" in text
    assert "This release does not know that state" in text


def test_what_others_have_written_gets_no_second_full_stop() -> None:
    scenario = trains()
    scenario.pending("train-3")
    text = why(scenario.shown(), scenario.now)
    assert "train-3 is missing: Pending" in text
    assert ".." not in text.replace("https://", "")


def test_a_node_without_a_place_among_the_machines_needs_labels() -> None:
    scenario = trains(ranks=Ranks(RanksPolicy.TOPOLOGY, ("rack",)))
    text = said(scenario)
    assert "not in the order of machines: train.train-0" in text
    assert "What to do: Put the labels that are missing on the machines" in text


def test_nodes_that_fill_no_segment_need_others_of_their_domain() -> None:
    scenario = Played(ranks=Ranks(RanksPolicy.TOPOLOGY, ("rack",), segment_size=2))
    scenario.start("train-0", "train-1", "train-2")
    text = said(scenario)
    assert "3 of at least 2 nodes, 0 of them in whole segments of 2" in text
    assert "What to do: Add nodes on machines that are in one domain" in text


def test_a_spare_replaces_a_member_of_its_domain_where_there_are_segments() -> None:
    scenario = trains(max_nodes=3)
    scenario.start("train-3")
    assert "train-3 is a spare and takes the place of a lost member at once." in said(scenario)
    scenario.edit(ranks=Ranks(RanksPolicy.TOPOLOGY, ("rack",), segment_size=3))
    assert "takes the place of a lost member of its domain at once." in why(scenario.shown(), scenario.now)


def kept_out(*, spare: bool = False) -> Played:
    """train-9 waits on a machine with a mark; as a spare it only gives way."""
    scenario = trains() if spare else waits()
    participant, before = "train.train-9", scenario.status
    scenario.join(participant)
    entry = PassedOver(participant, PassedOverReason.CORDONED, "its machine gpu-2 is cordoned", "gpu-2")
    spares = (participant,) if spare else ()
    scenario.status = replace(before, passed_over=(entry,), spares=spares)
    return scenario


def test_a_node_that_is_kept_out_is_named_with_its_mark() -> None:
    text = said(kept_out())
    assert "train-9 takes no part: kept out; Cordoned: its machine gpu-2 is cordoned." in text
    assert "What to do: Wait until the marks are gone" in text
    assert text.endswith("#a-node-is-kept-out")


def test_a_spare_before_which_others_go_is_shown_with_the_reason() -> None:
    scenario = kept_out(spare=True)
    (row,) = (row for row in rows(scenario.shown(), scenario.now) if row.name == "train.train-9")
    assert (row.state, row.evidence) == ("spare", "its machine gpu-2 is cordoned")
