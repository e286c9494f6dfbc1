"""Operators as processes, and a Rendezvous whose participants are written by hand, as agents would write them."""

import http.client
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support import objects
from tests.support.api import Api, Json
from tests.support.processes import Process, start_operator
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_api.codec import decode
from rendezvous_api.rendezvous import Rendezvous, RendezvousStatus
from rendezvous_controlplane import LocalControlPlane


class Group:
    """One Rendezvous in a namespace, and participants written by hand."""

    def __init__(self, control_plane: LocalControlPlane, namespace: str, name: str = "train") -> None:
        self.control_plane = control_plane
        self.api = Api(control_plane, namespace)
        self.namespace = namespace
        self.name = name
        self.uid = ""

    def kubectl(self, *arguments: str) -> str:
        return self.control_plane.kubectl("-n", self.namespace, *arguments)

    def create(self, **spec: Any) -> None:
        # No heartbeats are sent for the participants, and yet none shall be missed.
        silence = {"heartbeatIntervalSeconds": 1000, "suspectSeconds": 3600}
        spec = {"minNodes": 2, "maxNodes": 2, "lastCallSeconds": 0, **silence, **spec}
        self.uid = self.api.create(objects.rendezvous(self.name, **spec))["metadata"]["uid"]

    def participant(self, node: str, **spec: Any) -> Json:
        own = {"rendezvousUID": self.uid, "incarnation": "aaaaaaaa", "address": "127.0.0.1"}
        return objects.participant(node, of=self.name, **{**own, **spec})

    def join(self, node: str, attempt: int = 1, **spec: Any) -> None:
        reason = "Start" if attempt == 1 else "WorkerFailure"
        self.api.apply(self.participant(node, **{"attempt": attempt, "attemptReason": reason, **spec}))

    def delete(self) -> None:
        self.api.delete(names.RENDEZVOUS_KIND, self.name)

    def delete_everything(self) -> None:
        """The Rendezvous and the participants."""
        for kind in (names.RENDEZVOUS_KIND, names.PARTICIPANT_KIND):
            self.api.delete_all(kind)

    @property
    def is_there(self) -> bool:
        return self.api.find(names.RENDEZVOUS_KIND, self.name) is not None

    @property
    def status(self) -> RendezvousStatus:
        return decode(Rendezvous, self.api.read(names.RENDEZVOUS_KIND, self.name)).status

    def events(self) -> list[Json]:
        """The Events about the Rendezvous."""
        return [event for event in self.api.list("Event") if event["regarding"].get("uid") == self.uid]

    def wait_for_round(self, number: int) -> RendezvousStatus:
        def published() -> RendezvousStatus | None:
            status = self.status
            return status if status.round >= number else None

        return wait_until(published, f"round {number} of {self.name}")


class Operators:
    """Starts operator processes; all are ended with the test."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self._kubeconfig = kubeconfig
        self._folder = folder
        self.started: list[Process] = []

    def start(
        self, *arguments: str, kubeconfig: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> Process:
        log = self._folder / f"operator-{len(self.started)}.log"
        self.started.append(start_operator(kubeconfig or self._kubeconfig, log, *arguments, environment=environment))
        return self.started[-1]

    def serve(self, *arguments: str, kubeconfig: Path | None = None) -> "Served":
        """Start one that serves probes and metrics."""
        with socket.socket() as holder:
            # Until the operator has the port no other process gets it: it may be shared with one that does not listen.
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", 0))
            port = holder.getsockname()[1]
            return Served(self.start(*arguments, f"--http-port={port}", kubeconfig=kubeconfig), port)


class Served:
    """An operator with its HTTP server."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.port = port
        wait_until(lambda: "/livez, /readyz and /metrics are served" in process.log, "the HTTP server")

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        """Status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def metrics(self) -> dict[str, float]:
        """Value of each series, by its name and labels as they are written."""
        lines = [line for line in self.get("/metrics")[1].splitlines() if line[:1] != "#"]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}
