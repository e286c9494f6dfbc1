"""Pods as a test sees them: what the API server says of them, and their processes on this machine."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rendezvous_api import names


@dataclass(frozen=True)
class PodView:
    """What a test asks of a pod, as it was when it was read."""

    name: str
    uid: str
    node: str
    phase: str
    index: int | None
    """Of an Indexed Job."""
    terminating: bool
    ready: bool
    restarts: int
    """Of its container."""
    container_id: str
    address: str

    @property
    def running(self) -> bool:
        """Whether it runs, and is to go on."""
        return self.phase == "Running" and not self.terminating


def view(pod: Any) -> PodView:
    """The view of a ``V1Pod``."""
    states = pod.status.container_statuses or []
    index = (pod.metadata.labels or {}).get(names.LABEL_JOB_COMPLETION_INDEX)
    conditions = {condition.type: condition.status for condition in pod.status.conditions or []}
    return PodView(
        name=pod.metadata.name,
        uid=pod.metadata.uid,
        node=pod.spec.node_name or "",
        phase=pod.status.phase,
        index=int(index) if index is not None else None,
        terminating=pod.metadata.deletion_timestamp is not None,
        ready=conditions.get("Ready") == "True",
        restarts=states[0].restart_count if states else 0,
        container_id=(states[0].container_id or "").rpartition("/")[2] if states else "",
        address=pod.status.pod_ip or "",
    )


def main_process(pod: PodView) -> int:
    """The first process of a pod's container, by its number on this machine; with it, all others go."""
    assert pod.container_id, f"{pod.name} has no container yet"
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            in_container = pod.container_id in (status.parent / "cgroup").read_text()
            if in_container and _number_inside(status.read_text()) == 1:
                return int(status.parent.name)
    raise AssertionError(f"no process of {pod.name} runs")


def _number_inside(status: str) -> int:
    """The number of a process in its own namespace of processes, from /proc/PID/status."""
    line = next(line for line in status.splitlines() if line.startswith("NSpid:"))
    return int(line.split()[-1])
