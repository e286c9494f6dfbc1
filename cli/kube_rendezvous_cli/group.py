"""One group as its objects say it: the Rendezvous, the participants and the pods."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from kube_rendezvous_cli import lenient, times
from rendezvous_api import names
from rendezvous_api.meta import Condition, parse_time
from rendezvous_api.participant import Participant
from rendezvous_api.rendezvous import HeldOut, Rendezvous, RendezvousStatus, RoundRecord

Json = dict[str, Any]

UNSEEN_SECONDS = 10
"""After this long without a reaction, the operator is said to be missing. An agent warns after the same time."""


@dataclass(frozen=True)
class Pod:
    """What counts of a pod."""

    name: str
    phase: str
    machine: str | None
    deleting: bool
    problem: str | None
    """Why it does not run, as the scheduler or kubelet says it; None: nothing is said."""
    owner: str | None
    """What has made it and makes it again: ``Job/train``."""
    created: str | None


@dataclass(frozen=True)
class Group:
    """A Rendezvous with all that belongs to it."""

    rendezvous: Rendezvous
    participants: Mapping[str, Participant]
    """By name."""
    pods: Mapping[str, Pod]
    """The labelled pods, by name."""
    problems: tuple[str, ...] = ()
    """What could not be read, for the user."""

    @property
    def name(self) -> str:
        """Of the Rendezvous."""
        return self.rendezvous.metadata.name

    @property
    def namespace(self) -> str:
        """Of all its objects."""
        return self.rendezvous.metadata.namespace

    @property
    def status(self) -> RendezvousStatus:
        """What the operator has decided."""
        return self.rendezvous.status

    @property
    def state(self) -> str:
        """STATE of ``kubectl get rdzv``."""
        return str(self.status.summary.state) if self.status.summary is not None else "Unknown"

    @property
    def running(self) -> bool:
        """Whether a round runs. That of a run which has ended does not, although nothing else has ended it."""
        return self.status.running and not self.ended

    @property
    def ended(self) -> bool:
        """Whether the run that has claimed the Rendezvous is closed."""
        return self.status.closed_reason(self.status.run_id) is not None

    @property
    def run(self) -> str:
        """The run as people call it."""
        return self.status.run.display_name if self.status.run is not None else ""

    @property
    def record(self) -> RoundRecord | None:
        """The last round that was published."""
        return self.status.history[-1] if self.status.history else None

    @property
    def condition(self) -> Condition | None:
        """Running, with the message that people read first."""
        return self.status.condition(names.CONDITION_RUNNING)

    @cached_property
    def newest_heartbeat(self) -> datetime | None:
        """The latest of all participants; None: none has sent one."""
        found = (parse_time(each.status.heartbeat_time) for each in self.participants.values())
        return max((moment for moment in found if moment is not None), default=None)

    def held_out(self, now: datetime) -> dict[str, HeldOut]:
        """Who is held out now, by the name of the participant. Who may take part again is listed for a while, too."""
        return {
            entry.name: entry
            for entry in self.status.held_out
            if (until := parse_time(entry.until)) is not None and until > now
        }

    def unseen(self, now: datetime) -> float | None:
        """For how many seconds the operator has not reacted to the object; None: it has, or is not late yet."""
        meta = self.rendezvous.metadata
        if self.status.observed_generation >= meta.generation and self.status.summary is not None:
            return None
        # When the spec was changed is not in the object.
        seconds = times.since(meta.creation_timestamp, now) if self.status.summary is None else float(UNSEEN_SECONDS)
        return seconds if seconds is not None and seconds >= UNSEEN_SECONDS else None


def group_of(
    rendezvous: Json, participants: Iterable[Json], pods: Iterable[Json], problems: Iterable[str] = ()
) -> Group:
    """A group, of its objects as the API server has them."""
    read, left_out = lenient.read(Rendezvous, rendezvous)
    noted = [*problems, *(f"{read.metadata.name}: {problem}" for problem in left_out)]
    found: dict[str, Participant] = {}
    for item in participants:
        participant, left_out = lenient.read(Participant, item)
        of = participant.spec.rendezvous_name
        if of == read.metadata.name:
            found[participant.metadata.name] = participant
        if of in (read.metadata.name, lenient.UNKNOWN):
            noted += [f"{participant.metadata.name}: {problem}" for problem in left_out]
    return Group(read, found, {pod.name: pod for pod in map(pod_of, pods)}, tuple(noted))


def groups_of(rendezvous: Iterable[Json]) -> list[Group]:
    """Groups without participants and pods, for tables."""
    return [group_of(item, (), ()) for item in rendezvous]


def pod_of(item: Json) -> Pod:
    """A pod, of its object."""
    meta, status = item["metadata"], item.get("status") or {}
    owners = [owner for owner in meta.get("ownerReferences") or () if owner.get("controller")]
    return Pod(
        name=meta["name"],
        phase=status.get("phase") or "Pending",
        machine=(item.get("spec") or {}).get("nodeName"),
        deleting=meta.get("deletionTimestamp") is not None,
        problem=_problem(status),
        owner=f"{owners[0].get('kind')}/{owners[0].get('name')}" if owners else None,
        created=meta.get("creationTimestamp"),
    )


def _problem(status: Json) -> str | None:
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            reason: str | None = condition.get("message") or condition.get("reason")
            return reason
    for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        state = container.get("state") or {}
        waiting = state.get("waiting") or {}
        if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            text = ": ".join(filter(None, (waiting.get("reason"), waiting.get("message"))))
            return f"container {container.get('name')} waits: {text}"
        ended = state.get("terminated") or {}
        if ended.get("exitCode"):
            return f"container {container.get('name')} ended with exit code {ended['exitCode']}"
    problem: str | None = status.get("message") or status.get("reason")
    return problem
