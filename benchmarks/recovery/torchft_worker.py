"""The same training as in worker.py, as a script for torchft has to be written: a quorum and a vote for each step.

Usage: torchft_worker.py FOLDER. Each worker is a replica group of its own. A step counts when it is committed.
"""

import time
from datetime import timedelta

from benchmarks.recovery.steps import CHECKPOINT_STEPS, STEP_SECONDS, folder, node, write

write("start")

import torch  # noqa: E402
from torchft import Manager, ProcessGroupGloo  # noqa: E402

weights = torch.zeros(1000)


def load_state_dict(state: dict[str, torch.Tensor]) -> None:
    """Take over the weights of another replica group."""
    weights.copy_(state["weights"])


manager = Manager(
    pg=ProcessGroupGloo(timeout=timedelta(seconds=5)),  # the time of torchft's own example
    load_state_dict=load_state_dict,
    state_dict=lambda: {"weights": weights},
    min_replica_size=2,
    replica_id=node,
)
while True:
    manager.start_quorum()
    gradient = torch.ones(1000)
    manager.allreduce(gradient).wait()
    rank, nodes = manager.participating_rank(), manager.num_participants()
    # While it takes over the weights of another replica group, it takes no part, and has no rank.
    if manager.should_commit() and rank is not None:
        weights += gradient
        # The number of the quorum is torchft's own name for a group; no public method says it.
        write("step", group=f"quorum {manager._quorum_id} of {nodes}", nodes=nodes, rank=rank)
        if rank == 0 and manager.current_step() % CHECKPOINT_STEPS == 0:
            torch.save({"weights": weights, **manager.state_dict()}, folder / "checkpoint.new")
            (folder / "checkpoint.new").rename(folder / "checkpoint.pt")
    time.sleep(STEP_SECONDS)
