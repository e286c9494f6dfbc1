"""What the API server says of the machines of the model; each has the name of its node.

It says what a kubelet reports, and that is by a path of its own: a machine that is down by that may be well.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.model.api_server import Json

DOWN, WELL = "has a machine that is reported as down", "has a machine that is reported as well"
CORDONED, SICK = "has a machine that is cordoned", "has a machine that is quarantined"
CLEAN = "has a machine without a mark"
MARKS = (CORDONED, SICK, CLEAN)
_LABEL = "dgxc.nvidia.com/nvsentinel-state"


@dataclass
class Machines:
    """All of them."""

    _down: dict[str, list[list[float]]] = field(default_factory=dict)
    """By name: from when to when; the last one without an end while that is so."""

    _marks: dict[str, str] = field(default_factory=dict)

    def mark_of(self, name: str) -> str:
        """One of `MARKS`."""
        return self._marks.get(name, CLEAN)

    def marks(self, name: str, mark: str) -> None:
        """It has this mark from now on, and no other one."""
        self._marks[name] = mark

    def is_down(self, name: str) -> bool:
        """Whether it is reported as down now."""
        return name in self._down and len(self._down[name][-1]) == 1

    def reports(self, name: str, now: float, *, down: bool) -> None:
        """It is reported as that from now on."""
        if down and not self.is_down(name):
            self._down.setdefault(name, []).append([now])
        elif not down and self.is_down(name):
            self._down[name][-1].append(now)

    def read(self, name: str) -> Json:
        """The Node, as the API server shows it."""
        mark = self.mark_of(name)
        return {
            "metadata": {"labels": {_LABEL: "quarantined"} if mark == SICK else {}},
            "spec": {"unschedulable": mark == CORDONED},
            "status": {"conditions": [{"type": "Ready", "status": "Unknown" if self.is_down(name) else "True"}]},
        }

    def was_down(self, name: str, since: float, until: float) -> bool:
        """Whether it was reported as down at that moment, or before, and after some other one."""
        return any(times[0] <= until and (len(times) == 1 or times[1] >= since) for times in self._down.get(name, ()))


def keeps_out(machine: Json, *, was_member: bool) -> bool:
    """Whether a machine, as it was read, has a mark that keeps its node out of the next round."""
    cordoned = bool(machine["spec"]["unschedulable"])
    return bool(machine["metadata"]["labels"]) or (cordoned and not was_member)
