"""A `Scenario` whose agents also say what they know of each other by their connections to the host of the round."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from tests.unit.core.started import together
from tests.unit.core.worlds import Scenario

from rendezvous_api import names, ranks
from rendezvous_api.participant import PeerEvidence, PeerReport
from rendezvous_api.reasons import HostState, ParticipantState
from rendezvous_operator.core.world import SeenParticipant, Target


class PeerScenario(Scenario):
    """Members beat to the host, and say so with their heartbeats; a test says what is wrong with that."""

    def __init__(self, min_nodes: int = 2, max_nodes: int = 4, **spec: Any) -> None:
        self.report = PeerReport(1)
        self.views: dict[str, HostState] = {}
        """What members say of the host if that is not Answers."""
        self.relays: dict[str, PeerReport] = {}
        """Members that pass a report on."""
        self.newer: dict[str, SeenParticipant] = {}
        """What the API server has and no watch has shown."""
        super().__init__(min_nodes, max_nodes, **{"last_call_seconds": 0, **spec})

    @property
    def host(self) -> str:
        """The member of rank 0."""
        return self.group[0]

    @property
    def why(self) -> str:
        """Why the last round that has ended did so."""
        return next(record.message or "" for record in reversed(self.status.history) if record.message)

    @property
    def degraded(self) -> tuple[str, str]:
        """Reason and message of the condition Degraded. The message of Running, which people see first, has it, too."""
        condition = self.condition("Degraded")
        assert condition.message in self.condition("Running").message
        return (condition.reason, condition.message)

    def says(self, *, number: int | None = None, too_many: bool = False, **sets: str | Iterable[str]) -> PeerReport:
        """The host has another report: the names in each set. Its heartbeat arrives at once."""
        self.report = self.report_of(number or self.report.number + 1, too_many=too_many, **sets)
        self.settle()
        return self.report

    def report_of(self, number: int, *, too_many: bool = False, **sets: str | Iterable[str]) -> PeerReport:
        """A report with these names in its sets."""
        texts = {key: ranks.to_text(self.group.index(name) for name in found) for key, found in sets.items()}
        return PeerReport(number, too_many=too_many or None, **texts)

    def view(self, word: str, *who: str) -> None:
        """These members see that of the host. Their heartbeats arrive at once."""
        self.views |= {name: HostState(word) for name in who}
        self.settle()

    def settle(self) -> None:
        """Heartbeats with news come at once."""
        self._beat()
        super().settle()

    def _beat(self) -> None:
        super()._beat()
        for name, seen in self.seen.items():
            sends = name not in self.cut_off and seen.object.spec.state is not ParticipantState.LEFT
            if sends and seen.object.status.round:
                self.seen[name] = self._saying(name, seen)

    def _saying(self, name: str, seen: SeenParticipant) -> SeenParticipant:
        is_host = self._is_rank_0(seen)
        said = PeerEvidence(
            host=None if is_host else self.views.get(name, HostState.ANSWERS),
            report=self.report if is_host else self.relays.get(name),
        )
        return replace(seen, object=replace(seen.object, status=replace(seen.object.status, peers=said)))

    @staticmethod
    def _is_rank_0(seen: SeenParticipant) -> bool:
        return seen.object.status.rank == 0

    def _read(self, targets: Iterable[Target]) -> None:
        for target in targets:
            if target.kind == names.PARTICIPANT_KIND and target.name in self.newer:
                self.seen[target.name] = replace(self.newer.pop(target.name), beat_at=self.clock)
        super()._read(targets)


def peers(*nodes: str, **spec: Any) -> PeerScenario:
    """A round of these nodes runs, of a to d if none are given, and their beats arrive."""
    nodes = nodes or ("a", "b", "c", "d")
    fewest = spec.pop("min_nodes", 2)
    scenario = PeerScenario(fewest, spec.pop("max_nodes", len(nodes)), **{"replacement_seconds": 0, **spec})
    return together(scenario, *nodes)
