"""Members that nobody hears, in pods that are there: they train on, and nobody is replaced (rule "liveness")."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.harness import Job
from tests.e2e.lengths import LATE, SUSPECT, TIMES, seconds, soak
from tests.e2e.pods import Pods
from tests.support.proxy import Proxy
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_api.reasons import ConditionReason


@pytest.fixture
def proxy(job: Job) -> Iterator[Proxy]:
    """The way of the members to the API server."""
    with Proxy(job.control_plane.port) as proxy:
        yield proxy


@soak
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("members", [1, 2])
def test_a_running_round_that_is_cut_off_is_kept_while_a_spare_is_heard(job: Job, proxy: Proxy, members: int) -> None:
    job.create(members, members, replacementSeconds=0, **TIMES)
    pods = Pods(job)
    uids = {f"p-{number}": pods.create(f"p-{number}") for number in range(members)}
    for name, uid in uids.items():
        own = Path(pods.environment(name, uid)["KUBECONFIG"])
        job.agent(name, environment={"KUBECONFIG": str(job.control_plane.kubeconfig_via(proxy.port, own))})
    job.wait_for_training(set(uids))
    spare = pods.agent("spare", pods.create("spare"))
    wait_until(lambda: job.status.spares == (f"{job.name}.spare",), "a spare")
    first = job.status

    proxy.swallow()
    began = time.time()
    wait_until(
        lambda: (found := job.status.condition(names.CONDITION_DEGRADED)) and found.status == "True",
        "the members to be missed",
        SUSPECT + LATE,
    )
    time.sleep(SUSPECT + seconds(4, 60))
    status = job.status
    assert (status.round, status.waiting_nodes, status.restarts) == (1, 0, 0)
    assert status.participants == first.participants
    degraded = status.condition(names.CONDITION_DEGRADED)
    assert degraded is not None
    assert degraded.reason == ConditionReason.MEMBER_SUSPECTED
    # They never stopped, and nobody else began.
    assert {record.node for record in job.journal.records("start")} == set(uids)
    assert len(job.journal.records("start")) == members
    for node in uids:
        assert [record for record in job.journal.records("step", since=time.time() - 2) if record.node == node]
    assert spare.running

    proxy.mend()
    wait_until(
        lambda: (found := job.status.condition(names.CONDITION_DEGRADED)) and found.status == "False",
        f"the members to be heard again after {time.time() - began:.0f} s",
    )
    assert (job.status.round, job.status.restarts) == (1, 0)
    job.stop_training()
    assert [job.agents[node].wait() for node in [*uids, "spare"]] == [0] * (members + 1)
