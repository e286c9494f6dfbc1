"""What the API server says of the machines of the model; each has the name of its node.

It says what a kubelet reports, and that is by a path of its own: a machine that is down by that may be well.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.model.api_server import Json

DOWN, WELL = "has a machine that is reported as down", "has a machine that is reported as well"
OTHER_RACK, NO_RACK = "has a machine that gets the label of another rack", "has a machine that loses its label"
RACK = "rack"
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

    racks: dict[str, list[str]] = field(default_factory=dict)
    """By name: what its label says, and has said before; empty: it has no such label."""

    def gets_label(self, name: str, *, lost: bool) -> None:
        """Its label says another rack, or is lost, from now on."""
        said = self.racks.setdefault(name, [""])
        said.append("" if lost else "r" if said[-1] != "r" else "s")

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
        condition = {"type": "Ready", "status": "Unknown" if self.is_down(name) else "True"}
        rack, mark = self.racks.get(name, [""])[-1], self.mark_of(name)
        labels = {"kubernetes.io/hostname": name}
        if rack:
            labels[RACK] = rack
        if mark == SICK:
            labels[_LABEL] = "quarantined"
        spec = {"unschedulable": mark == CORDONED}
        return {"metadata": {"labels": labels}, "spec": spec, "status": {"conditions": [condition]}}

    def was_down(self, name: str, since: float, until: float) -> bool:
        """Whether it was reported as down at that moment, or before, and after some other one."""
        return any(times[0] <= until and (len(times) == 1 or times[1] >= since) for times in self._down.get(name, ()))


def keeps_out(machine: Json, *, was_member: bool) -> bool:
    """Whether a machine, as it was read, has a mark that keeps its node out of the next round."""
    cordoned = bool(machine["spec"]["unschedulable"])
    return _LABEL in machine["metadata"]["labels"] or (cordoned and not was_member)
