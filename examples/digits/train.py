"""Train a classifier of handwritten digits on any number of nodes, and continue after any of them is lost.

An ordinary script for torchrun: nothing in it knows how the nodes find each other. torchrun restarts it on every node
whenever the group changes. It then continues from the last checkpoint, with any number of workers.

    torchrun --nnodes=2:4 ... examples/digits/train.py --checkpoints FOLDER

The data, 1797 images of 8 x 8 pixels, comes with scikit-learn.
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler

# Over all workers together: the same training, whatever their number.
GLOBAL_BATCH = 120


def main() -> None:
    """Train, then say how many held-out digits are read correctly."""
    options = _options()
    dist.init_process_group("gloo")
    rank, workers = dist.get_rank(), dist.get_world_size()
    training, held_out = _load_data()

    torch.manual_seed(0)
    model = DistributedDataParallel(_build_model())
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    sampler: DistributedSampler[Any] = DistributedSampler(training, seed=0)
    loader = DataLoader(training, batch_size=max(1, GLOBAL_BATCH // workers), sampler=sampler)

    checkpoint = options.checkpoints / "digits.pt"
    first_epoch = _resume(checkpoint, model, optimizer)
    if rank == 0:
        print(f"{workers} workers; begins with epoch {first_epoch + 1} of {options.epochs}", flush=True)

    for epoch in range(first_epoch, options.epochs):
        sampler.set_epoch(epoch)
        loss = torch.tensor(0.0)
        for index, (images, labels) in enumerate(loader):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            _after_step(options, rank, workers, epoch * len(loader) + index)
        if rank == 0:
            _save(checkpoint, model, optimizer, epoch + 1)
            print(f"epoch {epoch + 1} of {options.epochs}: loss {loss.item():.4f}", flush=True)

    if rank == 0:
        print(f"accuracy on {len(held_out)} held-out digits: {_accuracy(model.module, held_out):.1%}", flush=True)
    dist.barrier()
    dist.destroy_process_group()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a classifier of handwritten digits; run it with torchrun.")
    parser.add_argument("--checkpoints", type=Path, required=True, help="folder that all nodes share")
    parser.add_argument("--epochs", type=int, default=40)
    show = parser.add_argument_group("to show what happens")
    show.add_argument("--step-seconds", type=float, default=0.0, help="sleep this long after each optimizer step")
    show.add_argument("--slow-while", type=Path, metavar="FILE", help="sleep only as long as this file exists")
    show.add_argument(
        "--log-steps", type=Path, metavar="FILE", help="append `TIME PID RANK WORKERS STEP` for each optimizer step"
    )
    return parser.parse_args()


def _load_data() -> tuple[TensorDataset, TensorDataset]:
    """The digits to learn from and those held out; the same split in every process."""
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(images / 16.0, labels, test_size=0.2, random_state=0, stratify=labels)
    x_train, x_test, y_train, y_test = (torch.from_numpy(part) for part in parts)
    return TensorDataset(x_train.float(), y_train), TensorDataset(x_test.float(), y_test)


def _build_model() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10))


def _resume(checkpoint: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Take over the last checkpoint, if there is one. Returns the number of epochs that are done.

    Rank 0 reads it and tells the others, so that all begin with the same one on any shared file system.
    """
    states: list[Any] = [None]
    if dist.get_rank() == 0 and checkpoint.exists():
        states = [torch.load(checkpoint, weights_only=True)]
    dist.broadcast_object_list(states)
    if states[0] is None:
        return 0
    model.load_state_dict(states[0]["model"])
    optimizer.load_state_dict(states[0]["optimizer"])
    return int(states[0]["epochs"])


def _save(checkpoint: Path, model: nn.Module, optimizer: torch.optim.Optimizer, epochs: int) -> None:
    """Write the checkpoint whole or not at all: a worker can be killed at any moment."""
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    new = checkpoint.with_suffix(".new")
    with open(new, "wb") as file:
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epochs": epochs}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, checkpoint)


def _after_step(options: argparse.Namespace, rank: int, workers: int, step: int) -> None:
    if options.log_steps is not None:
        # One short line in one write: the lines of several workers do not mix.
        with open(options.log_steps, "a", encoding="ascii") as file:
            file.write(f"{time.time():.3f} {os.getpid()} {rank} {workers} {step}\n")
    if options.slow_while is None or options.slow_while.exists():
        time.sleep(options.step_seconds)


def _accuracy(model: nn.Module, digits: TensorDataset) -> float:
    images, labels = digits.tensors
    model.eval()
    with torch.no_grad():
        guesses: Tensor = model(images).argmax(dim=1)
    return float((guesses == labels).float().mean())


if __name__ == "__main__":
    main()
