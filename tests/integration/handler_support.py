"""What the tests of the handler share: a played operator, handlers in threads."""

import contextlib
import os
import threading
import time
from pathlib import Path
from typing import Any

from kubernetes import client
from tests.support.api import Api
from tests.support.specs import in_groups
from tests.support.waiting import wait_until
from torch.distributed.elastic.rendezvous import RendezvousHandler, RendezvousInfo, RendezvousParameters

from rendezvous_api import names
from rendezvous_controlplane import ControlPlaneError, LocalControlPlane
from rendezvous_handler.plugin import create_handler

Json = Any
NOW = "2026-01-01T00:00:00Z"


class PlayedOperator:
    """The test itself writes what the operator would decide."""

    def __init__(self, control_plane: LocalControlPlane, namespace: str, name: str = "train"):
        self.api = client.CustomObjectsApi(control_plane.get_client())
        self.core = client.CoreV1Api(self.api.api_client)
        self.namespace = namespace
        self.name = name
        self._rendezvous = (names.GROUP, names.VERSION, namespace, names.RENDEZVOUS_PLURAL)
        self._participants = (names.GROUP, names.VERSION, namespace, names.PARTICIPANT_PLURAL)

    def create(self, min_nodes: int = 1, max_nodes: int = 8, **spec: Any) -> Json:
        defaults = {"heartbeatIntervalSeconds": 1, "joinSeconds": 60}
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.RENDEZVOUS_KIND,
            "metadata": {"name": self.name},
            "spec": in_groups({"minNodes": min_nodes, "maxNodes": max_nodes, **defaults, **spec}),
        }
        return self.api.create_namespaced_custom_object(*self._rendezvous, body)

    def delete(self) -> None:
        self.api.delete_namespaced_custom_object(*self._rendezvous, self.name)

    def rendezvous(self) -> Json | None:
        with contextlib.suppress(client.ApiException):
            return self.api.get_namespaced_custom_object(*self._rendezvous, self.name)
        return None

    def participants(self) -> dict[str, Json]:
        found = self.api.list_namespaced_custom_object(*self._participants)["items"]
        return {item["metadata"]["name"]: item for item in found}

    def participant(self, name: str) -> Json:
        return self.participants()[name]

    def create_participant(self, body: Json) -> Json:
        return self.api.create_namespaced_custom_object(*self._participants, body)

    def delete_participant(self, name: str) -> None:
        self.api.delete_namespaced_custom_object(*self._participants, name)

    def joined(self, attempts: dict[str, int], timeout: float = 20.0) -> dict[str, Json]:
        """Wait until exactly these participants are joined with these attempts, and return them."""

        def check() -> dict[str, Json] | None:
            there = {name: item for name, item in self.participants().items() if item["spec"]["state"] == "Joined"}
            return there if {name: item["spec"]["attempt"] for name, item in there.items()} == attempts else None

        found: dict[str, Json] = wait_until(check, f"joined {attempts}", timeout)
        return found

    def write(self, **status: Any) -> Json:
        """Change fields of the status."""
        for _ in range(10):
            found = self.rendezvous()
            assert found is not None
            found["status"] = {"observedGeneration": 1, **(found.get("status") or {}), **status}
            try:
                return self.api.replace_namespaced_custom_object_status(*self._rendezvous, self.name, found)
            except client.ApiException as error:
                if error.status != 409:
                    raise
        raise AssertionError("too many conflicts")

    def running(self, reason: str, message: str, status: str = "False") -> list[Json]:
        return [
            {
                "type": "Running",
                "status": status,
                "reason": reason,
                "message": message,
                "lastTransitionTime": NOW,
                "observedGeneration": 1,
            }
        ]

    def publish(self, members: dict[str, Json], round_number: int = 1, **status: Any) -> Json:
        """Publish a round with these participants, in the order of their names."""
        ordered = sorted(members.items())
        first = ordered[0][1]["spec"]
        listed = [
            {
                "name": name,
                "incarnation": item["spec"]["incarnation"],
                "attempt": item["spec"]["attempt"],
                "rank": rank,
            }
            for rank, (name, item) in enumerate(ordered)
        ]
        store = {"host": first["address"], "port": first["storePort"]}
        published = {
            "run": {"id": "none"},
            "round": round_number,
            "nodes": len(listed),
            "participants": listed,
            "store": store,
            "waitingNodes": 0,
            "roundStartTime": NOW,
            "formation": None,
            "conditions": self.running("Running", f"round {round_number}", "True"),
        }
        return self.write(**{**published, **status})

    def refuse(self, name: str, reason: str, message: str, **more: str) -> Json:
        spec = self.participant(name)["spec"]
        refusal = {
            "name": name,
            "incarnation": spec["incarnation"],
            "attempt": spec["attempt"],
            "reason": reason,
            "message": message,
            **more,
        }
        return self.write(refused=[refusal], conditions=self.running("WaitingForNodes", "x"))


