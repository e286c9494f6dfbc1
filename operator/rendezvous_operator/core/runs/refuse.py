"""The answers to waiting nodes that may not join. An agent acts on its answer and never compares run ids."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from rendezvous_api import names
from rendezvous_api.reasons import AttemptReason, ClosedReason, ConditionReason, EventReason, RefusalReason
from rendezvous_api.rendezvous import Refusal
from rendezvous_operator.core import budget
from rendezvous_operator.core.nodes import MemberView, Node
from rendezvous_operator.core.run import Run
from rendezvous_operator.core.run_names import launch_of
from rendezvous_operator.core.runs.owner import owner_of
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.words import budget_is_spent, cut, first_of
from rendezvous_operator.core.world import Event, Target

ANSWER_SECONDS = 60
"""How long a free Rendezvous waits at most, for the spares of the last run that have no answer yet."""


def answer_all(s: Situation) -> Run:
    """Refuse every waiting node that may not join. A refusal stays until its agent leaves or tries again.

    The list is bounded. The others get their answers when those in it have left.
    """
    answers: dict[str, Refusal] = {}
    before = {refusal.name: refusal for refusal in s.run.refused}
    budget_spent = _budget_spent(s)
    for node in s.all_waiting:
        old = before.get(node.name)
        if old is not None and _is_final(old, node):
            answers[node.name] = old
            continue
        answer = _answer(s, node, budget_spent)
        if answer is not None and not _must_be_read(s, node):
            spec = node.object.spec
            answers[node.name] = Refusal(
                node.name, spec.incarnation, spec.attempt, answer.reason, cut(answer.message), answer.closed_reason
            )
    for refusal in s.run.refused:
        # Also while its node is silent: it must not wait with this attempt when it is heard again.
        if refusal.reason is RefusalReason.JOIN_ANEW and _may_ask_still(s, refusal):
            answers.setdefault(refusal.name, refusal)
    standing = [answers.pop(old.name) for old in s.run.refused if old.name in answers]
    return _with_refused(s, [*standing, *(answers[name] for name in sorted(answers))])


def drop_members(s: Situation) -> Run:
    """The run when a round is published without members of the last one that have not joined again in time.

    Such an attempt never waits for a round again: an agent that lives makes another one, and an agent that sees no
    answer would only fail the next check-in, too.
    """
    if not s.run.has_round:
        return s.run
    dropped = [view for view in s.members if view.node is not None and _is_dropped(view, view.node)]
    message = f"it was a member of round {s.status.round} and did not join again in time; it joins with a new attempt"
    new = tuple(
        Refusal(view.name, view.member.incarnation, view.member.attempt, RefusalReason.JOIN_ANEW, message)
        for view in sorted(dropped, key=lambda view: bool(view.silent))
    )
    return _with_refused(s, [*s.run.refused, *new])


def _is_dropped(view: MemberView, node: Node) -> bool:
    return node.lives and node.is_member(view.member)


def _may_ask_still(s: Situation, refusal: Refusal) -> bool:
    node = s.nodes.get(refusal.name)
    if node is None or not node.lives:
        return False
    spec = node.object.spec
    return (spec.incarnation, spec.attempt) == (refusal.incarnation, refusal.attempt)


def _with_refused(s: Situation, answers: list[Refusal]) -> Run:
    """The run with as many of these refusals as there is room for, and an Event if some are new."""
    run, refused = s.run, tuple(_in_turn(s, answers)[: names.MAX_REFUSED])
    new = [refusal for refusal in refused if refusal not in run.refused]
    run = run if refused == run.refused else replace(run, refused=refused)
    if not new:
        return run
    message = first_of(len(new), f"{new[0].name}: {new[0].message}")
    return run.with_event(Event(EventReason.PARTICIPANT_REFUSED, message, warning=True))


def _in_turn(s: Situation, answers: list[Refusal]) -> list[Refusal]:
    """As they are, if there is room for all; else the first one of each pod, then the second ones, and so on.

    So a pod that takes many names, and never acts on an answer, keeps no other pod from its own. JoinAnew comes before
    the other answers: without it a dropped attempt would be admitted again, and the others would fail with it.
    """
    if len(answers) <= names.MAX_REFUSED:
        return answers
    given: Counter[tuple[bool, str]] = Counter()
    places: list[tuple[bool, int]] = []
    for answer in answers:
        may_wait = answer.reason is not RefusalReason.JOIN_ANEW
        pod = s.nodes[answer.name].object.spec.pod_uid or answer.name
        places.append((may_wait, given[may_wait, pod]))
        given[may_wait, pod] += 1
    return [answer for _, answer in sorted(zip(places, answers, strict=True), key=lambda placed: placed[0])]


def owes_answers(s: Situation) -> bool:
    """Whether spares of a closed run have no answer yet: they are not listed any more after the next claim."""
    if s.run.open:
        return False
    answered = {refusal.name for refusal in s.run.refused}
    spares = frozenset(s.run.spares) - answered
    return any(node.name in spares and node.run_id == s.run.id for node in s.all_waiting)


def unread(s: Situation) -> Iterator[Target]:
    """The pods of nodes that would be refused for a run that is not certain."""
    for node in s.all_waiting:
        if node.run_unread is not None and _must_be_read(s, node) and _answer(s, node) is not None:
            yield node.run_unread


def _must_be_read(s: Situation, node: Node) -> bool:
    return node.run_unread is not None and not s.spec.closed


def _is_final(refusal: Refusal, node: Node) -> bool:
    """Whether this attempt has its answer: a closed run ends its agent, even if another run has begun since.

    What the spec refuses, or another run, may join once that has changed. So may a pod whose status comes late.
    """
    spec = node.object.spec
    same = (refusal.incarnation, refusal.attempt) == (spec.incarnation, spec.attempt)
    by_spec = refusal.closed_reason == ConditionReason.CLOSED_BY_SPEC
    may_change = refusal.reason in (RefusalReason.OTHER_RUN_ACTIVE, RefusalReason.WRONG_ADDRESS)
    return same and not may_change and not by_spec


class _Answer(NamedTuple):
    reason: RefusalReason
    message: str
    closed_reason: str | None = None


def _budget_spent(s: Situation) -> str:
    """Why the present run is closed, if that is since its restart budget is used up; the same for all its nodes."""
    if s.run.closed_reason(s.run.id) is not ClosedReason.RESTART_BUDGET_EXHAUSTED:
        return ""
    return budget_is_spent(s.spec.restarts, budget.spent(s))


def _answer(s: Situation, node: Node, budget_spent: str = "") -> _Answer | None:
    run, name = s.run, s.metadata.name
    if s.spec.closed:
        message = f"Rendezvous {name!r} is closed (spec.closed is true)"
        return _Answer(RefusalReason.RUN_CLOSED, message, str(ConditionReason.CLOSED_BY_SPEC))
    closed = run.why_over(node.run)
    if closed is ClosedReason.RUN_SUCCEEDED and _is_done(s, node):
        return _Answer(RefusalReason.RUN_SUCCEEDED, f"run {node.run_id!r} has succeeded; nothing is left to do")
    if closed is ClosedReason.RUN_SUCCEEDED and node.object.spec.attempt_reason is AttemptReason.WORKER_FAILURE:
        message = (
            f"run {node.run_id!r} has ended with success on another node, so the failed workers of this one end, too"
        )
        return _Answer(RefusalReason.RUN_CLOSED, message, str(closed))
    if closed is not None:
        because = str(closed)
        if closed is ClosedReason.RESTART_BUDGET_EXHAUSTED and node.run_id == run.id:
            because = f"{closed}: {budget_spent}"
        message = f"run {node.run_id!r} is closed ({because}); {_another_run(node)}"
        return _Answer(RefusalReason.RUN_CLOSED, message, str(closed))
    if node.has_wrong_address:
        return _Answer(RefusalReason.WRONG_ADDRESS, _wrong_address(node))
    if not s.allows(node):
        message = f"only run {s.spec.run_id!r} may join (spec.runID of Rendezvous {name!r}), not run {node.run_id!r}"
        return _Answer(RefusalReason.OTHER_RUN_ACTIVE, message)
    if run.open and node.run_id != run.id and launch_of(run.id, node.run.workload) is None:
        message = (
            f"run {run.id!r} claimed Rendezvous {name!r}, so run {node.run_id!r} may not join; "
            "wait until it has ended or use another --rdzv-endpoint"
        )
        return _Answer(RefusalReason.OTHER_RUN_ACTIVE, message)
    return None


def _another_run(node: Node) -> str:
    """What starts another run than that of the node."""
    if node.run.workload is None:
        return "start with another --rdzv-id"
    owner = owner_of(node)
    again = "" if owner is None else f"create {owner.kind} {owner.name!r} again, or "
    return f"{again}start with another --rdzv-id or label {names.LABEL_RUN_ID}"


def _wrong_address(node: Node) -> str:
    pod = node.pod
    assert pod is not None
    return (
        f"spec.address is {node.object.spec.address!r}, and pod {pod.name} has {', '.join(sorted(pod.addresses))}: "
        "leave --local-addr out, or give one of these or a name"
    )


def _is_done(s: Situation, node: Node) -> bool:
    """Whether it has waited for a run that succeeded, so that it is done, or wants to start that run again."""
    spec = node.object.spec
    if spec.attempt_reason is AttemptReason.MEMBERSHIP_CHANGE or node.name in s.listed_spares:
        return True
    if spec.attempt_reason is not AttemptReason.START or node.run.workload in (None, names.UNNAMED_RUN):
        return False
    # A label is an id that somebody has chosen, and another Job may have the same one: that is a launch of its own.
    pod = node.pod
    return pod is None or pod.workload == pod.owner_uid or (pod.owner_uid, pod.workload) in s.labels_with_success
