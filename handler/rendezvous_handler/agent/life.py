"""The container of this process: its name, and its life, from its start to its next start (rule "launches")."""

from __future__ import annotations

import os
import re
from pathlib import Path

_PARENT, _START_TIME = 1, 19
"""Places in ``/proc/PID/stat`` behind the name of the program (proc_pid_stat(5): fields 4 and 22)."""


def life(pid: int | None = None, proc: Path = Path("/proc")) -> str | None:
    """A text that is the same for all processes of one life of a container, and another one after its next start.

    It is the start time of the process with which the container began: the ancestor that has no parent in this PID
    namespace. That also holds if the containers of a pod share the namespace. A program that ``kubectl exec`` starts is
    a life of its own.

    Args:
        pid: of the process; None: this one.
        proc: where the kernel shows its processes.

    Returns:
        None where the kernel shows none of it.
    """
    try:
        parent, started = pid or os.getpid(), ""
        while parent:
            # The name of the program, in parentheses, may contain blanks and parentheses.
            fields = (
                (proc / str(parent) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            )
            parent, started = int(fields[_PARENT]), fields[_START_TIME]
        # The times count from the start of the machine, and a pod may outlive that.
        boot = (proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError, IndexError):
        return None
    return f"{boot}-{started}"


def container_name(pod_uid: str, proc: Path = Path("/proc")) -> str | None:
    """The name of this container in its pod.

    The kubelet mounts a file for the last words of a container into it, from a folder with the name of the container
    (kubernetes/pkg/kubelet/kubelet_getters.go, ``getPodContainerDir``), and the kernel shows where a mount is from.

    Args:
        pod_uid: of its pod.
        proc: where the kernel shows its mounts.

    Returns:
        None where the kernel does not show it, as in a virtual machine.
    """
    try:
        mounts = (proc / "self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(rf"/pods/{re.escape(pod_uid)}/containers/([a-z0-9-]{{1,63}})/", mounts)
    return found[1] if found else None
