"""``status.failures``: the last failures of the run, so that a new leader knows them, too.

A round that ended with a failure but is not listed was the fault of a node that is held out: it costs no restart.
"""

from dataclasses import replace

from rendezvous_api import names
from rendezvous_api.reasons import RoundEndReason
from rendezvous_api.rendezvous import Failure
from rendezvous_operator.core.situation import Situation


def with_current(s: Situation, node: str, reason: RoundEndReason) -> Situation:
    """The situation in which that node has ended the current round, whatever was listed before as its failure."""
    before = of_current(s)
    time = s.now.micro_time() if before is None else before.time
    member = s.entries.get(node)
    index = member.pod_index if member is not None else None
    failure = Failure(s.status.round, time, node, reason, index, _machine(s, node, before))
    others = _of_other_rounds(s)
    return s.with_run(replace(s.run, failures=(*others, failure)[-_most(s) :]))


def without_current(s: Situation) -> Situation:
    """The situation in which the end of the current round costs no restart."""
    return s.with_run(replace(s.run, failures=_of_other_rounds(s)))


def of_current(s: Situation) -> Failure | None:
    """The failure that ended the current round; None: none did, or it costs no restart."""
    return next((failure for failure in s.run.failures if failure.round == s.status.round), None)


def _most(s: Situation) -> int:
    """How many are kept: those of as many rounds as the history has, or more if the restart budget counts more."""
    if s.spec.nodes.max_failures_per_node is not None:
        return names.MAX_FAILURES
    return max(names.MAX_HISTORY, min(s.spec.restarts.listed, names.MAX_FAILURES))


def _machine(s: Situation, name: str, before: Failure | None) -> str | None:
    """On which a member ran. By now there may be another agent of its name, on another machine."""
    member, node = s.entries.get(name), s.nodes.get(name)
    if member is not None and node is not None and node.object.spec.incarnation == member.incarnation:
        return node.object.spec.node_name
    return before.machine if before is not None and before.node == name else None


def _of_other_rounds(s: Situation) -> tuple[Failure, ...]:
    return tuple(failure for failure in s.run.failures if failure.round != s.status.round)
