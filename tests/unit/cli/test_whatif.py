"""`kubectl rdzv whatif`: live objects as the start of a simulation."""

from datetime import timedelta
from typing import Any

import pytest
from tests.support.pages import ROOT
from tests.unit.cli.played import JOB, Played, has_lost_one, trains, trains_with_beats, waits

from kube_rendezvous_cli import arguments
from kube_rendezvous_cli.kubectl import CommandError
from kube_rendezvous_cli.simulator import live, show, whatif
from kube_rendezvous_cli.simulator.live import Live
from kube_rendezvous_cli.simulator.run import answer
from rendezvous_api import names
from rendezvous_api.reasons import LeaveReason
from rendezvous_api.rendezvous import Owner
from rendezvous_operator.core.decide import decide

Json = dict[str, Any]

PAGE = ROOT / "docs" / "kubectl-rdzv.md"


def objects(scenario: Played) -> dict[str, list[Json]]:
    """The objects of a group, with all that the operator reads of a pod."""
    rendezvous, participants, pods = scenario.objects()
    known = {pod.name: pod for pod in scenario.pods.values()}
    for item in pods:
        pod = known[item["metadata"]["name"]]
        item["metadata"].update(uid=pod.uid, labels={names.LABEL_RENDEZVOUS: "train", **pod.labels})
        item["spec"]["containers"] = [{"name": "train"}]
        for owner in item["metadata"].get("ownerReferences", ()):
            owner["uid"] = pod.owner_uid
    return {"rendezvous": [rendezvous], "participants": participants, "pods": pods}


def asked(scenario: Played, *options: str, later: float = 0.0) -> tuple[Live, whatif.Question]:
    """The answer. It is asked so many seconds after the last heartbeat, by the clock of the user's machine."""
    found = objects(scenario)
    start = live.read(found, scenario.now + timedelta(seconds=later))
    parsed = arguments.parsed(["whatif", "train", *options])
    return start, whatif.ask(start, parsed, found["rendezvous"][0]["spec"])


def told(start: Live, *whats: str) -> list[tuple[float, str]]:
    """When the operator tells these reasons or states, with the message."""
    return [(entry.at, entry.message) for entry in start.play.record if entry.what in whats]


def ranks(start: Live) -> list[str]:
    """The pods of the members at the end, in the order of their ranks."""
    return [member.name.removeprefix("train.") for member in start.play.operator.status.participants]


@pytest.mark.parametrize("ahead", ["2031-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.000000Z"])
@pytest.mark.parametrize("behind", [0.0, -300.0])
def test_one_clock_that_is_far_ahead_makes_no_other_node_silent(ahead: str, behind: float) -> None:
    scenario = trains()
    found = objects(scenario)
    found["participants"][0]["status"]["heartbeatTime"] = ahead
    start = live.read(found, scenario.now + timedelta(seconds=behind))
    assert all(node.heard for node in start.play.nodes.values())
    whatif.ask(start, arguments.parsed(["whatif", "train"]), found["rendezvous"][0]["spec"])
    assert show.forecast(start.play) == "Nothing changes: the group is Running, in round 1 with 3 nodes."


def test_nothing_changes_by_itself_while_a_round_runs() -> None:
    start, question = asked(trains())
    assert show.forecast(start.play) == "Nothing changes: the group is Running, in round 1 with 3 nodes."
    assert question.happens == []


def test_what_a_group_waits_for_ends_when_it_would() -> None:
    """train-2 was lost 7 s ago. The others wait for a replacement for 30 s since they have joined again, 5 s ago."""
    start, _ = asked(has_lost_one())
    assert [at for at, _ in told(start, "RoundPublished")] == [25.0]
    assert ranks(start) == ["train-0", "train-1"]


