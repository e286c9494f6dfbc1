"""The answers of rules: each is a decision together with its message.

A rule that ends a round or a run yields a `Cause`. A rule for the start of a round returns `Met` or `Waits`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from rendezvous_api.reasons import FAILURES, ClosedReason, FormationReason, RoundEndReason
from rendezvous_api.rendezvous import Missing

R = TypeVar("R", RoundEndReason, ClosedReason)


@dataclass(frozen=True)
class Cause(Generic[R]):
    """Why a round or a run ends."""

    reason: R
    message: str
    """Which node, and why; for people."""
    at: float = float("-inf")
    """The cause counts from this moment on (monotonic seconds)."""
    node: str = ""
    """Name of the participant that is the cause; empty: none is."""
    last_heard: float | None = None
    """Of a loss: time of the last heartbeat of the lost member (monotonic seconds)."""

    @property
    def failure(self) -> bool:
        """Whether it counts against ``spec.restarts``."""
        return self.reason in FAILURES


@dataclass(frozen=True)
class Found(Generic[R]):
    """The answer of a list of rules."""

    cause: Cause[R] | None
    """The first that counts now; None: none does."""
    until: float | None
    """When another one will count if nothing else changes (monotonic seconds); None: never."""


def first_cause(answers: Iterable[Iterable[Cause[R]]], now: float) -> Found[R]:
    """The first cause that counts now: the order of the rules is their priority."""
    until: float | None = None
    for causes in answers:
        for cause in causes:
            if cause.at <= now:
                return Found(cause, None)
            until = earliest(until, cause.at)
    return Found(None, until)


@dataclass(frozen=True)
class Met:
    """This rule does not block the round."""


@dataclass(frozen=True)
class Waits:
    """This rule blocks the round."""

    reason: FormationReason
    message: str
    """What the round waits for; for people."""
    missing: Sequence[Missing] = ()
    """The nodes that the round waits for."""
    until: float | None = None
    """When this rule is met if nothing else changes (monotonic seconds); None: never."""


Verdict = Met | Waits


@dataclass(frozen=True)
class Outlook:
    """The answer of all rules for the start of a round together."""

    waits: Waits | None
    """The first that waits, whose message is shown; None: the round is published."""
    until: float | None
    """When the next of them may change (monotonic seconds); None: never."""


def outlook(verdicts: Iterable[Verdict]) -> Outlook:
    """All verdicts in one; the first that waits gives the message."""
    waiting = [verdict for verdict in verdicts if isinstance(verdict, Waits)]
    return Outlook(waiting[0] if waiting else None, earliest(*(verdict.until for verdict in waiting)))


def earliest(*moments: float | None) -> float | None:
    """The earliest of some moments; None stands for never."""
    return min((moment for moment in moments if moment is not None), default=None)
