"""Decides again, and finds in which fields the outcome differs from the recorded one."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from rendezvous_operator.core.decide import decide
from rendezvous_operator.core.recorded import DecisionFailed, Outcome, Recorded
from rendezvous_operator.core.recorded_values import encode
from rendezvous_operator.core.world import Decision, Evidence


class Difference(NamedTuple):
    """One field."""

    path: str
    """As in ``status.participants[0].rank``."""
    recorded: Any
    """As JSON; None: the field is not there."""
    now: Any


def decided_again(recorded: Recorded) -> Outcome:
    """What this program decides on the recorded input."""
    try:
        return decide(recorded.now, recorded.world, recorded.memory)
    except Exception as error:  # noqa: BLE001 - a decision that fails, whatever the defect is, is an outcome, too
        return DecisionFailed(f"{type(error).__name__}: {error}")


def differences(recorded: Outcome, now: Outcome) -> list[Difference]:
    """The fields that differ; none if both are equal."""
    if recorded == now:
        return []
    if type(recorded) is not type(now):
        return [Difference("outcome", in_words(recorded), in_words(now))]
    return list(_differing("", encode(recorded), encode(now)))


def in_words(outcome: Outcome) -> str:
    """One line for people."""
    if isinstance(outcome, DecisionFailed):
        return f"the decision fails: {outcome.error}"
    return outcome.explanation if isinstance(outcome, (Decision, Evidence)) else ""


def _differing(path: str, before: Any, after: Any) -> Iterator[Difference]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys([*before, *after]):
            yield from _differing(f"{path}.{name}".lstrip("."), before.get(name), after.get(name))
    elif isinstance(before, list) and isinstance(after, list):
        for place in range(max(len(before), len(after))):
            pair = (items[place] if place < len(items) else None for items in (before, after))
            yield from _differing(f"{path}[{place}]", *pair)
    elif before != after:
        yield Difference(path, before, after)