def test_a_killed_member_is_noticed_by_its_pod_and_may_be_replaced() -> None:
    start, question = asked(trains(), "--lose=rank=1")
    assert question.happens == ["rank=1 is killed (1 node: train.train-1 with rank 1)"]
    assert [at for at, _ in told(start, "RoundEnded", "RoundPublished")] == [0.0, 32.0]
    assert ranks(start) == ["train-0", "train-2"]
    assert any("whether Job/train makes another pod" in each for each in question.unknown)
    start, question = asked(trains(), "--lose=pod=train-1", "--replacement-after=20s")
    assert [at for at, _ in told(start, "RoundEnded", "RoundPublished")] == [0.0, 20.0]
    assert ranks(start) == ["train-0", "train-1", "train-2"]
    assert not any("makes another pod" in each for each in question.unknown)


def test_a_lost_machine_takes_all_its_nodes_and_is_noticed_by_their_silence() -> None:
    start, question = asked(trains(min_nodes=1), "--lose=machine=gpu-b")
    assert question.happens[0].startswith("machine=gpu-b loses its power (2 nodes: ")
    assert [at for at, _ in told(start, "MemberSuspected", "RoundEnded")] == [15.0, 120.0]
    assert ranks(start) == ["train-0"]
    assert any("evicts the pods of a machine" in each for each in question.unknown)
    assert any("whether the operator reads machines" in each for each in question.unknown)


def test_a_lost_machine_is_noticed_by_beats_where_there_are_some() -> None:
    start, _ = asked(trains_with_beats(), "--lose=machine=gpu-a")
    assert [at for at, _ in told(start, "MemberSuspected", "RoundEnded")] == [3.0, 13.0]


def test_a_drained_machine_is_left_in_time() -> None:
    start, _ = asked(trains(), "--drain=machine=gpu-a")
    ((at, message),) = told(start, "RoundEnded")
    assert (at, message) == (0.0, "round 1 ends: MemberEvicted: train.train-0: its pod is being deleted")


def in_racks(**spec: Any) -> Played:
    """Two racks of two nodes train."""
    scenario = Played(2, 4, last_call_seconds=0, group_key="example.com/rack", group_size=2, **spec)
    scenario.complete = False
    for number, pod in enumerate(("train-0", "train-1", "train-2", "train-3")):
        scenario.start(pod)
        scenario.pod(pod, owner=JOB, labels={"example.com/rack": f"rack-{number // 2}"})
    scenario.complete = True
    scenario.settle()
    scenario.after(120)
    return scenario


@pytest.mark.parametrize("how", ["lose", "drain"])
def test_a_replacement_is_in_the_rack_of_the_node_before_it(how: str) -> None:
    start, _ = asked(in_racks(), f"--{how}=pod=train-1", "--replacement-after=20s")
    assert [message.split(";")[0].split(": ")[1] for _, message in told(start, "RoundPublished")] == [
        "2 nodes, rank 0 is train.train-2",
        "4 nodes, rank 0 is train.train-0",
    ]
    assert ranks(start) == ["train-0", "train-1", "train-2", "train-3"]


def test_an_edited_spec_is_checked_and_decided_on() -> None:
    start, question = asked(trains(), "--spec=maxNodes=2", "--spec=timeouts.reentrySeconds=60")
    assert question.happens == ["the spec is edited: maxNodes=2, timeouts.reentrySeconds=60"]
    assert told(start, "RoundEnded")[0] == (0.0, "round 1 ends: TooManyNodes: 3 nodes, but spec.maxNodes is 2")
    assert start.play.operator.rendezvous.spec.timeouts.reentry_seconds == 60
    start, _ = asked(trains(), "--spec=suspend=true")
    last = show.forecast(start.play).splitlines()[-1]
    assert last.startswith("Then nothing more changes: the group is Suspended, in round 1 with 3 nodes.")


def test_a_field_of_the_spec_is_removed_with_null() -> None:
    start, _ = asked(trains(max_restarts=5), "--spec=restarts.max=null")
    assert start.play.operator.rendezvous.spec.restarts.max is None


