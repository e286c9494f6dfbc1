"""The agent's own RendezvousParticipant: created, taken over, joined again, kept alive and left.

Nothing else writes this object. All methods that make a request are called by one thread (`request_thread`), so a
heartbeat never overtakes a join; the attributes may be read by any.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from rendezvous_api import codec, names
from rendezvous_api.api_errors import AlreadyExistsError, ApiError, ConflictError, InvalidError, NotFoundError
from rendezvous_api.meta import micro_time
from rendezvous_api.participant import ParticipantSpec, ParticipantStatus
from rendezvous_api.reasons import LeaveReason, ParticipantState
from rendezvous_handler.kube.client import Client, JsonPatch
from rendezvous_handler.kube.transport import Json
from rendezvous_handler.peers.thread import Peers

_logger = logging.getLogger(__name__)

_NAME_TRIES = 5
_IMMUTABLE = ("rendezvousName", "nodeID", "podName", "podUID")
"""Fields of the spec that may never change; see ``crds/rendezvousparticipant.yaml``."""


@dataclass(frozen=True)
class NameOwner:
    """The agent that has the name now; all fields are for people."""

    incarnation: str
    node_id: str
    where: str


class NameTakenError(Exception):
    """Another agent has taken this one's name; it is never taken back."""

    def __init__(self, name: str, owner: NameOwner):
        super().__init__(
            f"another agent has taken the name {name} of this one: incarnation {owner.incarnation}, node_id "
            f"{owner.node_id}, at {owner.where}. Two agents must not have one name: give each its own node_id in "
            "--rdzv-conf (inside pods the names are unique by themselves), and start no second torchrun for one node"
        )


