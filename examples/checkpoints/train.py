"""Train with FSDP on any number of nodes, and lose as few steps as possible when the group changes.

An ordinary script for torchrun. All workers write each checkpoint together, with torch.distributed.checkpoint, and any
other number of workers can load it. It saves

- each --save-every steps, which is what is left when a node is lost without a word,
- when torchrun ends the workers, which it announces by SIGTERM: then no step is lost.

    torchrun --nnodes=2:4 ... examples/checkpoints/train.py --checkpoints FOLDER

The data is random numbers. It runs on CPUs; docs/checkpoints.md shows what it prints.
"""

import argparse
import os
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.fsdp import fully_shard

GLOBAL_BATCH = 120  # over all workers together: the same training, whatever their number
SECONDS_FOR_A_STEP = 5  # longer than a step with its checkpoint takes, and short beside torchrun's 30 s after SIGTERM


def main() -> None:
    """Train to the last step, from the last checkpoint on."""
    options = _options()
    dist.init_process_group("gloo")
    rank, workers = dist.get_rank(), dist.get_world_size()
    torch.manual_seed(0)
    model = _build_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    done = _load(options.checkpoints, model, optimizer)
    end = End()
    _say(f"begins after step {done}, workers: {workers}")

    while done < options.steps:
        loss = _train(model, optimizer, done, rank, workers)
        done += 1
        _say(f"step {done}: loss {loss:.4f}")
        stop = end.is_near()
        if stop or done % options.save_every == 0 or done == options.steps:
            _save(options.checkpoints, model, optimizer, done)
            _say(f"saved step {done}" + (", because torchrun ends the workers" if stop else ""))
        if stop:
            end.wait_for_it()
        time.sleep(options.step_seconds)
    dist.barrier()
    dist.destroy_process_group()


class End:
    """Whether torchrun ends the workers. Each worker gets SIGTERM from the agent of its own node, at its own moment."""

    def __init__(self) -> None:
        self._asked, self._agreed = threading.Event(), threading.Event()
        # A handler in Python never runs while the main thread hangs in a collective. The byte is written at once.
        receive, send = os.pipe()
        os.set_blocking(send, False)
        signal.set_wakeup_fd(send)
        signal.signal(signal.SIGTERM, lambda *_: None)
        threading.Thread(target=self._watch, args=[receive], daemon=True).start()

    def _watch(self, receive: int) -> None:
        while os.read(receive, 1)[0] != signal.SIGTERM:
            pass
        self._asked.set()
        if not self._agreed.wait(SECONDS_FOR_A_STEP):
            os._exit(1)  # a member is lost, and this worker waits for it in a collective: it has nothing to save

    def is_near(self) -> bool:
        """Whether one worker at least was asked to end: the same answer on all, since all must save the same step."""
        asked = torch.tensor(float(self._asked.is_set()))
        dist.all_reduce(asked, dist.ReduceOp.MAX)
        if asked:
            self._agreed.set()
        return bool(asked)

    def wait_for_it(self) -> None:
        """End when the own agent asks for it. A worker that ends with 0 before that would say that the run is done."""
        self._asked.wait(60)
        os._exit(1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train with FSDP and distributed checkpoints; run it with torchrun.")
    parser.add_argument("--checkpoints", type=Path, required=True, help="folder that all nodes share")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--save-every", type=int, default=20, metavar="STEPS")
    parser.add_argument("--step-seconds", type=float, default=0.0, help="sleep this long after each step")
    return parser.parse_args()


def _build_model() -> nn.Module:
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    mesh = dist.init_device_mesh("cpu", (dist.get_world_size(),))
    for layer in model:
        if isinstance(layer, nn.Linear):
            fully_shard(layer, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def _train(model: nn.Module, optimizer: torch.optim.Optimizer, step: int, rank: int, workers: int) -> float:
    """One step. Its data follows from its number: a worker that starts again continues where the data was."""
    inputs = torch.randn(GLOBAL_BATCH, 16, generator=torch.Generator().manual_seed(step))
    own = inputs[rank::workers]
    optimizer.zero_grad()
    loss: Tensor = nn.functional.mse_loss(model(own), own.sin().sum(dim=1, keepdim=True))
    loss.backward()
    optimizer.step()
    mean = loss.detach()
    dist.all_reduce(mean)
    return float(mean) / workers


def _save(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    """Write a checkpoint, all workers together. It counts once its file .metadata is there, which is written last."""
    states, optimizer_states = get_state_dict(model, optimizer)
    dcp.save({"model": states, "optimizer": optimizer_states, "step": step}, checkpoint_id=folder / f"step-{step}")
    if dist.get_rank() == 0:
        for old in _complete(folder)[:-2]:
            shutil.rmtree(folder / f"step-{old}", ignore_errors=True)


def _load(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Take over the last complete checkpoint, of any number of workers. Returns its step, or 0 if there is none."""
    # Rank 0 looks for it: on a shared file system two machines may see different files for a moment.
    newest: list[Any] = [max(_complete(folder), default=0)]
    dist.broadcast_object_list(newest)
    (step,) = newest
    if step == 0:
        return 0
    states, optimizer_states = get_state_dict(model, optimizer)
    loaded: dict[str, Any] = {"model": states, "optimizer": optimizer_states, "step": 0}
    dcp.load(loaded, checkpoint_id=folder / f"step-{step}")
    set_state_dict(model, optimizer, model_state_dict=loaded["model"], optim_state_dict=loaded["optimizer"])
    return int(loaded["step"])


def _complete(folder: Path) -> list[int]:
    """The steps of all checkpoints that are whole, in their order."""
    return sorted(int(path.parent.name.removeprefix("step-")) for path in folder.glob("step-*/.metadata"))


def _say(text: str) -> None:
    if dist.get_rank() == 0:
        print(text, flush=True)


if __name__ == "__main__":
    main()
