"""How an agent of the model waits for a round: the handler's own wait, with a join clock that the model sets."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from rendezvous_handler.join.clock import JoinClock
from rendezvous_handler.join.wait import JoinWait

if TYPE_CHECKING:
    from tests.model.agent import Agent


def wait_of(agent: Agent, rendezvous: str) -> JoinWait:
    """A new one, whose join timeout begins now.

    Args:
        agent: who waits.
        rendezvous: NAMESPACE/NAME of what it waits at.
    """
    of_handler = SimpleNamespace(
        reference=rendezvous,
        client=agent.client,
        settings=SimpleNamespace(join_timeout=600),
        stopped=False,
        notice_pause=lambda: None,
        watch=agent.watch,
        participant=agent.participant,
    )
    wait = JoinWait(cast(Any, of_handler))
    wait.clock = JoinClock(agent.now)
    return wait
