"""The scratch pad of one decision: how old facts are, what to read, when to look again."""

from tests.unit.former_core.world import Deletion, Event, Fact, Memory, Now, Target, World

from rendezvous_api import names


class Turn:
    """Collects, while one decision is taken, what goes into it beside the status."""

    def __init__(self, now: Now, world: World, memory: Memory) -> None:
        self.now = now
        self.world = world
        self.memory = memory
        self.spec = world.rendezvous.spec
        self.confirm: set[Target] = set()
        self.events: list[Event] = []
        self.deletions: list[Deletion] = []
        self.wake_at: float | None = None
        self.holding: dict[Fact, float] = {}
        self.counts_from = max(world.answering_since, memory.grace_from)
        """Time from before this moment counts for nothing: nobody could be heard, or could do what is waited for."""

    @property
    def restart_request(self) -> str | None:
        """The user's last request for a new round."""
        return self.world.rendezvous.metadata.annotations.get(names.ANNOTATION_RESTART_REQUESTED_AT)

    def since(self, *fact: str | int) -> float:
        """State that a fact holds now. Returns since when it has held without a break (monotonic seconds)."""
        began = max(self.memory.since.get(fact, self.now.monotonic), self.counts_from)
        self.holding[fact] = began
        return began

    def reached(self, moment: float) -> bool:
        """Whether that moment has come; if not, the Rendezvous is looked at again then."""
        if self.now.monotonic >= moment:
            return True
        if self.wake_at is None or moment < self.wake_at:
            self.wake_at = moment
        return False
