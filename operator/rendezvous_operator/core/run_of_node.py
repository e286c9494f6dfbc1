"""To which run an agent belongs (rule "launches")."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from rendezvous_api import names
from rendezvous_api.participant import ParticipantSpec
from rendezvous_api.reasons import AttemptReason
from rendezvous_api.rendezvous import Member, Refusal, RendezvousStatus, closed_reason
from rendezvous_operator.core.run_names import last_launch, launch_of, name_of, name_of_id, workload_of
from rendezvous_operator.core.world import Pod


class RunOfNode(NamedTuple):
    """The run of one agent."""

    id: str
    workload: str | None = None
    """Whose launch the run is; None: the agent was given the id."""
    launch: int = 0
    certain: bool = True
    """False: it is another one if the pod, which has not been read, is of a workload."""


@dataclass(frozen=True)
class KnownRuns:
    """What the status says about runs and nodes, as far as the run of a node depends on it."""

    members: Mapping[str, Member]
    round_run: str | None
    """The run of the current round."""
    refused: Mapping[str, Refusal]
    spares: frozenset[str]
    runs: frozenset[str]
    """The run that has claimed the Rendezvous, that of the current round, and the closed ones."""
    last_unnamed: int
    """The last launch of agents without a workload."""
    next_unnamed: int
    """That of such an agent that starts now: the next one if the last one is closed."""

    @classmethod
    def of(cls, status: RendezvousStatus) -> "KnownRuns":
        """What this status says."""
        last = last_launch(names.UNNAMED_RUN, status.run_ids) or 0
        closed = closed_reason(status.closed_runs, name_of(names.UNNAMED_RUN, last)) is not None
        round_run = status.history[-1].run_id if status.history else None
        return cls(
            members={member.name: member for member in status.participants},
            round_run=round_run,
            refused={refusal.name: refusal for refusal in status.refused},
            spares=frozenset(status.spares),
            runs=frozenset(status.run_ids).union(() if round_run is None else (round_run,)),
            last_unnamed=last,
            next_unnamed=last + closed,
        )

    def tells_of(self, run_id: str) -> bool:
        """Whether the status has that run, or a later launch of its workload, which stands for it."""
        if run_id in self.runs:
            return True
        workload = workload_of(run_id)
        launch, last = launch_of(run_id, workload), last_launch(workload, self.runs)
        return launch is not None and last is not None and launch < last


def run_of(name: str, spec: ParticipantSpec, pod: Pod | None, known: KnownRuns) -> RunOfNode:
    """The run of an agent: its ``--rdzv-id``, else that of its last round, else the launch of its workload.

    What an agent says of its last round is believed if the status tells of that run, or if it is a launch of the
    agent's own workload. Else a pod could speak for the workload of another one. Nor can an agent without a workload
    say which launch of such agents is the last one.

    Args:
        name: of the participant.
        spec: what the agent has written.
        pod: the one in which it runs, if it has been seen.
        known: what the status says.
    """
    if spec.run_id is not None:
        return RunOfNode(name_of_id(spec.run_id))
    workload = (pod.workload if pod is not None and pod.known else None) or names.UNNAMED_RUN
    run_id = spec.last_run_id
    member = known.members.get(name)
    if member is not None and (member.incarnation, member.attempt) == (spec.incarnation, spec.attempt):
        run_id = known.round_run
    launch = launch_of(run_id, workload)
    of_own_workload = launch is not None and workload != names.UNNAMED_RUN
    if run_id is not None and (of_own_workload or known.tells_of(run_id)):
        # Its pod has got, or lost, the label since.
        return RunOfNode(run_id) if launch is None else RunOfNode(run_id, workload, launch)
    if workload != names.UNNAMED_RUN:
        launch = spec.launch or 0
    else:
        launch = known.last_unnamed if _has_waited(name, spec, known) else known.next_unnamed
    return RunOfNode(name_of(workload, launch), workload, launch, certain=pod is not None)


def _has_waited(name: str, spec: ParticipantSpec, known: KnownRuns) -> bool:
    """Whether an agent without a workload has waited for the last run of such agents, so that it starts no new one."""
    if spec.attempt_reason is not AttemptReason.START:
        return True
    return is_answered(name, spec, known) if name in known.refused else name in known.spares


def is_answered(name: str, spec: ParticipantSpec, known: KnownRuns) -> bool:
    """Whether the agent, not an earlier one of its name, is among the refused ones."""
    return name in known.refused and known.refused[name].incarnation == spec.incarnation
