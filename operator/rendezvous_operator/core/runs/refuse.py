"""The answers to those who ask and may not join. An agent acts on its answer and never compares run ids."""

from collections.abc import Iterator
from dataclasses import replace

from rendezvous_api import names
from rendezvous_api.reasons import AttemptReason, ClosedReason, EventReason, RefusalReason
from rendezvous_api.rendezvous import Refusal
from rendezvous_operator.core.agents import Agent
from rendezvous_operator.core.run import Run
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.words import budget_is_spent, cut
from rendezvous_operator.core.world import Event, Target


def answer_all(s: Situation) -> Run:
    """Answer everyone who asks and may not join. An answer stays until its agent has left or asks anew."""
    answers: dict[str, Refusal] = {}
    for agent in s.asking:
        answer = _answer(s, agent)
        if answer is not None and not _must_be_read(s, agent):
            spec = agent.object.spec
            reason, message = answer
            answers[agent.name] = Refusal(agent.name, spec.incarnation, spec.attempt, reason, cut(message))
    standing = [_standing(old, answers.pop(old.name)) for old in s.run.refused if old.name in answers]
    # The list is bounded; the others get their answer when those in it have left.
    refused = (*standing, *(answers[name] for name in sorted(answers)))[: names.MAX_REFUSED]
    if refused == s.run.refused:
        return s.run
    run = replace(s.run, refused=refused)
    new = [refusal for refusal in refused if refusal not in s.run.refused]
    if not new:
        return run
    more = f" (and {len(new) - 1} more)" if len(new) > 1 else ""
    return run.with_event(
        Event(EventReason.PARTICIPANT_REFUSED, f"{new[0].name}: {new[0].message}{more}", warning=True)
    )


def unread(s: Situation) -> Iterator[Target]:
    """The pods of those who would be refused for a run that may not be theirs."""
    for agent in s.asking:
        if agent.run_unread is not None and _must_be_read(s, agent) and _answer(s, agent) is not None:
            yield agent.run_unread


def _must_be_read(s: Situation, agent: Agent) -> bool:
    return agent.run_unread is not None and not s.spec.closed


def _standing(old: Refusal, new: Refusal) -> Refusal:
    """One attempt gets one answer: who was a spare of a run that succeeded still is one when another run is there."""
    return old if (old.incarnation, old.attempt) == (new.incarnation, new.attempt) else new


def _answer(s: Situation, agent: Agent) -> tuple[RefusalReason, str] | None:
    run, name = s.run, s.metadata.name
    if s.spec.closed:
        return RefusalReason.RUN_CLOSED, f"rendezvous {name!r} takes no one while its spec.closed is true"
    closed = run.closed_reason(agent.run_id)
    if closed is ClosedReason.RUN_SUCCEEDED and _has_waited(s, agent):
        return RefusalReason.RUN_SUCCEEDED, f"run {agent.run_id!r} has succeeded; nothing is left to do"
    if closed is not None:
        because = str(closed)
        if closed is ClosedReason.RESTART_BUDGET_EXHAUSTED and agent.run_id == run.id:
            because = f"{closed}: {budget_is_spent(run.restarts)}"
        return (
            RefusalReason.RUN_CLOSED,
            f"run {agent.run_id!r} is closed ({because}); start with another --rdzv-id",
        )
    if s.spec.run_id not in (None, agent.run_id):
        message = f"only run {s.spec.run_id!r} may join (spec.runID of rendezvous {name!r}), not run {agent.run_id!r}"
        return RefusalReason.OTHER_RUN_ACTIVE, message
    if run.open and agent.run_id != run.id:
        message = (
            f"run {run.id!r} has rendezvous {name!r}, so run {agent.run_id!r} may not join; "
            "wait for its end or use another --rdzv-endpoint"
        )
        return RefusalReason.OTHER_RUN_ACTIVE, message
    return None


def _has_waited(s: Situation, agent: Agent) -> bool:
    """Whether it asks on behalf of a run that has ended well, rather than to start it once more."""
    spec = agent.object.spec
    same_workload = spec.run_id is None and agent.run_id != names.UNNAMED_RUN
    return agent.name in s.run.spares or spec.attempt_reason is AttemptReason.MEMBERSHIP_CHANGE or same_workload
