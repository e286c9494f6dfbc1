"""The stores at which the members of a round check in: who has come, and what each of them sees of a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rendezvous_handler.join.answer import Membership
from rendezvous_handler.join.join import Seen

if TYPE_CHECKING:
    from tests.model.agent import Agent
    from tests.model.system import System

CHECK_IN_SECONDS = 20.0
"""After so long a member gives up (``read_timeout``)."""
LONGER_AT_HOST_SECONDS = 2.0
"""The others ask the store who is missing, before it goes."""

Key = tuple[str, int]
"""UID of a Rendezvous, and the number of a round."""


class Stores:
    """The store of each round, at its rank 0."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.came: dict[Key, dict[str, float]] = {}
        """When each member came to the store, by its name."""
        self.given_up: dict[Key, float] = {}
        """When the first member of a round gave up its check-in."""

    def look(self) -> None:
        """Note who has come."""
        for agent in self._system.processes.values():
            key = agent.round_key
            if agent.checks_in and key is not None and not agent.paused and self._is_reached(key, agent):
                self.came.setdefault(key, {}).setdefault(agent.name, self._system.now)

    def all_check_in(self, membership: Membership) -> bool:
        """Whether all members of a round meet at its store."""
        key = (membership.uid, membership.round)
        known = self._system.safety.rounds.get(key)
        if known is None or len(known.members) != membership.nodes:
            return False
        for member in known.members:
            agent = self._system.safety.agent(member)
            if agent is None or agent.paused or agent.round_key != key or not self._is_reached(key, agent):
                return False
        return True

    def seen_by(self, agent: Agent, *, timed_out: bool = False) -> Seen | None:
        """What a member knows of a check-in that fails now."""
        key = agent.round_key
        assert key is not None
        self.given_up.setdefault(key, self._system.now)
        came = self.came.get(key, {})
        if agent.name in came:
            asks = timed_out and self._is_reached(key, agent)
            members = self._system.safety.rounds[key].members
            return Seen(True, tuple(member.rank for member in members if member.name not in came) if asks else ())
        # A round that was ended before this member had time to come is no sign that it cannot.
        return Seen(False) if agent.check_in_ends_at - self._system.now < CHECK_IN_SECONDS / 2 else None

    def _is_reached(self, key: Key, agent: Agent) -> bool:
        """Whether that member reaches the store of its round."""
        known = self._system.safety.rounds.get(key)
        host = self._system.safety.agent(known.members[0]) if known is not None else None
        serves = host is not None and not host.paused and host.round_key == key
        return serves and host is not None and self._system.meet(host.name, agent.name)