def test_fields_of_the_spec_that_are_of_another_release_are_kept_out() -> None:
    found = objects(trains())
    found["rendezvous"][0]["spec"]["fresh"] = {"thing": 1}
    found["rendezvous"][0]["spec"].setdefault("timeouts", {})["freshSeconds"] = 1
    start = live.read(found, trains().now)
    parsed = arguments.parsed(["whatif", "train", "--spec=maxNodes=2"])
    whatif.ask(start, parsed, found["rendezvous"][0]["spec"])
    assert start.play.operator.status.nodes == 2


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--lose=train-1", "--lose: 'train-1' is not KIND=NAME, where KIND is one of machine, participant, pod, rank"),
        ("--lose=node=a", "--lose: 'node' is none of machine, participant, pod, rank"),
        ("--lose=rank=7", "--lose: there is no node of the group with rank=7; there are: 0, 1 and 2"),
        (
            "--drain=machine=gpu-x",
            "--drain: there is no node of the group with machine=gpu-x; there are: gpu-a and gpu-b",
        ),
        ("--spec=maxNodes", "--spec: 'maxNodes' is not FIELD=VALUE, such as maxNodes=6"),
        ("--spec=maxNode=6", "spec.maxNode: is no known field; did you mean maxNodes?"),
        ("--spec=minNodes=9", "spec.minNodes: 9: `minNodes` must be less than or equal to `maxNodes`"),
        ("--spec=suspend=yes", "spec.suspend: 'yes' is neither true nor false"),
    ],
)
def test_what_is_not_there_is_named(option: str, says: str) -> None:
    with pytest.raises(CommandError) as error:
        asked(trains(), option)
    assert str(error.value) == says


def test_the_group_is_as_quick_as_in_its_last_rounds() -> None:
    """The workers of round 1 ran 15 s after it was published; then the members took 2 s to join again."""
    scenario = has_lost_one()
    formed, checked_in = scenario.status.history[0].formed, scenario.status.history[0].checked_in
    assert formed is not None
    assert checked_in is not None
    start, question = asked(scenario)
    assert (start.play.habits.start_seconds, start.play.habits.stop_seconds) == (15.0, 2.0)
    assert question.unknown[0].endswith("as in its last rounds")
    assert asked(waits())[1].unknown[0].endswith("as is usual")


def test_nodes_that_are_silent_now_stay_so() -> None:
    scenario = trains()
    scenario.silent("train.train-2")
    scenario.after(60)
    start, question = asked(scenario)
    assert "whether train.train-2 will send heartbeats again: it is assumed that none comes" in question.unknown
    ((at, message),) = told(start, "RoundEnded")
    assert (at, message) == (60.0, "round 1 ends: MemberLost: train.train-2: no heartbeat for more than 120 s")


@pytest.mark.parametrize("later", [-30.0, 0.0, 30.0])
def test_the_clock_of_the_user_may_differ_from_those_of_the_machines(later: float) -> None:
    start, _ = asked(trains(), later=later)
    assert told(start, "MemberSuspected", "Degraded") == []


def test_a_group_that_was_not_heard_for_long_is_not_taken_for_one_that_lives() -> None:
    start, question = asked(trains(), later=3600)
    assert any("will send heartbeats again" in each for each in question.unknown)
    assert told(start, "RoundPublished") == []


def test_a_node_that_has_left_is_not_lost_once_more() -> None:
    scenario = trains()
    scenario.leave("train.train-2", reason=LeaveReason.SUCCEEDED)
    with pytest.raises(CommandError, match="there is no node of the group with pod=train-2"):
        asked(scenario, "--lose=pod=train-2")