class Node:
    """One handler, and its calls in a thread."""

    def __init__(self, handler: RendezvousHandler):
        self.handler = handler
        self.info: RendezvousInfo | None = None
        self.error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def join(self) -> "Node":
        """Call next_rendezvous in a thread."""
        self.info = self.error = None
        self._thread = threading.Thread(target=self._next_rendezvous, daemon=True)
        self._thread.start()
        return self

    def _next_rendezvous(self) -> None:
        try:
            self.info = self.handler.next_rendezvous()
        except BaseException as error:  # noqa: BLE001 - SystemExit too is looked at
            self.error = error

    def returned(self, timeout: float = 20.0) -> RendezvousInfo:
        """Wait for next_rendezvous to return."""
        self._end(timeout)
        if self.error is not None:
            raise self.error
        assert self.info is not None
        return self.info

    def raised(self, timeout: float = 20.0) -> BaseException:
        """Wait for next_rendezvous to raise."""
        self._end(timeout)
        assert self.error is not None, f"it returned {self.info}"
        return self.error

    def waits(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _end(self, timeout: float) -> None:
        assert self._thread is not None
        self._thread.join(timeout)
        assert not self._thread.is_alive(), "next_rendezvous has not ended"


class Shutdown:
    """A call of shutdown in a thread."""

    def __init__(self, handler: RendezvousHandler):
        self.result: bool | None = None
        self._handler = handler
        self._start = time.monotonic()
        self.seconds = 0.0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self.result = self._handler.shutdown()
        self.seconds = time.monotonic() - self._start

    def runs(self) -> bool:
        return self._thread.is_alive()

    def end(self, timeout: float = 20.0) -> "Shutdown":
        self._thread.join(timeout)
        assert not self.runs()
        return self


def until_allowed(control_plane: LocalControlPlane, namespace: str, kubeconfig: Path) -> None:
    """Rights count a moment after they were granted: wait until this user may list Rendezvous."""
    api = Api(control_plane, namespace, kubeconfig)

    def lists() -> bool:
        with contextlib.suppress(ControlPlaneError):
            api.list(names.RENDEZVOUS_KIND)
            return True
        return False

    wait_until(lists, f"{kubeconfig} to list Rendezvous in {namespace}")


def make_handler(
    kubeconfig: Path,
    endpoint: str,
    nodes: tuple[int, int] = (1, 1),
    run_id: str = "none",
    local_addr: str | None = None,
    **conf: Any,
) -> RendezvousHandler:
    """Create a handler as torchrun does, with a kubeconfig of its own."""
    before = os.environ.get("KUBECONFIG")
    os.environ["KUBECONFIG"] = str(kubeconfig)
    try:
        parameters = RendezvousParameters("kubernetes", endpoint, run_id, *nodes, local_addr, timeout=900, **conf)
        return create_handler(parameters)
    finally:
        # Not deleted: threads of other handlers, which look for proxies, may be reading the environment.
        os.environ["KUBECONFIG"] = before or ""


class Nodes:
    """The nodes of one test; all are shut down at its end."""

    def __init__(self, control_plane: LocalControlPlane, namespace: str, name: str = "train"):
        self._control_plane = control_plane
        self._endpoint = f"{namespace}/{name}"
        self.all: list[Node] = []

    def node(self, node_id: str, kubeconfig: Path | None = None, **options: Any) -> Node:
        options.setdefault("close_timeout", 20)
        handler = make_handler(kubeconfig or self._control_plane.kubeconfig, self._endpoint, node_id=node_id, **options)
        self.all.append(Node(handler))
        return self.all[-1]

    def shut_down(self) -> None:
        threads = [threading.Thread(target=node.handler.shutdown) for node in self.all]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
