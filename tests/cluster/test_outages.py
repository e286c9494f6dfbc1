"""What happens to the control plane stops no training, and when it is over everything works as before."""

import time
from collections.abc import Callable

import pytest
from testcluster import Cluster
from tests.cluster.harness import Group
from tests.cluster.manifests import indexed_job
from tests.cluster.release import Release
from tests.cluster.take_over import Operators
from tests.cluster.timings import Timings
from tests.cluster.undisturbed import Training, assert_everyone_is_heard, assert_undisturbed, look_at

from rendezvous_api.reasons import ConditionReason, RoundEndReason
from rendezvous_api.rendezvous import RendezvousStatus

OUTAGE_SECONDS = 60
"""Four times the silence after which a member is a suspect, and half of that after which it is lost."""
TOKEN_SECONDS = 90
"""For the kubelets to notice that they have started anew, and to bring a new token to each pod."""
PODS = 3
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"


def start_training(group: Group) -> Training:
    group.create_rendezvous(2, PODS, replacementSeconds=60)
    group.create(indexed_job("train", PODS, group.template(f"2:{PODS}")))
    group.wait_for_training(PODS)
    return look_at(group)


def assert_all_works(group: Group, operators: Operators, timings: Timings, after: str) -> None:
    """A member that is killed is missed, and replaced with its rank."""
    operators.wait_until_complete()
    before = group.status
    lost = group.pod_of_rank(1)
    with group.recorder() as recorder:
        event = group.kill_container(lost)
        row = timings.add(group.measure(recorder, f"after: {after}", "rank 1 killed", event, nodes=PODS))
    print(*row.cells(), sep=" | ")
    status = group.status
    assert status.round == before.round + 1
    assert status.history[-2].reason in (RoundEndReason.MEMBER_LOST, RoundEndReason.WORKER_FAILED)
    replaced = group.pod_of_rank(1)
    assert (replaced.index, replaced.uid != lost.uid) == (lost.index, True)
    recorder.assert_rules(2, PODS)
    group.journal.assert_no_split()
    group.stop_training()
    group.kubectl("wait", "--for=condition=Complete", "job/train", "--timeout=90s")


def api_server_away(cluster: Cluster, group: Group) -> None:
    cluster.stop_api_server()
    time.sleep(OUTAGE_SECONDS)
    cluster.start_api_server()


def etcd_away(cluster: Cluster, group: Group) -> None:
    cluster.control_plane.stop_etcd()
    time.sleep(OUTAGE_SECONDS)
    cluster.restart_etcd()


def new_certificate(cluster: Cluster, group: Group) -> None:
    cluster.replace_serving_certificate()
    assert_everyone_is_heard(group)
    cluster.restart_api_server()  # so that all have to look at it


def tokens(group: Group) -> dict[str, str]:
    return {pod.name: group.kubectl("exec", pod.name, "--", "cat", TOKEN) for pod in group.pods()}


def wait_for_new_tokens(group: Group, old: dict[str, str]) -> None:
    def all_new() -> bool:
        return all(token != old[pod] for pod, token in tokens(group).items())

    group.wait(all_new, "new tokens in all pods", TOKEN_SECONDS)


def new_keys(cluster: Cluster, group: Group) -> None:
    """As an administrator does it: a new key, new tokens, and only then the old key goes."""
    old = tokens(group)
    cluster.rotate_service_account_key()
    wait_for_new_tokens(group, old)
    assert_everyone_is_heard(group)
    cluster.rotate_service_account_key()  # it keeps the key before it, which is not that of the old tokens


def new_key_at_once(cluster: Cluster, group: Group) -> None:
    """As after a leak: all tokens that there are become worthless."""
    old = tokens(group)
    cluster.rotate_service_account_key(keep_previous=False)
    wait_for_new_tokens(group, old)


OUTAGES: dict[str, Callable[[Cluster, Group], None]] = {
    "API server restarted": lambda cluster, _: cluster.restart_api_server(),
    "API server away for a minute": api_server_away,
    "etcd restarted": lambda cluster, _: cluster.restart_etcd(),
    "etcd away for a minute": etcd_away,
    "another serving certificate": new_certificate,
    "service-account keys rotated": new_keys,
    "service-account key replaced at once": new_key_at_once,
}


@pytest.mark.parametrize("outage", OUTAGES)
def test_training_outlives_it(cluster: Cluster, release: Release, group: Group, timings: Timings, outage: str) -> None:
    operators = Operators(release, group)
    operators.wait_until_complete()
    before = start_training(group)
    OUTAGES[outage](cluster, group)
    print(f"{outage}: longest pause {assert_undisturbed(group, before):.2f} s")
    assert_everyone_is_heard(group)
    # Long enough for the operator to miss somebody of whom it has heard nothing since then.
    time.sleep(group.rendezvous.spec.silent_seconds)
    assert_undisturbed(group, before)
    assert_all_works(group, operators, timings, outage)


def degraded(status: RendezvousStatus, reason: ConditionReason) -> str:
    """What the condition Degraded says for this reason; empty if it has another one."""
    return "".join(condition.message for condition in status.conditions if condition.reason == reason)


def test_a_third_of_the_members_is_cut_off(cluster: Cluster, release: Release, group: Group, timings: Timings) -> None:
    operators = Operators(release, group)
    operators.wait_until_complete()
    before = start_training(group)
    cut_off = group.pod_of_rank(2).name
    with group.recorder() as recorder:
        cluster.cut_off([cut_off], group.namespace)
        began = time.time()
        time.sleep(OUTAGE_SECONDS)
        assert_undisturbed(group, before)
        assert "no heartbeat has reached the API server" in group.log(cut_off)
        # The operator has noticed, and says so. It does nothing about it, since the others get beats of that member.
        word = f"{cut_off} sends no heartbeats"
        recorder.first(
            lambda status: word in degraded(status, ConditionReason.PATH_BROKEN), f"{word} in the status", since=began
        )
        assert not [sight for sight in recorder.sights if degraded(sight.status, ConditionReason.MEMBER_SUSPECTED)]
        cluster.reconnect([cut_off], group.namespace)
    group.wait(lambda: "heartbeats reach the API server again" in group.log(cut_off), "word of the end", 60)
    assert_everyone_is_heard(group)
    group.wait(lambda: not degraded(group.status, ConditionReason.PATH_BROKEN), "no word of it in the status", 60)
    print(f"a third cut off: longest pause {assert_undisturbed(group, before):.2f} s")
    assert_all_works(group, operators, timings, "a third cut off for a minute")
