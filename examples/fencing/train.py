"""Checkpoints that a group cannot spoil which was frozen, and wakes when another one has taken its place.

A machine may stand still for hours: a virtual machine that is moved, a kernel that hangs, a process that is stopped.
No timeout helps then, since its workers go on where they stood, perhaps in the middle of a save. So each group writes
under its fencing token. A group that finds a higher token refuses to save, and whoever loads takes the highest one.

    torchrun --nproc-per-node=2 ... examples/fencing/train.py --checkpoints FOLDER

It trains nothing, so that it shows only that: a step is a number. The class `Checkpoints` fits any file.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from kube_rendezvous.worker import FencingToken, fencing_token

KEPT = 2
"""Checkpoints: while one is written, the one before is there."""


class StaleGroupError(Exception):
    """A group with a higher token has taken the place of this one."""


class Checkpoints:
    """A folder that all nodes share. The name of each file in it begins with the token of the group that wrote it.

    Only rank 0 of a group uses it. A group never writes over a file of another one. So a save of an old group that is
    already under way when it is frozen does no harm, either: nobody loads what it leaves.
    """

    def __init__(self, folder: Path, mine: FencingToken) -> None:
        """Claim the folder, before anything is loaded from it: from now on older groups refuse to save."""
        self._folder = folder
        self._mine = mine
        folder.mkdir(parents=True, exist_ok=True)
        self._refuse_if_stale()
        (folder / f"{mine}.claim").touch()

    def load(self) -> tuple[int, bytes]:
        """Step and content of the last checkpoint of the highest token; 0 and nothing if there is none."""
        found = self._saved()
        return (found[-1][1], found[-1][2].read_bytes()) if found else (0, b"")

    def save(self, step: int, content: bytes) -> None:
        """Write a checkpoint whole or not at all.

        Raises:
            StaleGroupError: another group has taken over; nothing is written.
        """
        self._refuse_if_stale()
        new = self._folder / f"{self._mine}.new"
        with open(new, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self._folder / f"{self._mine}.step-{step:012}")
        for _, _, path in self._saved()[:-KEPT]:
            path.unlink(missing_ok=True)

    def _refuse_if_stale(self) -> None:
        # Not "if one is higher": after a restore of etcd two groups may have tokens of which neither is lower.
        others = [token for token, _ in self._files() if not token <= self._mine]
        if others:
            raise StaleGroupError(f"the group {max(map(str, others))} has taken the place of {self._mine}")

    def _saved(self) -> list[tuple[tuple[str, int], int, Path]]:
        """All checkpoints: the highest token last, and of one token the last step last."""
        names = ((token, path, path.suffix.partition("-")[2]) for token, path in self._files())
        return sorted(((token.created, token.round), int(step), path) for token, path, step in names if step)

    def _files(self) -> list[tuple[FencingToken, Path]]:
        # NFS keeps a file that is deleted while somebody reads it, and calls it .nfs0001 or so.
        visible = (path for path in self._folder.iterdir() if not path.name.startswith("."))
        return [(FencingToken.parse(path.stem), path) for path in visible]


def main() -> None:
    """Count steps."""
    options = argparse.ArgumentParser(description="Show what a fencing token is for; run it with torchrun.")
    options.add_argument("--checkpoints", type=Path, required=True, help="folder that all nodes share")
    options.add_argument("--steps", type=int, default=100)
    options.add_argument("--step-seconds", type=float, default=0.1)
    given = options.parse_args()
    token = fencing_token()
    if token is None:
        sys.exit("there is no fencing token: run this with torchrun --rdzv-backend=kubernetes")
    writes = os.environ["RANK"] == "0"
    if not writes:
        time.sleep(given.steps * given.step_seconds)
        return
    checkpoints = Checkpoints(given.checkpoints, token)
    first, _ = checkpoints.load()
    print(f"process {os.getpid()} begins after step {first} as {token}", flush=True)
    for step in range(first + 1, given.steps + 1):
        time.sleep(given.step_seconds)
        checkpoints.save(step, f"the state after step {step}".encode())
        print(f"saved step {step}", flush=True)


if __name__ == "__main__":
    main()
