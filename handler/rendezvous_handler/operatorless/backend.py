"""torch's own DynamicRendezvousHandler over a ConfigMap: no operator, no CRDs."""

from __future__ import annotations

import copy
import hashlib
import time
from datetime import timedelta

from torch.distributed.elastic.rendezvous import (
    RendezvousConnectionError,
    RendezvousParameters,
    RendezvousStateError,
)
from torch.distributed.elastic.rendezvous import dynamic_rendezvous as torch_dynamic_rendezvous
from torch.distributed.elastic.rendezvous.dynamic_rendezvous import (
    DynamicRendezvousHandler,
    RendezvousBackend,
    Token,
)

from rendezvous_api.api_errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    NoConfigurationError,
    NotFoundError,
    TooLargeError,
)
from rendezvous_handler.agent.identity import bound_pod, node_address
from rendezvous_handler.kube.client import Client
from rendezvous_handler.kube.errors import advise
from rendezvous_handler.kube.kubeconfig import connect
from rendezvous_handler.operatorless.config_map import (
    CONFIG_MAP_BYTES,
    ConfigMap,
    CorruptError,
    Owner,
    Snapshot,
    config_map_name,
    conflict_back_off,
    owner_of,
    patiently,
)
from rendezvous_handler.operatorless.store import KubernetesStore
from rendezvous_handler.settings import read_settings
from rendezvous_handler.torchrun.compat import record_event

_NAME = "kubernetes-dynamic"
_STATE, _DIGEST = "state", "sha256"


class KubernetesRendezvousBackend(RendezvousBackend):  # type: ignore[misc]  # torch is not type-checked here
    """Keeps the state of torch's DynamicRendezvousHandler in one ConfigMap: the counterpart of EtcdRendezvousBackend.

    The fencing token is the resourceVersion. The ConfigMap is called ``<name>.state.<run id>``; each agent that writes
    it adds its own pod to the owners, so that the garbage collector deletes it when all pods of the run are gone.
    """

    def __init__(
        self,
        client: Client,
        run_id: str,
        namespace: str,
        name: str,
        read_timeout: float = 60.0,
        owner: Owner | None = None,
    ):
        """Make no request yet.

        Args:
            client: of the API server.
            run_id: of the rendezvous.
            namespace: of the ConfigMap.
            name: of the rendezvous, a DNS label; several runs may use it, each has a ConfigMap of its own.
            read_timeout: seconds for which the API server may not answer.
            owner: with whom the ConfigMap goes; None: with none through this agent.

        Raises:
            ValueError: the run id is empty.
        """
        if not run_id:
            raise ValueError("The run id must be a non-empty string.")
        self.client = client
        self.writes = 0
        """How often `set_state` was called."""
        self.conflicts = 0
        """How often it has lost against another agent."""
        self._name = config_map_name(name, "state", run_id)
        self._map = ConfigMap(client, namespace, self._name, name)
        self._read_timeout = read_timeout
        self.owner = owner
        """With whom the ConfigMap goes, from the next write on."""
        self._back_off = conflict_back_off()
        self._seen: Snapshot | None = None

    @property
    def name(self) -> str:
        """``kubernetes-dynamic``."""
        return _NAME

    def get_state(self) -> tuple[bytes, Token] | None:
        """See `RendezvousBackend.get_state`.

        Raises:
            RendezvousConnectionError: the API server does not answer within read_timeout, or refuses.
            RendezvousStateError: the ConfigMap holds something else than a state.
        """
        return self._decode(self._read(self._deadline()))

    def set_state(self, state: bytes, token: Token | None = None) -> tuple[bytes, Token, bool] | None:
        """See `RendezvousBackend.set_state`.

        After a conflict it pauses, for a random time that grows from 0.05 s to 1 s with each conflict in a row, and
        only then reads what it returns: torch decides and writes again at once, and all who have lost would meet again.

        Returns:
            The state that is stored, its token and whether it is the given one. None if none is stored: the ConfigMap
            was deleted since the token was given out.

        Raises:
            RendezvousConnectionError: the API server does not answer within read_timeout, or refuses.
            RendezvousStateError: the ConfigMap holds something else than a state, or the new one is too large for it.
        """
        deadline = self._deadline()
        self.writes += 1
        try:
            written = self._write(state, token, deadline)
        except TooLargeError:
            raise RendezvousStateError(
                f"the rendezvous state of {len(state)} bytes does not fit into the ConfigMap {self._map.reference}, "
                f"which may hold {CONFIG_MAP_BYTES}"
            ) from None
        except ApiError as error:
            raise RendezvousConnectionError(advise(error)) from error
        if written is not None:
            self._back_off.reset()
            return state, written.resource_version, True
        self.conflicts += 1
        time.sleep(self._back_off.pause())
        found = self._decode(self._read(max(deadline, time.monotonic() + 1.0)))
        # Equal bytes are no conflict: an earlier try got no answer, and had been carried out.
        return None if found is None else (*found, found[0] == state)

    def owner_reference(self) -> Owner | None:
        """The ConfigMap itself as an owner, for what is to go with it; None before it is there."""
        return None if self._seen is None else Owner("ConfigMap", self._name, self._seen.uid)

    def _write(self, state: bytes, token: Token | None, deadline: float) -> Snapshot | None:
        """Write if the token fits; None if it does not."""
        content = {_STATE: state, _DIGEST: hashlib.sha256(state).digest()}
        try:
            if token:
                if not isinstance(token, str) or not token.isdecimal():
                    return None
                seen, owner = self._seen, self.owner
                if seen is None or seen.resource_version != token:
                    # Given out by another instance; who owns the ConfigMap is not known here.
                    seen, owner = Snapshot("", token, content, ()), None
            else:
                seen, owner = self._read(deadline), self.owner
                if seen is None:
                    return self._remember(patiently(lambda left: self._map.create(content, owner, left), deadline))
                if seen.data:
                    return None
                # It is empty: made by an administrator who does not let the agents create ConfigMaps.
            return self._remember(patiently(lambda left: self._map.write(seen, content, owner, left), deadline))
        except (AlreadyExistsError, ConflictError):
            return None
        except NotFoundError:
            if not token:  # the namespace is missing
                raise
            return None

    def _read(self, deadline: float) -> Snapshot | None:
        try:
            return self._remember(self._map.read(deadline))
        except CorruptError as error:
            raise RendezvousStateError(f"the rendezvous state is corrupt: {error}") from error
        except ApiError as error:
            raise RendezvousConnectionError(advise(error)) from error

    def _remember(self, seen: Snapshot | None) -> Snapshot | None:
        self._seen = seen
        return seen

    def _decode(self, seen: Snapshot | None) -> tuple[bytes, Token] | None:
        if seen is None or not seen.data:
            return None
        state = seen.data.get(_STATE, b"")
        if hashlib.sha256(state).digest() != seen.data.get(_DIGEST):
            raise RendezvousStateError(
                f"the rendezvous state is corrupt: {_STATE} and {_DIGEST} in the ConfigMap {self._map.reference} do "
                "not fit. It was changed by hand; when all agents have ended, delete it"
            )
        return state, seen.resource_version

    def _deadline(self) -> float:
        return time.monotonic() + self._read_timeout


