"""What the journals of the workers say: when the others knew, and whether two rounds have ever trained at once."""

from collections.abc import Collection, Sequence

from tests.support.journal import Record


def told(records: Sequence[Record], others: Collection[str], of_round: int, at: float) -> float | None:
    """When the agents of all these nodes had ended their workers of this round; None: not all of them have.

    torchrun ends its workers once the Rendezvous asks it to join again. The moment is that at which a worker gets the
    signal, which is up to 0.1 s later (``--monitor-interval``).
    """
    first: dict[str, float] = {}
    for record in records:
        if record.event == "told" and record.round == of_round and record.time >= at:
            first.setdefault(record.node, record.time)
    return max(first[node] for node in others) if first.keys() >= set(others) else None


def next_round(records: Sequence[Record], nodes: Collection[str], after: int) -> tuple[int, float] | None:
    """The first round later than this one in which exactly these nodes train: its number, and when all workers ran."""
    started: dict[int, dict[str, float]] = {}
    for record in records:
        if record.event == "start" and record.round > after and record.nodes == len(nodes):
            started.setdefault(record.round, {}).setdefault(record.node, record.time)
    for number, by_node in sorted(started.items()):
        if by_node.keys() == set(nodes):
            return number, max(by_node.values())
    return None


def stepped_on(records: Sequence[Record], nodes: Collection[str], of_round: int, since: float) -> float:
    """For how long after a moment workers of these nodes still stepped in that round; 0: not at all."""
    late = [record.time - since for record in steps(records) if record.node in nodes and record.round == of_round]
    return max([0.0, *late])


def split(records: Sequence[Record], but: Collection[str] = ()) -> list[str]:
    """Steps in an older round after the first step in a newer one, by other nodes than these, in words."""
    found: list[str] = []
    newest = 0
    for record in steps(records):
        if record.round < newest and record.node not in but:
            found.append(f"{record.node} stepped in round {record.round} after round {newest} had begun to step")
        newest = max(newest, record.round)
    return list(dict.fromkeys(found))


def steps(records: Sequence[Record]) -> list[Record]:
    """Those of them that are steps."""
    return [record for record in records if record.event == "step"]
