"""What is true of every status, checked before each write, in production too (compare Patroni's ``check_invariants``).

The rules guarantee all of it. If one of them is wrong, nothing is written, the members go on training, and the log says
what was wrong.
"""

from collections import Counter
from collections.abc import Iterable

from rendezvous_api import names
from rendezvous_api.rendezvous import RendezvousStatus
from rendezvous_operator.core import topology
from rendezvous_operator.core.blocking import unlisted_key
from rendezvous_operator.core.nodes import Node
from rendezvous_operator.core.select import held_out
from rendezvous_operator.core.select.replacement_groups import name_of
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timer, Timers


class InvariantError(Exception):
    """The decided status must not be written: a defect of the operator."""


def check(s: Situation, timers: Timers, after: RendezvousStatus) -> None:
    """Compare the decided status with the one before.

    Raises:
        InvariantError: it breaks an invariant; the message says which.
    """
    before = s.status
    _expect(after.nodes == len(after.participants), "`nodes` is not the number of members")
    _expect(len(after.refused) <= names.MAX_REFUSED, "too many are refused")
    _expect(len(after.held_out) <= names.MAX_HELD_OUT, "too many are held out")
    _expect(len(after.passed_over) <= names.MAX_PASSED_OVER, "too many are passed over")
    _expect(not any(record.running for record in after.history[:-1]), "a former round runs")
    if after.round == before.round:
        same = _of_round(after) == _of_round(before)
        _expect(same, "a published round has changed")
    else:
        _check_published(s, timers, after)


def _of_round(status: RendezvousStatus) -> tuple[object, ...]:
    return status.participants, status.store, status.topology


def _check_published(s: Situation, timers: Timers, after: RendezvousStatus) -> None:
    _expect(after.round == s.status.round + 1, f"round {after.round} follows round {s.status.round}")
    _expect(after.store is not None and after.run_id is not None, "a round has no store or no run")
    _expect(after.nodes in s.sizes.allowed, f"a round has {after.nodes} nodes")
    ranks = [member.rank for member in after.participants]
    _expect(ranks == list(range(after.nodes)), "ranks are not 0 to n-1 in order")
    members = {member.name: member for member in after.participants}
    _expect(len(members) == after.nodes, "a node is listed twice")
    _expect(members.keys().isdisjoint(refusal.name for refusal in after.refused), "a refused node is a member")
    _expect(members.keys().isdisjoint(after.spares), "a spare is a member")
    if after.topology is not None and after.topology.domains:
        _expect(sum(domain.nodes for domain in after.topology.domains) == after.nodes, "a member is in no domain")
        wrong = topology.why_wrong(after.topology, s.spec.segment_size)
        _expect(not wrong, wrong)
    out = (entry.name for entry in held_out.counting(s, timers))
    _expect(members.keys().isdisjoint(out), "a node that is held out is a member")
    _expect(_are_whole(s, members), "a replacement group is not whole")
    _expect(members.keys().isdisjoint(s.kept_out), "a node that a mark keeps out is a member")
    for name, member in members.items():
        node = s.nodes.get(name)
        _expect(node is not None and node.is_member(member), f"{name} has not asked for this round")
    for node in s.nodes.values():
        _expect(node.name in members or not _may_train(s, timers, node), f"{node.name} may still train beside it")


def _are_whole(s: Situation, members: Iterable[str]) -> bool:
    """Whether each replacement group has all of its members, or none."""
    if s.spec.nodes.groups is None:
        return True
    key, size = s.spec.nodes.groups
    found = Counter(name_of(s.nodes[name], key) if name in s.nodes else None for name in members)
    return None not in found and set(found.values()) == {size}


def _may_train(s: Situation, timers: Timers, node: Node) -> bool:
    """Whether a present node may still run an older round, because it was asked to join again only recently.

    This deliberately does not use `blocking`, so that it detects a mistake there.
    """
    if not node.present:
        return False
    limit = s.spec.timeouts.reentry_seconds
    if node.is_member(s.entries.get(node.name)):
        return not timers.passed(timers.began(Timer.ASKED, s.status.round) + limit)
    may_run = node.reported_round > 0 or (node.understood and not node.addressed)
    return may_run and not timers.passed(timers.began(Timer.UNLISTED, unlisted_key(node)) + limit)


def _expect(is_true: bool, otherwise: str) -> None:
    if not is_true:
        raise InvariantError(otherwise)
