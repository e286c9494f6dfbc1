"""The start of a simulation from the objects of a live group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from kube_rendezvous_cli import lenient
from kube_rendezvous_cli.simulator.nodes import Habits, Node
from kube_rendezvous_cli.simulator.operator import Operator
from kube_rendezvous_cli.simulator.play import Play, state_of
from kube_rendezvous_cli.text import listing
from rendezvous_api import ranks
from rendezvous_api.meta import parse_time
from rendezvous_api.participant import Participant
from rendezvous_api.reasons import FormationReason, HostState, ParticipantState
from rendezvous_api.rendezvous import Rendezvous, RendezvousStatus
from rendezvous_operator.core.nodes import silent_seconds
from rendezvous_operator.core.run_names import workload_of
from rendezvous_operator.core.timers import Fact, Timer
from rendezvous_operator.core.train_jobs import TrainJob, jobsets_to_know, with_train_jobs
from rendezvous_operator.core.world import Memory, Pod, SeenParticipant, World
from rendezvous_operator.watch.pods import pod_from_object

Json = dict[str, Any]

_OTHER_CLOCKS_SECONDS = 60
"""Clocks of machines may differ by so much: a heartbeat that is older than the newest one by more is an old one."""


@dataclass
class Live:
    """A live group, ready to be played."""

    play: Play
    machines: Mapping[str, str]
    """By the names of nodes."""
    assumed: list[str] = field(default_factory=list)
    """What was taken for true, for people."""


def read(objects: Mapping[str, Sequence[Json]], now: datetime) -> Live:
    """What the objects say.

    Args:
        objects: by their kind, as `Session.objects` has them.
        now: the moment, by the clock of this machine.
    """
    rendezvous, left_out = lenient.read(Rendezvous, objects["rendezvous"][0])
    found = [lenient.read(Participant, item)[0] for item in objects["participants"]]
    mine = {each.metadata.name: each for each in found if each.spec.rendezvous_name == rendezvous.metadata.name}
    pods = {pod.uid: pod for pod in map(pod_from_object, objects["pods"])}
    operator = Operator(rendezvous, now, memory=Memory(_since(rendezvous.status, now)))
    ages = _ages(mine, rendezvous, now)
    operator.seen = {name: SeenParticipant(each, -ages[name]) for name, each in mine.items()}
    operator.pods = _with_train_jobs(World(rendezvous, pods=pods))
    play = Play(operator, _habits(rendezvous.status, mine), told=state_of(rendezvous.status))
    members = {member.name: member for member in rendezvous.status.participants}
    accused = _accused(rendezvous.status, mine)
    silent = []
    for name, each in mine.items():
        member, pod = members.get(name), operator.pods.get(each.spec.pod_uid or "")
        here = member is not None and (member.incarnation, member.attempt) == (each.spec.incarnation, each.spec.attempt)
        node = Node(name, pod, round=rendezvous.status.round if here else 0)
        node.starts = here and each.status.round != rendezvous.status.round
        node.alive = each.spec.state is ParticipantState.JOINED and not (pod is not None and pod.over)
        node.heard = ages[name] < silent_seconds(each, rendezvous.spec)
        if pod is None and each.spec.pod_uid is not None and node.heard:
            # It lives, so it has no label, or pods may not be listed. The operator would read it, and find it.
            node.pod = operator.pods[each.spec.pod_uid] = Pod(each.spec.pod_uid, each.spec.pod_name or "", known=False)
        if name in accused:
            node.beats = (accused[name], float("-inf"))
            # If it lives, it contradicts three times in this time.
            node.heard = ages[name] <= rendezvous.spec.timeouts.confirm_seconds / 2
        if node.alive and not node.heard:
            silent.append(name)
        play.goes_on(node, each)
    live = Live(play, {name: each.spec.node_name for name, each in mine.items() if each.spec.node_name is not None})
    _assume(live, silent, left_out)
    return live


def _since(status: RendezvousStatus, now: datetime) -> Mapping[Fact, float]:
    """What the operator remembers, as far as the status has it: since when a round runs, is asked to end, has ended."""
    if not status.history:
        return {}
    last = status.history[-1]
    moments = ((Timer.ROUND, last.formed), (Timer.ASKED, last.asked), (Timer.DRAINED, last.ended))
    found = ((timer, parse_time(text)) for timer, text in moments)
    return {
        (timer, last.round): min((moment - now) / timedelta(seconds=1), 0.0)
        for timer, moment in found
        if moment is not None
    }


def _ages(mine: Mapping[str, Participant], rendezvous: Rendezvous, now: datetime) -> Mapping[str, float]:
    """Seconds since the last heartbeat of each node. Their clocks, and that of this machine, may differ a little."""
    beats = {name: parse_time(each.status.heartbeat_time) for name, each in mine.items()}
    known = sorted(beat for beat in beats.values() if beat is not None)
    # One clock that is far ahead must not make all other nodes silent.
    usual = max(now, known[(len(known) - 1) // 2]) if known else now
    newest = max((beat for beat in known if (beat - usual) / timedelta(seconds=1) < _OTHER_CLOCKS_SECONDS), default=now)
    late = (now - newest) / timedelta(seconds=1) - rendezvous.silent_seconds
    reference = newest if late < _OTHER_CLOCKS_SECONDS else now
    return {
        name: 0.0 if beat is None else max((reference - beat) / timedelta(seconds=1), 0.0)
        for name, beat in beats.items()
    }


def _with_train_jobs(world: World) -> dict[str, Pod]:
    run = world.rendezvous.status.run
    if run is None or run.owner is None or run.owner.kind != "TrainJob":
        return dict(world.pods)
    owner = TrainJob(workload_of(run.id), run.owner.name)
    return dict(with_train_jobs(world, dict.fromkeys(jobsets_to_know(world), owner)).pods)


def _habits(status: RendezvousStatus, mine: Mapping[str, Participant]) -> Habits:
    """As the group itself was in its last rounds."""
    usual = Habits()

    def middle(pairs: Sequence[tuple[str | None, str | None]], otherwise: float) -> float:
        moments = [(parse_time(begin), parse_time(end)) for begin, end in pairs]
        spans = [(end - begin) / timedelta(seconds=1) for begin, end in moments if begin and end]
        return round(max(median(spans), 0.0), 1) if spans else otherwise

    return replace(
        usual,
        start_seconds=middle([(each.formed, each.checked_in) for each in status.history], usual.start_seconds),
        stop_seconds=middle([(each.asked, each.ended) for each in status.history], usual.stop_seconds),
        beats=any(each.status.peers is not None for each in mine.values()),
        pods=False,  # who comes is in a pod if the one before was
    )


def _accused(status: RendezvousStatus, mine: Mapping[str, Participant]) -> Mapping[str, HostState]:
    """Of whom the host gets no beats already, by name."""
    members = status.participants
    host = mine.get(members[0].name) if members else None
    peers = host.status.peers if host is not None and host.status.round == status.round else None
    if peers is None or peers.report is None:
        return {}
    words = {
        HostState.MISSED: ranks.from_text(peers.report.missed),
        HostState.CLOSED: ranks.from_text(peers.report.closed),
        HostState.LEFT: ranks.from_text(peers.report.left),
    }
    return {members[rank].name: word for word, found in words.items() for rank in found if rank < len(members)}


def _assume(live: Live, silent: Sequence[str], left_out: Sequence[str]) -> None:
    habits, status = live.play.habits, live.play.operator.status
    measured = "as in its last rounds" if any(each.checked_in for each in status.history) else "as is usual"
    live.assumed.append(
        f"how long all takes: it is assumed that the workers of a round run after {habits.start_seconds:g} s, and that "
        f"members join again {habits.stop_seconds:g} s after they are asked to, {measured}"
    )
    if silent:
        live.assumed.append(f"whether {listing(silent)} will send heartbeats again: it is assumed that none comes")
    if status.formation is not None and status.formation.reason is not FormationReason.GATHERING:
        live.assumed.append(
            "since when the group waits: what has no beginning in the status begins now, and may end sooner"
        )
    if live.play.operator.rendezvous.spec.topology_labels:
        live.assumed.append(
            "where machines are: members are where they were when their round began, and nothing is known of the others"
        )
    if left_out:
        live.assumed.append(f"what fields of another release mean: {listing(left_out)}")