class OwnParticipant:
    """One object under one name, as this incarnation of the agent sees it."""

    def __init__(self, client: Client, namespace: str, name: str, owned_by_pod: bool, timeout: float):
        """Make no request yet.

        Args:
            client: of the API server.
            namespace: that of the Rendezvous.
            name: of the object.
            owned_by_pod: whether it is to go with its pod. Only in the pod's own namespace: an owner in another one
                counts as absent, and the object would be deleted at once.
            timeout: seconds that a request may take, except a heartbeat.
        """
        self.name = name
        self.timeout = timeout
        self.beat_timeout = timeout
        """Seconds that a heartbeat may take."""
        self.interval_seconds: int | None = None
        """The longest time between two heartbeats, which they say."""
        self.peers_interval_seconds: int | None = None
        """The same while the other members hear this one, if it is longer then."""
        self.spec: ParticipantSpec | None = None
        """As it was last written; None before the first join."""
        self.took_over = False
        """The last join replaced a predecessor that was joined; then nothing has to change for the operator."""
        self.taken: NameTakenError | None = None
        self.gone = False
        """The object was deleted by a user or a controller; the next join creates it again."""
        self.reported: tuple[int, int | None] = (0, None)
        """What the heartbeat reports: the round whose workers run here, and the rank; round 0 in next_rendezvous."""
        self.peers: Peers | None = None
        """The connections to the other members of that round."""
        self.last_run_id: str | None = None
        """The run of the last round of which this agent was a member; it goes into the next thing that is written."""
        self._launch = 0
        self._client = client
        self._owned_by_pod = owned_by_pod
        self._namespace = namespace
        self._uid = ""
        self._created, self._generation = "", 0
        """``creationTimestamp`` of the object, and the ``generation`` that this agent wrote last."""

    @property
    def lost(self) -> bool:
        """The object is no longer there, or no longer this agent's."""
        return self.gone or self.taken is not None

    def join(self, spec: ParticipantSpec) -> None:
        """Ask for a place in a round. May be repeated after an error: it writes the same again.

        Raises:
            NameTakenError: another incarnation has the name.
            ApiError: the API server refuses, or does not answer.
        """
        if self.taken:
            raise self.taken
        self.reported, self.took_over = (0, None), False
        # Noted before the request: one that timed out may have been carried out.
        self.spec = spec = self._with_runs(spec)
        if not self._uid or self.gone or not self._replace_spec(spec):
            self._take_name(spec)
        self.gone = False

    def beat(self) -> None:
        """Send one heartbeat, within `beat_timeout`; does nothing when the object is lost.

        Raises:
            ApiError: the API server refuses, or does not answer.
        """
        deadline = time.monotonic() + self.beat_timeout
        spec = self.spec
        if spec is None or not self._uid or self.lost or spec.state is ParticipantState.LEFT:
            return
        (current_round, rank), peers = self.reported, self.peers
        evidence = peers.evidence() if current_round and peers is not None else None
        status = ParticipantStatus(
            spec.incarnation,
            spec.attempt,
            current_round,
            rank,
            _now(),
            self.interval_seconds,
            self.peers_interval_seconds,
            evidence,
        )
        operation: Json = {"op": "add", "path": "/status", "value": codec.encode(status)}
        patch = [*self._tests(self._uid, spec.incarnation), operation]
        try:
            self._client.patch_participant_status(self._namespace, self.name, patch, self.beat_timeout)
        except NotFoundError as error:
            self._note_absence(error)
        except InvalidError:
            self._check_owner(spec.incarnation, deadline - time.monotonic())
            if not self.lost:
                raise

    def leave(self, reason: LeaveReason) -> None:
        """Say that this agent is not coming back. Does nothing when it has left already or never joined.

        Raises:
            ApiError: the API server refuses, or does not answer.
        """
        if self.spec is None or self.lost or self.spec.state is ParticipantState.LEFT:
            return
        left = replace(self._with_runs(self.spec), state=ParticipantState.LEFT, leave_reason=reason)
        self._rewrite(left)

    def request_close(self) -> None:
        """Ask the operator to close the run for all its nodes.

        Raises:
            ApiError: the API server refuses, or does not answer.
        """
        if self.spec is not None and not self.lost:
            self._rewrite(replace(self.spec, close_requested=True))

    def _with_runs(self, spec: ParticipantSpec) -> ParticipantSpec:
        launch = self._launch if spec.life is not None else None
        return replace(spec, launch=launch, last_run_id=self.last_run_id)

    def _rewrite(self, spec: ParticipantSpec) -> None:
        if not self._uid:
            self._find_unanswered_create(spec.incarnation)
        try:
            if self._replace_spec(spec):
                self.spec = spec
        except NameTakenError:
            _logger.debug("%s belongs to another agent now", self.name)

    def _find_unanswered_create(self, incarnation: str) -> None:
        try:
            found = self._client.get_participant(self._namespace, self.name, self.timeout)
        except NotFoundError:
            return
        if found["spec"].get("incarnation") == incarnation:
            self._note(found)

    def _take_name(self, spec: ParticipantSpec) -> None:
        """Get the name: create the object, or take over or replace the one of a predecessor."""
        first = not self._uid
        problem: ApiError | None = None
        for _ in range(_NAME_TRIES):
            try:
                self._try_to_take_name(spec, first=first)
            except (NotFoundError, ConflictError) as error:
                if isinstance(error, NotFoundError) and (error.api_is_missing or error.verb == "create"):
                    raise
                problem = error  # the object changed between two requests: read it again
            else:
                return
        assert problem is not None
        raise problem

    def _try_to_take_name(self, spec: ParticipantSpec, first: bool) -> None:
        self.spec = spec = self._with_runs(spec)
        try:
            created = self._client.create_participant(self._namespace, self._new_object(spec), self.timeout)
        except AlreadyExistsError:
            found = self._client.get_participant(self._namespace, self.name, self.timeout)
        else:
            self._note(created)
            return
        theirs, uid = found["spec"], found["metadata"]["uid"]
        # The same incarnation is this agent's own create, whose answer was lost on the way.
        if theirs.get("incarnation") != spec.incarnation and not first and not self._is_earlier(found):
            self.taken = NameTakenError(self.name, _owner(theirs))
            raise self.taken
        if first:
            self._launch = _launch_after(theirs, spec)
            self.spec = spec = self._with_runs(spec)
        ours = codec.encode(spec)
        if any(theirs.get(field) != ours.get(field) for field in _IMMUTABLE):
            # It belongs to a former pod of this name, or to a node that was called otherwise.
            self._client.delete_participant(self._namespace, self.name, uid, self.timeout)
            raise self._changed("delete")
        incarnation = str(theirs.get("incarnation"))
        patch = [*self._tests(uid, incarnation), {"op": "replace", "path": "/spec", "value": ours}]
        try:
            changed = self._client.patch_participant(self._namespace, self.name, patch, self.timeout)
        except InvalidError:
            now = self._client.get_participant(self._namespace, self.name, self.timeout)
            if (now["metadata"]["uid"], now["spec"].get("incarnation")) == (uid, incarnation):
                raise
            raise self._changed("patch") from None
        self._note(changed)
        self.took_over = theirs.get("state") == ParticipantState.JOINED.value
        _logger.debug("took over %s from incarnation %s", self.name, incarnation)

    def _changed(self, verb: str) -> ConflictError:
        return ConflictError(f"{self.name} keeps changing", verb, names.PARTICIPANT_PLURAL, self._namespace)

    def _new_object(self, spec: ParticipantSpec) -> Json:
        metadata: Json = {"name": self.name, "labels": {names.LABEL_RENDEZVOUS: spec.rendezvous_name}}
        if self._owned_by_pod:
            owner = {"apiVersion": "v1", "kind": "Pod", "name": spec.pod_name, "uid": spec.pod_uid}
            metadata["ownerReferences"] = [owner]
        return {
            "apiVersion": names.API_VERSION,
            "kind": names.PARTICIPANT_KIND,
            "metadata": metadata,
            "spec": codec.encode(spec),
        }

    def _replace_spec(self, spec: ParticipantSpec) -> bool:
        """Write the spec into the object of this incarnation; False when it is gone."""
        operation: Json = {"op": "replace", "path": "/spec", "value": codec.encode(spec)}
        patch = [*self._tests(self._uid, spec.incarnation), operation]
        try:
            self._note(self._client.patch_participant(self._namespace, self.name, patch, self.timeout))
        except NotFoundError as error:
            self._note_absence(error)
        except InvalidError:
            self._check_owner(spec.incarnation, self.timeout)
            if self.taken:
                raise self.taken from None
            if not self.gone:
                raise
        return not self.gone

    def _check_owner(self, incarnation: str, timeout: float) -> None:
        """After HTTP 422: find out whether a ``test`` failed, because the object is no longer this agent's."""
        try:
            found = self._client.get_participant(self._namespace, self.name, timeout)
        except NotFoundError as error:
            self._note_absence(error)
            return
        if found["spec"].get("incarnation") != incarnation:
            if self._is_earlier(found):
                self.gone = True
                return
            self.taken = NameTakenError(self.name, _owner(found["spec"]))
        elif found["metadata"]["uid"] != self._uid:
            self.gone = True

    def _note(self, written: Json) -> None:
        metadata = written["metadata"]
        self._uid = metadata["uid"]
        self._created, self._generation = metadata.get("creationTimestamp", ""), metadata.get("generation", 0)

    def _is_earlier(self, found: Json) -> bool:
        """Whether this object of the name is older than this agent's: etcd was restored from a snapshot.

        An agent that takes the name later raises the generation of the object, or creates another one.
        """
        metadata = found["metadata"]
        if metadata["uid"] == self._uid:
            return bool(metadata.get("generation", 0) < self._generation)
        return bool(metadata.get("creationTimestamp", "") < self._created)

    def _note_absence(self, error: NotFoundError) -> None:
        if error.api_is_missing:  # that says nothing about the object, and must not end a training
            raise error
        self.gone = True

    @staticmethod
    def _tests(uid: str, incarnation: str) -> JsonPatch:
        return [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "test", "path": "/spec/incarnation", "value": incarnation},
        ]


def _owner(spec: Json) -> NameOwner:
    pod, node = spec.get("podName"), spec.get("nodeName")
    where = f"address {spec.get('address')}"
    if pod:
        where = f"pod {pod}" + (f" on {node}" if node else "") + f", {where}"
    return NameOwner(str(spec.get("incarnation")), str(spec.get("nodeID")), where)


def _launch_after(theirs: Json, spec: ParticipantSpec) -> int:
    """How many runs have ended well in this life of the container, by the last agent of this name.

    Args:
        theirs: what that agent has written; it may be this one itself, whose request got no answer.
        spec: of this agent.
    """
    before = theirs.get("launch", 0)
    if spec.life is None or (theirs.get("life"), theirs.get("podUID")) != (spec.life, spec.pod_uid):
        return 0
    # This agent itself has not left, so it is not counted.
    return int(before) + (theirs.get("leaveReason") == LeaveReason.SUCCEEDED.value)


def _now() -> str:
    return micro_time(datetime.now(timezone.utc))
