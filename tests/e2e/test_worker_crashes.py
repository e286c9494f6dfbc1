"""Workers crash and are restarted, each time at a new store (rule "only forward")."""

from collections.abc import Mapping

import pytest
from tests.e2e.harness import Job

from rendezvous_api.reasons import RoundEndReason

NODES = {"n0", "n1"}


@pytest.mark.main_job
@pytest.mark.parametrize(
    ("crashing", "environment"),
    [
        pytest.param(("n1", "n0"), {}, id="workers use the agents' store"),
        pytest.param(("n1", "n0"), {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}, id="rank 0 serves a store of its own"),
    ],
)
def test_a_worker_crashes_several_times_while_ranks_start_two_seconds_apart(
    job: Job, crashing: tuple[str, ...], environment: Mapping[str, str]
) -> None:
    """A store that outlives its round hands the address of the last round to the rank that starts first."""
    job.create(2, 2)
    late = "n1"
    (job.folder / f"delay-{late}").write_text("2")
    agents = [job.agent(node, collectives=True, environment=environment) for node in sorted(NODES)]
    job.wait_for_training(NODES)

    for number, node in enumerate(crashing, 1):
        # Each rank is the late one at least once.
        (job.folder / f"delay-{late}").unlink()
        late = node
        (job.folder / f"delay-{late}").write_text("2")
        job.crash(node)
        job.wait_for_round(NODES, after=number)
        crash = job.journal.records("crash")[-1]
        job.wait_for_training(NODES, since=crash.time)

    started = job.journal.records("start")
    rounds = [started[at : at + 2] for at in range(0, len(started), 2)]
    assert len(rounds) == 1 + len(crashing), "a worker that was not told to fail was restarted"
    for number, both in enumerate(rounds, 1):
        assert {record.round for record in both} == {number}
        assert {(record.node, record.rank) for record in both} == {("n0", 0), ("n1", 1)}
        assert len({record.master for record in both}) == 1
    assert max(both[1].time - both[0].time for both in rounds) > 1, "the ranks did not start one after the other"
    assert len({both[0].master for both in rounds}) == len(rounds)
    assert {record.pid for record in job.journal.records("group")} == {record.pid for record in started}
    status = job.status
    assert [record.reason for record in status.history] == [*[RoundEndReason.WORKER_FAILED] * len(crashing), None]
    assert status.restarts == len(crashing)
    if not environment:
        assert status.store is not None
        assert rounds[-1][0].master == f"{status.store.host}:{status.store.port}"

    job.stop_training()
    assert [agent.wait() for agent in agents] == [0, 0]
    job.journal.assert_no_split()
