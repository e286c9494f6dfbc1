"""A node that crashes after each admission interrupts the others less and less (rule "hold-outs")."""

import threading
import time

import pytest
from tests.e2e.harness import Job
from tests.e2e.lengths import seconds, soak
from tests.support.waiting import wait_until

from rendezvous_api.reasons import HeldOutReason

HOLD_OUTS = seconds(1, 4)
"""Of 30, 60, 120 and 240 s."""


@soak
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_node_that_crashes_after_each_admission_interrupts_less_and_less(job: Job) -> None:
    job.create(2, 3, scaleUpIntervalSeconds=1)
    healthy = {"n0", "n1"}
    for node in sorted(healthy):
        job.agent(node)
    job.wait_for_training(healthy)
    over = threading.Event()

    def crash_again_and_again() -> None:
        """As the kubelet would restart it, without its back-off; each time it crashes with its first worker."""
        while not over.is_set():
            job.crash("sick")
            agent = job.agent("sick", max_restarts=0)
            while agent.running and not over.is_set():
                time.sleep(0.1)

    loop = threading.Thread(target=crash_again_and_again, daemon=True)
    loop.start()
    try:
        held = wait_until(
            lambda: next((entry for entry in job.status.held_out if entry.times == HOLD_OUTS), None),
            f"hold-out number {HOLD_OUTS}",
            60 + 45 * 2**HOLD_OUTS,
        )
        assert (held.name, held.reason) == (f"{job.name}.sick", HeldOutReason.CRASH_LOOP)
        assert "not for the first time" in held.message
        # What follows is as long as all before.
        job.wait_for_training(healthy, since=time.time())
        number, until = job.status.round, time.time() + 15 * 2 ** (HOLD_OUTS - 1)
        while time.time() < until:
            assert job.status.round == number, job.status.history
            time.sleep(0.5)
        admitted = [record for record in job.status.history if record.nodes == 3]
        assert len(admitted) == HOLD_OUTS + 1, "once without a consequence, and once for each time that it is held out"
        # Only the first crash costs a restart of the group.
        assert job.status.restarts <= 1
        job.stop_training()
        assert [job.agents[node].wait() for node in sorted(healthy)] == [0, 0]
    finally:
        over.set()
        loop.join()
