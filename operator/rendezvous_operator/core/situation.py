"""What a decision is taken on: everything that is seen, judged once. Nothing in here changes while rules read it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from rendezvous_api import names
from rendezvous_api.meta import ObjectMeta
from rendezvous_api.rendezvous import Member, Missing, RendezvousSpec, RendezvousStatus
from rendezvous_operator.core.agents import Agent, MemberState, MemberView
from rendezvous_operator.core.run import Run
from rendezvous_operator.core.silence import Hearing
from rendezvous_operator.core.sizes.sizes import Sizes, sizes_of
from rendezvous_operator.core.world import FailedCheckIns, Now, Pod, World


@dataclass(frozen=True)
class Situation:
    """One Rendezvous at one moment."""

    now: Now
    world: World
    agents: Mapping[str, Agent]
    """All participants, by name."""
    asking: tuple[Agent, ...]
    """Those of any run that wait for a place or an answer (rule "waiting")."""
    views: tuple[MemberView, ...]
    """The members of the current round as they are while nothing has ended it; rules read `members`."""
    hearing: Hearing
    run: Run
    failed_check_ins: FailedCheckIns | None

    @property
    def spec(self) -> RendezvousSpec:
        """What the user asks for."""
        return self.world.rendezvous.spec

    @property
    def status(self) -> RendezvousStatus:
        """As it was written last: `run` has what this turn has changed of it."""
        return self.world.rendezvous.status

    @property
    def metadata(self) -> ObjectMeta:
        """Of the Rendezvous."""
        return self.world.rendezvous.metadata

    @property
    def restart_request(self) -> str | None:
        """The user's last request for a new round."""
        return self.metadata.annotations.get(names.ANNOTATION_RESTART_REQUESTED_AT)

    @property
    def sizes(self) -> Sizes:
        """The sizes that a round may have."""
        return sizes_of(self.spec)

    @property
    def takes_nodes(self) -> bool:
        """Whether a round may be formed: a run is open, and the user has not closed the Rendezvous."""
        return self.run.open and not self.spec.closed

    @property
    def round_runs(self) -> bool:
        """Whether a round of an open run runs and nothing has ended it."""
        return self.takes_nodes and self.run.has_round and not self.run.asked

    @property
    def forms(self) -> bool:
        """Whether the next round is being formed."""
        return self.takes_nodes and not self.round_runs

    @cached_property
    def entries(self) -> Mapping[str, Member]:
        """The members of the current round, by name."""
        return {member.name: member for member in self.status.participants}

    @cached_property
    def waiting(self) -> tuple[Agent, ...]:
        """Those who wait for the next round of the run."""
        if self.spec.run_id not in (None, self.run.id):
            return ()  # all of them are refused, also those for whom the list of refusals has no room
        refused = {refusal.name for refusal in self.run.refused}
        return tuple(agent for agent in self.asking if agent.run_id == self.run.id and agent.name not in refused)

    @cached_property
    def members(self) -> tuple[MemberView, ...]:
        """What has become of each member of the current round, in the order of ranks.

        A short silence is death once the round has ended, or when a member asks to join again: the round is broken,
        so patience protects nothing.
        """
        if not self.hearing.silences:
            return self.views
        broken = self.status.waiting_nodes > 0 or self.run.asked or self.run.called_back
        if broken or any(view.state is MemberState.REENTERED for view in self.views):
            return tuple(view.lost_if_silent() for view in self.views)
        return self.views

    @cached_property
    def blocking_members(self) -> tuple[MemberView, ...]:
        """Members that may still run the current round."""
        return tuple(view for view in self.members if view.state.blocks)

    @cached_property
    def members_not_running(self) -> tuple[MemberView, ...]:
        """Members of which there is more to say than that they run: in a healthy round none, whatever its size."""
        return tuple(view for view in self.members if view.state is not MemberState.RUNNING)

    @cached_property
    def pods_of_run(self) -> tuple[Pod, ...]:
        """Live known pods that belong, or may yet belong, to the run.

        A pod whose agent has spoken belongs to that agent's run. One that has not spoken may be of any run, since
        ``--rdzv-id`` is not visible from outside, unless its workload has spoken only for other runs.
        """
        spoken: dict[str | None, set[str]] = {}
        of_workload: dict[str | None, set[str]] = {}
        for agent in self.agents.values():
            spoken.setdefault(agent.object.spec.pod_uid, set()).add(agent.run_id)
            if agent.pod is not None:
                of_workload.setdefault(agent.pod.workload, set()).add(agent.run_id)

        def may_belong(pod: Pod) -> bool:
            if pod.uid in spoken:
                return self.run.id in spoken[pod.uid]
            return pod.run_id == self.run.id or self.run.id in of_workload.get(pod.workload, {self.run.id})

        return tuple(pod for pod in self.world.pods.values() if pod.known and pod.live and may_belong(pod))

    @cached_property
    def expected_pods(self) -> tuple[Pod, ...]:
        """Those of `pods_of_run` whose agents have not left."""
        gone = {agent.object.spec.pod_uid for agent in self.agents.values() if agent.left is not None}
        return tuple(pod for pod in self.pods_of_run if pod.uid not in gone)

    @property
    def all_known_wait(self) -> bool:
        """Whether there are known pods of the run, all of them wait, and nobody else does."""
        expected = {pod.uid for pod in self.expected_pods} if self.world.pods else set()
        return bool(expected) and expected == {agent.object.spec.pod_uid for agent in self.waiting}

    @property
    def who_waits(self) -> frozenset[str]:
        """The names of `waiting`."""
        return frozenset(agent.name for agent in self.waiting)

    @cached_property
    def held(self) -> bool:
        """Whether an agent or a pod of the run is left."""
        if self.run.has_round and self.blocking_members:
            return True
        if any(agent.run_id == self.run.id and agent.present for agent in self.agents.values()):
            return True
        return bool(self.pods_of_run)

    @cached_property
    def known_but_missing(self) -> tuple[Missing, ...]:
        """Known pods whose agents are neither members nor wait, and why."""
        if not self.world.pods:
            return ()
        there = {agent.object.spec.pod_uid for agent in self.waiting}
        there |= {agent.object.spec.pod_uid for agent in self.agents.values() if agent.name in self.entries}
        pods = sorted(self.expected_pods, key=lambda pod: pod.name)
        return tuple(Missing(pod.name, f"is {pod.problem or pod.phase}") for pod in pods if pod.uid not in there)

    @cached_property
    def lost(self) -> tuple[Missing, ...]:
        """Members of the run's last round that were lost or failed and are not back."""
        if not self.run.has_round:
            return ()
        back = {agent.name for agent in self.waiting}
        return tuple(
            Missing(view.name, f"was lost ({view.why})")
            for view in self.members_not_running
            if view.state in (MemberState.LOST, MemberState.FAILED) and view.name not in back
        )

    def when(self, moment: float) -> str:
        """A moment to come (monotonic seconds), for messages. While all are silent, no timer goes on."""
        if self.hearing.all_silent:
            return f"{moment - self.now.monotonic:.0f} s after a node is heard again"
        return self.now.clock_time(moment)

    def with_run(self, run: Run) -> "Situation":
        """The same, when a step of the decision has brought the run that far."""
        return self if run is self.run else replace(self, run=run)