def create_backend(params: RendezvousParameters) -> tuple[KubernetesRendezvousBackend, KubernetesStore]:
    """Create a backend, and the store for the agents' own keys, which is in a second ConfigMap.

    The counterpart of ``create_backend`` of torch's c10d_rendezvous_backend and etcd_rendezvous_backend. It asks for
    the state once, so that a missing permission or API server is noticed here.

    Args:
        params: of these, ``endpoint`` (``NAME``, ``NAMESPACE/NAME``, or empty: then ``run_id`` is the name), ``run_id``
            and, in the configuration, ``read_timeout``: seconds for which the API server may not answer, and for which
            the agents wait for a key in the store. Default: 60.

    Raises:
        ValueError: a value is wrong; the message names it.
        RendezvousConnectionError: there is no configuration for the Kubernetes API, the API server does not answer
            within read_timeout, or refuses.
        RendezvousStateError: there is a ConfigMap of that name that holds something else.
    """
    try:
        return _create_backend(params)
    except Exception as error:
        record_event("create_backend", params.run_id, f"{type(error).__name__}: {error}", failed=True, host="")
        raise


def _create_backend(params: RendezvousParameters) -> tuple[KubernetesRendezvousBackend, KubernetesStore]:
    settings = read_settings(params)
    try:
        client = connect()
    except NoConfigurationError as error:
        raise RendezvousConnectionError(str(error)) from None
    pod = bound_pod(client.bearer_token())
    namespace = settings.namespace or (pod.namespace if pod else client.namespace)
    run_id, name = params.run_id, settings.name
    backend = KubernetesRendezvousBackend(
        client, run_id, namespace, name, float(settings.read_timeout), owner_of(pod, namespace)
    )
    backend.get_state()
    store = KubernetesStore(
        client,
        namespace,
        config_map_name(name, "store", run_id),
        timedelta(seconds=settings.read_timeout),
        owner=backend.owner_reference,
        label=name,
        rounds=f"torch.rendezvous.{run_id}",
    )
    return backend, store


def create_handler(params: RendezvousParameters) -> DynamicRendezvousHandler:
    """Create torch's handler over `create_backend`, as torch's registry does for c10d and etcd-v2.

    One thing is different: where ``--local-addr`` is not given, the node's address is that of its route to the API
    server, not its host name. In a pod that is the pod's IP address; other pods cannot resolve its host name without a
    headless Service.

    Args:
        params: as for `create_backend`, and those of torch's ``dynamic_rendezvous.create_handler``.

    Raises:
        ValueError: a value is wrong, or the address is one that only this pod can reach.
        RendezvousConnectionError: see `create_backend`; or there is no route to the API server.
        RendezvousStateError: see `create_backend`.
    """
    backend, store = create_backend(params)
    client = backend.client
    own = copy.copy(params)
    try:
        own.local_addr = node_address(params.local_addr, client.url, client.in_pod)
    except OSError as error:
        raise RendezvousConnectionError(
            f"the address of this node cannot be found out: {error}. Set --local-addr"
        ) from error
    return torch_dynamic_rendezvous.create_handler(store, backend, own)
