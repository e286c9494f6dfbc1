"""What each action says before it does it, and the one request that it makes."""

import json
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.cli.played import Played, has_lost_one, named, trains
from tests.unit.core.healths import stays_out
from tests.unit.core.started import x_is_held_out

from kube_rendezvous_cli import actions, arguments, waiting
from kube_rendezvous_cli.actions import PLANS, Plan, evict
from kube_rendezvous_cli.actions import named as found_by
from kube_rendezvous_cli.group import Group, group_of
from kube_rendezvous_cli.kubectl import CommandError, Kubectl
from kube_rendezvous_cli.logs import Window, sources, window, within
from rendezvous_api.codec import encode
from rendezvous_api.reasons import LeaveReason
from rendezvous_api.rendezvous import Rendezvous


class Recorded(Kubectl):
    """Makes no request."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[tuple[str, ...], str | None]] = []

    def run(self, *arguments: str, stdin: str | None = None, namespace: str | None = None) -> str:
        self.calls.append(((*arguments, f"-n={namespace}"), stdin))
        return ""


def request(plan: Plan, group: Group) -> tuple[tuple[str, ...], str | None]:
    kubectl = Recorded()
    plan.carry_out(kubectl, group)
    (call,) = kubectl.calls
    return call


def patch(name: str, scenario: Played) -> Any:
    group = scenario.shown()
    (verb, kind, of, _, text, namespace), _ = request(PLANS[name](group, scenario.now), group)
    assert (verb, kind, of, namespace) == ("patch", "rendezvous.rdzv.dev", "train", "-n=team-a")
    return json.loads(text.removeprefix("--patch="))


def test_a_restart_names_the_round_and_its_nodes() -> None:
    scenario = trains()
    says = PLANS["restart"](scenario.shown(), scenario.now).says
    assert says.startswith(
        "restarts round 1 of team-a/train (Job/train): its 3 nodes (train-0, train-1 and train-2) stop their workers"
    )
    (value,) = patch("restart", scenario)["metadata"]["annotations"].values()
    scenario.request_restart(value)
    assert scenario.ended_because == "RestartRequested"
    with pytest.raises(CommandError, match=r"no round of train runs \(it is WaitingForMembers\)"):
        PLANS["restart"](scenario.shown(), scenario.now)


def test_suspend_and_resume() -> None:
    scenario = trains()
    assert patch("suspend", scenario) == {"spec": {"suspend": True}}
    assert "no round starts until `kubectl rdzv resume train`" in PLANS["suspend"](scenario.shown(), scenario.now).says
    with pytest.raises(CommandError, match="train is not suspended"):
        PLANS["resume"](scenario.shown(), scenario.now)
    scenario.edit(suspend=True)
    assert patch("resume", scenario) == {"spec": {"suspend": False}}
    with pytest.raises(CommandError, match="suspended already"):
        PLANS["suspend"](scenario.shown(), scenario.now)


def test_close_and_reopen() -> None:
    scenario = trains()
    assert patch("close", scenario) == {"spec": {"closed": True}}
    assert "The 3 members of round 1 train on" in PLANS["close"](scenario.shown(), scenario.now).says
    with pytest.raises(CommandError, match="is not closed"):
        PLANS["reopen"](scenario.shown(), scenario.now)
    scenario.edit(closed=True)
    assert patch("reopen", scenario) == {"spec": {"closed": False}}
    with pytest.raises(CommandError, match="closed already"):
        PLANS["close"](scenario.shown(), scenario.now)


def test_a_run_that_has_ended_is_not_reopened() -> None:
    scenario = trains()
    scenario.leave(*named("train-0"), reason=LeaveReason.SUCCEEDED)
    with pytest.raises(CommandError, match="Its run has ended: a new one needs a new Job"):
        PLANS["reopen"](scenario.shown(), scenario.now)


def test_retry_names_who_is_held_out() -> None:
    scenario = x_is_held_out()
    group = group_of(encode(Rendezvous(scenario.metadata, scenario.spec, scenario.status)), (), ())
    moment = Played.now.fget(scenario)  # type: ignore[attr-defined]
    plan = PLANS["retry"](group, moment)
    assert plan.says.startswith("lets x take part in /train (run) again at once")
    (value,) = plan.patch["metadata"]["annotations"].values()  # type: ignore[index]
    scenario.request_retry(value)
    assert scenario.held_out == {}
    with pytest.raises(CommandError, match="no node of train is held out or unhealthy"):
        PLANS["retry"](group, moment + timedelta(seconds=31))


def test_retry_has_failed_health_checks_run_again() -> None:
    scenario = x_is_held_out()
    stays_out(scenario, "y")
    group = group_of(encode(Rendezvous(scenario.metadata, scenario.spec, scenario.status)), (), ())
    moment = Played.now.fget(scenario)  # type: ignore[attr-defined]
    plan = PLANS["retry"](group, moment)
    assert plan.says.startswith("lets x take part in")
    assert plan.says.endswith(" And it has the health checks of y run again at once.")
    later = PLANS["retry"](group, moment + timedelta(seconds=31))
    assert later.says == "has the health checks of y run again at once."


def test_an_eviction_says_what_happens_to_the_others() -> None:
    scenario = trains()
    group = scenario.shown()
    participant = found_by(group, "train-1")
    assert participant is not None
    assert participant is found_by(group, "train.train-1")
    plan = evict(group, participant)
    assert plan.says == (
        "evicts the pod train-1 on gpu-b, as a drain does: its PodDisruptionBudget counts. It has rank 1 of round 1 of "
        "team-a/train (Job/train): that round ends, and the other 2 nodes join a new one (0 spares, at least 2 "
        "are needed). "
        "It does not count in restarts.max. Job/train makes a new pod."
    )
    (verb, raw, file, namespace), body = request(plan, group)
    assert (verb, raw) == ("create", "--raw=/api/v1/namespaces/team-a/pods/train-1/eviction")
    assert (file, namespace) == ("--filename=-", "-n="), "the address has the namespace"
    assert json.loads(body or "")["deleteOptions"] == {"preconditions": {"uid": "uid-of-train-1"}}


def test_who_is_in_no_pod_cannot_be_evicted() -> None:
    scenario = Played()
    scenario.join("train.a")
    group = scenario.shown()
    with pytest.raises(CommandError, match=r"train\.a is in no pod"):
        evict(group, group.participants["train.a"])
    assert found_by(group, "train.b") is None


def test_every_action_has_a_command() -> None:
    for name in PLANS:
        assert arguments.parsed([name, "train", "--yes"]).yes
    assert set(PLANS) == {"restart", "suspend", "resume", "close", "reopen", "retry"}
    assert actions.PLANS is PLANS


# ---- wait


def test_what_wait_waits_for() -> None:
    scenario = trains()
    group = scenario.shown()
    assert [waiting.outcome(group, goal) for goal in ("running", "complete", "failed")] == [True, None, None]
    scenario.leave(*named("train-0"), reason=LeaveReason.SUCCEEDED)
    group = scenario.shown()
    assert [waiting.outcome(group, goal) for goal in ("running", "complete", "failed")] == [False, True, False]
    assert waiting.line(group) == "train: Complete: run 'job' is closed: it has succeeded"


def test_a_change_that_the_operator_has_not_seen_is_waited_for() -> None:
    scenario = trains()
    rendezvous, participants, pods = scenario.objects()
    rendezvous["metadata"]["generation"] = 2
    assert waiting.outcome(group_of(rendezvous, participants, pods), "running") is None


# ---- logs


def test_logs_of_all_members_or_of_one() -> None:
    group = trains().shown()
    assert [source.prefix for source in sources(group, None)] == ["0 train-0", "1 train-1", "2 train-2"]
    assert [source.pod for source in sources(group, 2)] == ["train-2"]
    with pytest.raises(CommandError, match="has the ranks 0 to 2, and not 3"):
        sources(group, 3)
    with pytest.raises(CommandError, match=r"rank 2 of train, train\.train-2, is in no pod, or its object is gone"):
        sources(has_lost_one().shown(), 2)


def test_before_the_first_round_the_logs_of_all_pods_are_shown() -> None:
    scenario = Played()
    scenario.pod("train-1")
    with_pods = scenario.shown()
    assert [source.pod for source in sources(with_pods, None)] == ["train-1"]
    with pytest.raises(CommandError, match="no node in a pod"):
        sources(Played().shown(), None)


def test_the_time_of_a_round() -> None:
    scenario = has_lost_one()
    group = scenario.shown()
    limits = window(group, 1)
    assert limits.end is not None
    assert within("2030-01-01T00:16:41.500000001Z a b ", limits) == "a b "
    assert within("2030-01-01T00:16:40Z a", limits) is None
    assert within("2030-01-01T00:20:40Z a", limits) is None
    assert within("2030-01-01T00:20:40Z a", Window(limits.begin, None)) == "a"
    assert within("no time", limits) == "no time"
    with pytest.raises(CommandError, match="no record of round 7; it has those of 1"):
        window(group, 7)


# ---- the command line


def test_options_of_kubectl_are_handed_on() -> None:
    options = arguments.parsed(["get", "-n", "team-a", "--context=prod", "--as=ann", "--as-group=a", "--as-group", "b"])
    assert options.namespace == "team-a"
    assert arguments.of_kubectl(options) == ["--context=prod", "--as=ann", "--as-group=a", "--as-group=b"]


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("1h10m", 4200), ("250ms", 0.25)])
def test_a_time_is_read_with_its_units(text: str, seconds: float) -> None:
    assert arguments.parsed(["wait", "train", f"--timeout={text}"]).timeout == seconds


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("get -o csv", "invalid choice: 'csv'"),
        ("wait train --timeout=soon", "'soon' is no time such as 90s, 10m or 2h"),
        ("wait train --for=glory", "invalid choice: 'glory'"),
        ("why", "the following arguments are required: NAME"),
        ("logs train --rank=first", "invalid int value: 'first'"),
        ("fly", "invalid choice: 'fly'"),
        ("", "the following arguments are required: COMMAND"),
    ],
)
def test_a_wrong_command_line_is_said(line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments.parsed(line.split())
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_times_of_the_command_line() -> None:
    assert [arguments.parsed(["wait", "t", f"--timeout={text}"]).timeout for text in ("90s", "2", "1.5m", "2h")] == [
        *(90, 2, 90, 7200)
    ]
