"""How rare the heartbeats of a member may be while the other members hear it. Pure."""

from __future__ import annotations

from rendezvous_api.rendezvous import Rendezvous


def rare_seconds(rendezvous: Rendezvous | None, number: int, *, heard: bool) -> int | None:
    """The time between two heartbeats, in seconds; None: the one that holds for all.

    Nobody may wait for it: who joins is taken in only when all members are known to reach the API server.

    Args:
        rendezvous: the newest known state.
        number: of the round that runs here; 0: none does.
        heard: the host answers, has nothing to say against this member, and reaches the API server itself.
    """
    if rendezvous is None or not heard or not number:
        return None
    seconds, status = rendezvous.spec.heartbeat.peers_interval_seconds, rendezvous.status
    if seconds is None or seconds <= rendezvous.heartbeat_seconds:
        return None
    is_calm = status.round == number and status.waiting_nodes == 0 and status.formation is None
    return seconds if is_calm else None
