"""What rules answer: the decision and its words in one value.

A rule for the end of something yields a `Cause`; a rule for the start of a round gives `Met` or `Waits`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from rendezvous_api.reasons import FAILURES, ClosedReason, FormationReason, RoundEndReason
from rendezvous_api.rendezvous import Missing

R = TypeVar("R", RoundEndReason, ClosedReason)


@dataclass(frozen=True)
class Cause(Generic[R]):
    """Why a round, or a run, is to end."""

    reason: R
    message: str
    """Who, and why; for people."""
    at: float = float("-inf")
    """The moment (monotonic seconds) from which on it counts."""
    last_heard: float | None = None
    """Of a loss: when the lost one was last heard."""

    @property
    def failure(self) -> bool:
        """Whether it counts against ``spec.maxRestarts``."""
        return self.reason in FAILURES


@dataclass(frozen=True)
class Found(Generic[R]):
    """What a list of rules has answered."""

    cause: Cause[R] | None
    """The first that counts now."""
    until: float | None
    """The moment at which another one will count if nothing else changes."""


def first_cause(answers: Iterable[Iterable[Cause[R]]], now: float) -> Found[R]:
    """The first cause that counts now, in the order given: the order of the rules is their priority."""
    until: float | None = None
    for causes in answers:
        for cause in causes:
            if cause.at <= now:
                return Found(cause, None)
            until = earliest(until, cause.at)
    return Found(None, until)


@dataclass(frozen=True)
class Met:
    """Nothing that this rule knows of keeps the round from being published."""


@dataclass(frozen=True)
class Waits:
    """The round is not published yet."""

    reason: FormationReason
    message: str
    """What is waited for; for people."""
    missing: Sequence[Missing] = ()
    """Who is waited for."""
    until: float | None = None
    """The moment (monotonic seconds) at which this rule is met if nothing else changes; None: there is none."""


Verdict = Met | Waits


@dataclass(frozen=True)
class Outlook:
    """What the rules for the start of a round have answered together."""

    waits: Waits | None
    """The first rule that waits, whose words are shown; None: the round is published."""
    until: float | None
    """The next moment at which any of them may change."""


def outlook(verdicts: Iterable[Verdict]) -> Outlook:
    """All verdicts in one, in the order given."""
    waiting = [verdict for verdict in verdicts if isinstance(verdict, Waits)]
    return Outlook(waiting[0] if waiting else None, earliest(*(verdict.until for verdict in waiting)))


def earliest(*moments: float | None) -> float | None:
    """The first of some moments; None stands for never."""
    return min((moment for moment in moments if moment is not None), default=None)
