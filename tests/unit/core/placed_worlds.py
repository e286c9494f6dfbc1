"""A `Scenario` whose nodes are on machines with labels."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.unit.core.worlds import Scenario

from rendezvous_api.participant import Participant
from rendezvous_api.reasons import RanksPolicy
from rendezvous_api.rendezvous_spec import Ranks
from rendezvous_operator.core import machines
from rendezvous_operator.core.world import Machine, World

ZONE = "topology.kubernetes.io/zone"


def by_labels(*keys: str, segment: int | None = None) -> Ranks:
    """``spec.ranks`` with the policy Topology."""
    return Ranks(RanksPolicy.TOPOLOGY, keys, segment)


class Placed(Scenario):
    """Each node is on a machine of its name. Its labels are those of `labels`, else by `at`: node a1 is in rack a."""

    def __init__(self, *arguments: Any, **spec: Any) -> None:
        self.labels: dict[str, Mapping[str, str]] = {}
        """Of machines, by the name of the node; none: the machine says that it has none of these."""
        self.unreadable: set[str] = set()
        """Nodes whose machines cannot be read now."""
        self.gone_machines: set[str] = set()
        """Nodes whose machines do not exist any more."""
        self.may_read = True
        self.asked: tuple[str, ...] = ()
        super().__init__(*arguments, **spec)

    def world(self) -> World:
        world = super().world()
        if not self.may_read:
            return world
        self.asked = machines.to_know(self.clock, world)
        known = [name for name in self.asked if name.removeprefix("on-") not in self.unreadable]
        return replace(world, machines={name: self._machine(name.removeprefix("on-")) for name in known})

    def _machine(self, node: str) -> Machine:
        if node in self.gone_machines:
            return Machine("is gone")
        labels = self.labels.get(node, {"rack": node[:1]})
        return Machine(labels={"kubernetes.io/hostname": f"on-{node}", **labels})

    def _put(self, written: Participant) -> None:
        name = written.spec.node_name or f"on-{written.metadata.name}"
        super()._put(replace(written, spec=replace(written.spec, node_name=name)))

    @property
    def text(self) -> str:
        """The group as people read it."""
        return " ".join(self.group)

    @property
    def domains(self) -> list[tuple[str, int]]:
        """The domains of the current round, as the status remembers them."""
        assert self.status.topology is not None
        return [("/".join(domain.values), domain.nodes) for domain in self.status.topology.domains]

    @property
    def message(self) -> str:
        """Of the condition Running."""
        return self.condition("Running").message


def placed(*nodes: str, labels: Mapping[str, Mapping[str, str]] | None = None, **spec: Any) -> Placed:
    """A round of these nodes runs, or of those of them that it has places for. All have come in one moment."""
    minimum, maximum = spec.pop("min_nodes", 2), spec.pop("max_nodes", len(nodes))
    times = {"last_call_seconds": 0, "replacement_seconds": 0, "scale_up_interval_seconds": 0}
    scenario = Placed(minimum, maximum, **{**times, "ranks": by_labels("rack"), **spec})
    scenario.labels |= labels or {}
    scenario.complete = False
    scenario.join(*nodes)
    scenario.complete = True
    scenario.settle()
    return scenario


def in_segments(*nodes: str, segment: int = 2, **spec: object) -> Placed:
    """The same in whole segments of one rack."""
    return placed(*nodes, **{"min_nodes": segment, "ranks": by_labels("rack", segment=segment), **spec})  # type: ignore[arg-type]


def goes_on(scenario: Placed) -> str:
    """All members that live join again: the next round."""
    scenario.all_join_again()
    return scenario.text


def goes_on_after(scenario: Placed, failed: str) -> str:
    """The workers of a member fail, and all join again: the next round."""
    scenario.reenter(failed)
    return goes_on(scenario)


def spares_of(scenario: Placed) -> str:
    """The spares, in their order."""
    return " ".join(scenario.status.spares)
