"""The control groups that the nodes' pods live in, in every hierarchy that this machine has (version 1, 2 or both)."""

import contextlib
import time
from pathlib import Path

from .layout import ClusterError

# The group, below the root of each hierarchy, that holds a group for each node.
PARENT = "kube-rendezvous"


def group_of(node: str) -> str:
    """The kubelet's `cgroupRoot`."""
    return f"/{PARENT}/{node}"


def make_group(node: str) -> None:
    """Make a node's group, empty: what its pods have left there before would only keep the kubelet busy.

    Raises ClusterError when this machine has no control groups. The node must be off.
    """
    roots = _hierarchies()
    if not roots:
        raise ClusterError("no control groups are mounted on this machine: /proc/mounts has no cgroup or cgroup2")
    for root in roots:
        _remove_tree(root / PARENT / node)
        for folder in (root / PARENT, root / PARENT / node):
            folder.mkdir(exist_ok=True)
            _allow(folder)


def remove_groups() -> None:
    """Remove the nodes' groups and all below them. Their processes must have ended."""
    for root in _hierarchies():
        _remove_tree(root / PARENT)


def left_groups() -> list[Path]:
    """The groups of the cluster that are there."""
    return [root / PARENT for root in _hierarchies() if (root / PARENT).exists()]


def _hierarchies() -> list[Path]:
    mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    return sorted({Path(mount[1]) for mount in mounts if mount[2] in ("cgroup", "cgroup2")})


def _allow(folder: Path) -> None:
    """Let processes be put into a group: in version 1 a new cpuset is empty, in version 2 controllers are off."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (folder / name).exists() and (folder.parent / name).exists() and not (folder / name).read_text().strip():
            (folder / name).write_text((folder.parent / name).read_text())
    control = folder.parent / "cgroup.subtree_control"
    if control.exists():
        for controller in (folder.parent / "cgroup.controllers").read_text().split():
            with contextlib.suppress(OSError):  # such as one that the parent may not hand on
                control.write_text(f"+{controller}")


def _remove_tree(folder: Path) -> None:
    if folder.exists():
        for group in sorted(folder.rglob("*/"), key=lambda path: len(path.parts), reverse=True):
            _remove(group)
        _remove(folder)


def _remove(group: Path) -> None:
    for _ in range(50):
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError:  # busy: the kernel is still taking down the last process
            time.sleep(0.1)
        else:
            return
