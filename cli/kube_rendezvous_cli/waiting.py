"""``kubectl rdzv wait``: until a group runs, or its run has ended; and what that means for a script."""

from kube_rendezvous_cli.group import Group
from rendezvous_api import names

CONDITIONS = {
    "running": names.CONDITION_RUNNING,
    "complete": names.CONDITION_COMPLETE,
    "failed": names.CONDITION_FAILED,
    "suspended": names.CONDITION_SUSPENDED,
}

REACHED, NOT_ANY_MORE = True, False


def outcome(group: Group, wanted: str) -> bool | None:
    """Whether the condition holds; `NOT_ANY_MORE`: this run cannot come to it; None: not yet.

    What the operator has not seen yet may change the answer, so that is waited for.
    """
    if group.status.observed_generation < group.rendezvous.metadata.generation:
        return None
    if group.status.holds(CONDITIONS[wanted]):
        return REACHED
    return NOT_ANY_MORE if group.ended else None


def line(group: Group) -> str:
    """What is shown each time that it changes."""
    condition = group.condition
    said = f": {condition.message}" if condition is not None and condition.message else ""
    return f"{group.name}: {group.state}{said}"
