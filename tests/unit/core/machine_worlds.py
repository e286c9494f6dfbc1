"""Scenarios whose nodes are on machines, of which the operator learns at its next look."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.unit.core.peer_worlds import PeerScenario
from tests.unit.core.started import together
from tests.unit.core.worlds import Scenario

from rendezvous_api.participant import Participant
from rendezvous_operator.core import machines
from rendezvous_operator.core.world import Detection, Machine, World


class MachineScenario(Scenario):
    """Each node has a machine of its name. The operator learns of a machine at its next look, if it wants to know."""

    def __init__(self, *arguments: Any, **spec: Any) -> None:
        self.machines: dict[str, Machine] = {}
        self.on: dict[str, str | None] = {}
        """The machines of nodes that are on another one, or on one that they do not know."""
        self.asked: list[tuple[str, ...]] = []
        self.may_read = True
        self.detected: dict[str, Detection] = {}
        super().__init__(*arguments, **spec)

    def world(self) -> World:
        world = super().world()
        if not self.may_read:
            return world
        self.asked.append(to_know := machines.to_know(self.clock, world))
        return replace(world, machines={name: self.machine(name) for name in to_know})

    def machine(self, name: str) -> Machine:
        """As the API server shows it."""
        return self.machines.get(name, Machine())

    def look(self) -> Any:
        answer = super().look()
        self.detected |= getattr(answer, "detected", {})
        return answer

    def _put(self, written: Participant) -> None:
        machine = self.on.get(written.metadata.name, f"machine-of-{written.metadata.name}")
        super()._put(replace(written, spec=replace(written.spec, node_name=machine)))

    @property
    def warning(self) -> str:
        return self.condition("Degraded").message


class WithMachines(MachineScenario):
    """Some of the machines are down."""

    def __init__(self, *arguments: Any, **spec: Any) -> None:
        self.down: dict[str, str] = {}
        """And why."""
        super().__init__(*arguments, **spec)

    def machine(self, name: str) -> Machine:
        """As the API server shows it."""
        return Machine(self.down.get(name))


class WithPeersAndMachines(WithMachines, PeerScenario):
    """And the members beat to the host."""


def running(*nodes: str, kind: Callable[..., WithMachines] = WithMachines, **spec: Any) -> WithMachines:
    """A round of these nodes runs, of a to c if none are given."""
    nodes = nodes or ("a", "b", "c")
    times = {"last_call_seconds": 0, "replacement_seconds": 0}
    scenario = together(kind(2, len(nodes), **{**times, **spec}), *nodes)
    scenario.asked.clear()
    return scenario


def lost_at(scenario: WithMachines, until: int = 200) -> int | None:
    """After how many seconds the members are asked to join again; None: not until then."""
    for moment in range(round(scenario.clock) - 1000, until):
        scenario.at(moment)
        if scenario.asks or scenario.status.round > 1:
            return moment
    return None
