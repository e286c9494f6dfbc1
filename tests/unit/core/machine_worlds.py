"""A `Scenario` whose nodes are on machines, of which the operator learns at its next look."""

from dataclasses import replace
from typing import Any

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
        return replace(world, machines={name: self.machines.get(name, Machine()) for name in to_know})

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
