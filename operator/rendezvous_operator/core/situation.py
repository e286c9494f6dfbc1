"""What a decision is based on: all that is seen, evaluated once. Rules only read it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from rendezvous_api import names
from rendezvous_api.meta import ObjectMeta
from rendezvous_api.reasons import LeaveReason, PassedOverReason, RoundEndReason
from rendezvous_api.rendezvous import Member, Missing, RendezvousStatus
from rendezvous_api.rendezvous_spec import RendezvousSpec
from rendezvous_operator.core.liveness import Liveness
from rendezvous_operator.core.marks import Mark
from rendezvous_operator.core.nodes import MemberState, MemberView, Node, silence_begins
from rendezvous_operator.core.run import Run
from rendezvous_operator.core.run_names import launch_of
from rendezvous_operator.core.sizes.sizes import Sizes, sizes_of
from rendezvous_operator.core.topology import Whereabouts
from rendezvous_operator.core.world import Now, Pod, World

RETENTION_SECONDS = 3600
"""How long a participant that has left or is silent, and an empty Rendezvous that an agent made, are kept."""


@dataclass(frozen=True)
class Situation:
    """One Rendezvous at one moment."""

    now: Now
    world: World
    nodes: Mapping[str, Node]
    """All of them, by the name of the participant object."""
    all_waiting: tuple[Node, ...]
    """The waiting nodes of all runs (rule "waiting"): they get a rank or a refusal."""
    views: tuple[MemberView, ...]
    """The members of the current round as long as nothing has ended it; rules read `members`."""
    liveness: Liveness
    run: Run
    whereabouts: Whereabouts | None = None
    """By the members of whatever run; None: no rank depends on it. Rules read `where`."""
    marks: Mapping[str, tuple[Mark, ...]] = field(default_factory=dict)
    """Of the waiting nodes that have any, by name."""

    @property
    def spec(self) -> RendezvousSpec:
        """What the user asks for."""
        return self.world.rendezvous.spec

    @property
    def status(self) -> RendezvousStatus:
        """As it was written last; `run` has what this decision has changed so far."""
        return self.world.rendezvous.status

    @property
    def metadata(self) -> ObjectMeta:
        """Of the Rendezvous."""
        return self.world.rendezvous.metadata

    @cached_property
    def restart_request(self) -> str | None:
        """The user's last request for a new round. Only equality counts, so it is a hash: an annotation may be long."""
        return self._request(names.ANNOTATION_RESTART_REQUESTED_AT)

    @cached_property
    def retry_request(self) -> str | None:
        """The user's last request to end all hold-outs."""
        return self._request(names.ANNOTATION_RETRY_AT)

    def _request(self, annotation: str) -> str | None:
        value = self.metadata.annotations.get(annotation)
        return None if value is None else hashlib.sha256(value.encode()).hexdigest()

    @property
    def sizes(self) -> Sizes:
        """The sizes that a round may have."""
        return sizes_of(self.spec)

    @cached_property
    def where(self) -> Whereabouts | None:
        """Where the nodes are, and where the members of the run's last round had their places."""
        known = self.whereabouts
        return known if known is None or self.run.has_round else replace(known, places={})

    @property
    def takes_nodes(self) -> bool:
        """Whether a round may be formed: a run is open, and the user has not closed the Rendezvous."""
        return self.run.open and not self.spec.closed

    @property
    def round_runs(self) -> bool:
        """Whether a round of an open run is running."""
        return self.takes_nodes and self.run.round_runs

    @property
    def forms(self) -> bool:
        """Whether the next round is being formed."""
        return self.takes_nodes and not self.round_runs

    @property
    def may_publish(self) -> bool:
        """Whether the next round is being formed, and the user has not suspended the Rendezvous."""
        return self.forms and not self.spec.suspend

    @cached_property
    def entries(self) -> Mapping[str, Member]:
        """The members of the current round, by name."""
        return {member.name: member for member in self.status.participants}

    @cached_property
    def waiting(self) -> tuple[Node, ...]:
        """The nodes that wait for the next round of the run."""
        refused = {refusal.name for refusal in self.run.refused}
        return tuple(
            node
            for node in self.all_waiting
            if node.run_id == self.run.id and node.name not in refused and self.allows(node)
        )

    @cached_property
    def unhealthy(self) -> Mapping[str, str]:
        """What the health checks of nodes have found that may take part again, by the name of the node.

        They are of the run, or, while there is none, of one that may begin. A node whose pod has ended is none of them:
        another one will be in its place.
        """
        nodes = (node for node in self.nodes.values() if node.name in self.names_unhealthy and node.dead is None)
        return {node.name: node.unhealthy or "" for node in nodes}

    @cached_property
    def names_unhealthy(self) -> frozenset[str]:
        """The names of all of them that have said so last, whatever has become of them."""
        said = (node for node in self.nodes.values() if node.unhealthy is not None)
        return frozenset(node.name for node in said if self._may_be_of_the_run(node))

    def _may_be_of_the_run(self, node: Node) -> bool:
        return node.run_id == self.run.id if self.run.open else self.run.why_over(node.run) is None

    @cached_property
    def kept_out(self) -> frozenset[str]:
        """The names of the waiting nodes that a mark keeps out of the next round (rule "bad machines").

        A cordon does not keep out a member of the last round: it says that no pod may come to that machine, not that
        the pods there should go.
        """
        if not self.marks:
            return frozenset()
        members = self.entries if self.run.has_round else {}

        def counts(mark: Mark, name: str) -> bool:
            return mark.reason is not PassedOverReason.CORDONED or name not in members

        return frozenset(
            node.name for node in self.waiting if any(counts(mark, node.name) for mark in self.marks.get(node.name, ()))
        )

    @cached_property
    def unmarked(self) -> tuple[Node, ...]:
        """The waiting nodes that no mark keeps out."""
        kept_out = self.kept_out
        return tuple(node for node in self.waiting if node.name not in kept_out) if kept_out else self.waiting

    @cached_property
    def listed_spares(self) -> frozenset[str]:
        """The names of the listed spares, without those under which another agent has started since.

        A listed spare is answered when its run ends, and then ends itself. So another incarnation than the one that was
        answered is a new start.
        """
        answered = {refusal.name: refusal.incarnation for refusal in self.status.refused}
        nodes = (self.nodes[name] for name in self.run.spares if name in self.nodes)
        return frozenset(
            node.name
            for node in nodes
            if answered.get(node.name, node.object.spec.incarnation) == node.object.spec.incarnation
        )

    def allows(self, node: Node) -> bool:
        """Whether spec and address let the node join. Of the others, some may be missing in `status.refused`."""
        if node.has_wrong_address:
            return False
        return self.spec.run_id in (None, node.run_id, node.run.workload, node.object.spec.run_id)

    @cached_property
    def members(self) -> tuple[MemberView, ...]:
        """The members of the current round with their states, in the order of ranks.

        Once the round has ended, or a member asks to join again, the short limit of silence applies: the round is
        broken anyway, so a longer one would protect nothing. An isolated round is not, unless the user gives it up.
        """
        if not self.liveness.silences or (self.liveness.isolated and not self._given_up):
            return self.views
        broken = self.status.waiting_nodes > 0 or self.run.asked or self.run.called_back
        if broken or any(view.state is MemberState.REENTERED for view in self.views):
            return tuple(view.lost_if_silent() for view in self.views)
        return self.views

    def silent_since(self, node: Node) -> float:
        """From when on the silence of a node counts, without the time for which it is excused (monotonic seconds)."""
        seen, excused = self.world.participants[node.name], self.liveness.excused.get(node.name)
        vouched = self.liveness.vouched.get(node.name)
        return max(silence_begins(seen, excused, vouched), self.liveness.grace_from)

    @property
    def _given_up(self) -> bool:
        """Whether this decision ends the round because the user has asked for that."""
        ended = self.run.ended
        return ended is not None and ended.reason == RoundEndReason.RESTART_REQUESTED.value

    @property
    def why_ended(self) -> tuple[str | None, str]:
        """Reason and message of the end of the current round, by this decision or an earlier one; None: it runs."""
        if self.run.ended is not None:
            return self.run.ended.reason, self.run.ended.message
        last = self.status.history[-1]
        return last.reason, last.message or ""

    @cached_property
    def blocking_members(self) -> tuple[MemberView, ...]:
        """Members that may still run the current round."""
        return tuple(view for view in self.members if view.state.blocks)

    @cached_property
    def members_not_running(self) -> tuple[MemberView, ...]:
        """Members in another state than RUNNING: none in a healthy round, so rules over them are cheap at any size."""
        return tuple(view for view in self.members if view.state is not MemberState.RUNNING)

    @cached_property
    def pods_of_run(self) -> tuple[Pod, ...]:
        """Live known pods that belong to the run: their agents, or others of their workload, have joined it.

        Where no agent has an ``--rdzv-id``, the run is that of their workload.
        """
        return tuple(pod for pod, belongs in self._known_pods if belongs)

    @cached_property
    def unspoken_pods(self) -> tuple[Pod, ...]:
        """Live known pods of workloads of which no agent has joined yet: no one can tell their ``--rdzv-id``."""
        return tuple(pod for pod, belongs in self._known_pods if belongs is None)

    @cached_property
    def _known_pods(self) -> tuple[tuple[Pod, bool | None], ...]:
        """All live known pods, and whether they belong to the run; None: they may belong to any run."""
        of_pod: dict[str | None, bool] = {}
        of_owner: dict[str | None, bool] = {}
        over: dict[str | None, bool] = {}
        for node in self.nodes.values():
            # An agent of an earlier launch is followed by one of this launch.
            belongs = node.run_id == self.run.id or launch_of(self.run.id, node.run.workload) is not None
            of_pod[node.object.spec.pod_uid] = belongs or of_pod.get(node.object.spec.pod_uid, False)
            over[node.object.spec.pod_uid] = node.over and over.get(node.object.spec.pod_uid, True)
            if node.pod is not None:
                of_owner[node.pod.owner_uid] = belongs or of_owner.get(node.pod.owner_uid, False)

        def belongs_to_run(pod: Pod) -> bool | None:
            if pod.uid in of_pod:
                return of_pod[pod.uid]
            return launch_of(self.run.id, pod.workload) is not None or of_owner.get(pod.owner_uid)

        return tuple(
            (pod, belongs_to_run(pod))
            for pod in self.world.pods.values()
            if pod.known and pod.live and not over.get(pod.uid, False)
        )

    @cached_property
    def labels_with_success(self) -> frozenset[tuple[str | None, str | None]]:
        """Owner and run of known pods of which one has ended well, or has been in a round: another one of them is late.

        Bare pods with the same label are together.
        """
        ended_well = {(pod.owner_uid, pod.workload) for pod in self.world.pods.values() if pod.phase == "Succeeded"}
        for node in self.nodes.values():
            spec = node.object.spec
            been_in_a_round = (
                node.is_member(self.entries.get(node.name)) or spec.last_run_id is not None or bool(spec.launch)
            )
            if node.pod is not None and (node.left is LeaveReason.SUCCEEDED or been_in_a_round):
                ended_well.add((node.pod.owner_uid, node.pod.workload))
        return frozenset(ended_well)

    @cached_property
    def expected_pods(self) -> tuple[Pod, ...]:
        """The pods that belong, or may yet belong, to the run, and whose agents have not left it."""
        gone = {
            node.object.spec.pod_uid
            for node in self.nodes.values()
            if node.left is not None and node.run_id == self.run.id
        }
        return tuple(pod for pod in (*self.pods_of_run, *self.unspoken_pods) if pod.uid not in gone)

    @property
    def all_known_wait(self) -> bool:
        """Whether the waiting nodes are exactly the known pods of the run, of which there are some."""
        expected = {pod.uid for pod in self.expected_pods} if self.world.pods else set()
        return bool(expected) and expected == {node.object.spec.pod_uid for node in self.waiting}

    @property
    def names_waiting(self) -> frozenset[str]:
        """The names of `waiting`."""
        return frozenset(node.name for node in self.waiting)

    @cached_property
    def has_agents_left(self) -> bool:
        """Whether an agent of the run is left. One that stays out since it is unhealthy lives, and may join again."""
        if self.run.has_round and self.blocking_members:
            return True
        if any(self.nodes[name].run_id == self.run.id for name in self.unhealthy):
            return True
        return any(node.run_id == self.run.id and node.present for node in self.nodes.values())

    @cached_property
    def has_nodes_left(self) -> bool:
        """Whether an agent or a pod of the run is left."""
        return self.has_agents_left or bool(self.pods_of_run)

    @property
    def is_attended(self) -> bool:
        """Whether an agent of the run is left, or a pod of it that has not begun to run.

        A pod that runs and does not speak may be none of an agent: it keeps the Rendezvous for a limited time.
        """
        return self.has_agents_left or any(pod.phase != "Running" for pod in self.pods_of_run)

    @cached_property
    def known_but_missing(self) -> tuple[Missing, ...]:
        """Known pods whose nodes neither are members nor wait, and why."""
        if not self.world.pods:
            return ()
        joined = {node.object.spec.pod_uid for node in self.waiting}
        joined |= {node.object.spec.pod_uid for node in self.nodes.values() if node.name in self.entries}
        pods = sorted(self.expected_pods, key=lambda pod: pod.name)
        return tuple(Missing(pod.name, f"is {pod.problem or pod.phase}") for pod in pods if pod.uid not in joined)

    @cached_property
    def lost(self) -> tuple[Missing, ...]:
        """Members of the run's last round that were lost or failed and have not joined again.

        Not those that are unhealthy: nobody waits for them.
        """
        if not self.run.has_round:
            return ()
        rejoined = {node.name for node in self.waiting}
        return tuple(
            Missing(view.name, f"was lost ({view.why})")
            for view in self.members_not_running
            if view.state in (MemberState.LOST, MemberState.LEFT)
            and view.name not in rejoined
            and view.name not in self.names_unhealthy
        )

    @property
    def names_lost(self) -> frozenset[str]:
        """The names of `lost`."""
        return frozenset(item.name for item in self.lost)

    def when(self, moment: float) -> str:
        """A moment in the future (monotonic seconds), for messages. No timer runs while all nodes are silent."""
        if self.liveness.all_silent:
            return f"{moment - self.now.monotonic:.0f} s after the next heartbeat"
        return self.now.clock_time(moment)

    def with_run(self, run: Run) -> "Situation":
        """The same with the run as a step of the decision has left it."""
        return self if run is self.run else replace(self, run=run)