def test_pods_without_the_label_or_that_may_not_be_listed_are_there() -> None:
    """The operator would read them. It does not watch them, so only silence shows that one has failed."""
    found = objects(trains())
    found["pods"] = []
    start = live.read(found, trains().now)
    whatif.ask(start, arguments.parsed(["whatif", "train", "--lose=rank=1"]), found["rendezvous"][0]["spec"])
    ((at, message),) = told(start, "RoundEnded")
    assert (at, message) == (120.0, "round 1 ends: MemberLost: train.train-1: no heartbeat for more than 120 s")
    start = live.read(found, trains().now)
    whatif.ask(start, arguments.parsed(["whatif", "train"]), found["rendezvous"][0]["spec"])
    assert told(start, "RoundEnded") == []


def test_pods_of_a_train_job_belong_to_its_run() -> None:
    """The run has the UID of the TrainJob, and the pods that of its JobSet."""
    scenario = Played(2, 3, last_call_seconds=1)
    trainer = Owner("TrainJob", "train")
    for index in range(3):
        scenario.pod(f"train-{index}", owner=trainer, owner_uid="uid-of-trainer")
        scenario.join(
            f"train.train-{index}", pod=f"train-{index}", run=None, index=index, address=f"10.1.2.{index + 3}"
        )
    scenario.after(120)
    found = objects(scenario)
    for item in found["pods"]:
        labels = {names.LABEL_JOBSET_UID: "uid-of-jobset", names.LABEL_JOBSET_NAME: "train"}
        item["metadata"]["labels"].update(labels)
    start = live.read(found, scenario.now)
    assert {pod.owner for pod in start.play.operator.pods.values()} == {trainer}
    whatif.ask(start, arguments.parsed(["whatif", "train", "--lose=rank=0"]), found["rendezvous"][0]["spec"])
    assert told(start, "RunClaimed") == []
    assert len(ranks(start)) == 2


def test_a_member_that_the_host_accuses_now_is_not_vouched_for() -> None:
    scenario = trains_with_beats()
    scenario.silent("train.train-2")
    scenario.after(6)
    scenario.says(missed=["train.train-2"])
    start, _ = asked(scenario)
    ((at, message),) = told(start, "RoundEnded")
    assert 0.0 < at <= 10.0
    assert "train.train-2: no beats at train.train-0 (rank 0)" in message


def test_what_is_shown_says_how_long_the_group_stands_still() -> None:
    start, _ = asked(trains(), "--lose=rank=0", "--replacement-after=20s")
    lines = show.forecast(start.play).splitlines()
    assert lines[0].split() == ["AFTER", "WHO", "WHAT"]
    assert lines[-1].startswith("Then nothing more changes: the group is Running, in round 2 with 3 nodes. ")
    assert lines[-1].endswith(" Until then it stands still for 35.0 s.")


def test_the_page_shows_what_is_printed() -> None:
    text = answer(*asked(trains(), "--drain=machine=gpu-a"))
    assert f"$ kubectl rdzv whatif train --drain machine=gpu-a\n{text}\n```" in PAGE.read_text(encoding="utf-8")


def test_a_question_costs_few_decisions(monkeypatch: pytest.MonkeyPatch) -> None:
    """One on 2,000 nodes takes some 30 ms, so with these a question takes less than a second."""
    decisions = []

    def counted(*arguments: Any) -> Any:
        decisions.append(arguments[0].monotonic)
        return decide(*arguments)

    monkeypatch.setattr("kube_rendezvous_cli.simulator.operator.decide", counted)
    for scenario in (trains(heartbeat_interval_seconds=40), trains_with_beats(heartbeat_interval_seconds=40)):
        decisions.clear()
        start, _ = asked(scenario, "--lose=rank=0")
        assert start.play.operator.status.round == 2
        assert 3 < len(decisions) <= 20


def test_edits_of_one_part_of_the_spec_are_made_one_after_the_other() -> None:
    start, _ = asked(
        trains(max_restarts=5), "--spec=restarts.max=null", "--spec=restarts.max=3", "--spec=timeouts.joinSeconds=7"
    )
    after = start.play.operator.rendezvous.spec
    assert (after.restarts.max, after.timeouts.join_seconds) == (3, 7)
    assert after.timeouts.last_call_seconds == 1
