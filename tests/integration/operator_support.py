"""Operators as processes, and a Rendezvous whose participants are written by hand, as agents would write them."""

import http.client
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from tests.e2e.harness import Process
from tests.waiting import wait_until

from rendezvous_api import names
from rendezvous_api.codec import decode
from rendezvous_api.rendezvous import Rendezvous, RendezvousStatus
from rendezvous_controlplane import LocalControlPlane


class Group:
    """One Rendezvous in a namespace, and participants written by hand."""

    def __init__(self, control_plane: LocalControlPlane, namespace: str, name: str = "train") -> None:
        self.control_plane = control_plane
        self.namespace = namespace
        self.name = name
        self.uid = ""

    def kubectl(self, *arguments: str, input: str | None = None) -> str:
        return self.control_plane.kubectl("-n", self.namespace, *arguments, input=input)

    def create(self, **spec: Any) -> None:
        # Nobody beats for the participants, and yet none shall be missed.
        silence = {"keepAliveIntervalSeconds": 1000, "suspectTimeoutSeconds": 3600}
        spec = {"minNodes": 2, "maxNodes": 2, "lastCallTimeoutSeconds": 0, **silence, **spec}
        self._write(names.RENDEZVOUS_KIND, self.name, spec, {})
        self.uid = json.loads(self.kubectl("get", "rdzv", self.name, "-o", "json"))["metadata"]["uid"]

    def join(self, node: str, attempt: int = 1, **spec: Any) -> None:
        full = {
            "rendezvousName": self.name,
            "rendezvousUID": self.uid,
            "nodeID": node,
            "incarnation": "aaaaaaaa",
            "attempt": attempt,
            "attemptReason": "Start" if attempt == 1 else "WorkerFailure",
            "address": "127.0.0.1",
            "storePort": 4000,
            "state": "Joined",
            **spec,
        }
        self._write(names.PARTICIPANT_KIND, f"{self.name}.{node}", full, {names.LABEL_RENDEZVOUS: self.name})

    def _write(self, kind: str, name: str, spec: dict[str, Any], labels: dict[str, str]) -> None:
        metadata = {"name": name, "namespace": self.namespace, "labels": labels}
        item = {"apiVersion": names.API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
        self.kubectl("apply", "-f", "-", input=json.dumps(item))

    @property
    def status(self) -> RendezvousStatus:
        return decode(Rendezvous, json.loads(self.kubectl("get", "rdzv", self.name, "-o", "json"))).status

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

    def start(self, *arguments: str, kubeconfig: Path | None = None) -> Process:
        command = [sys.executable, "-m", "rendezvous_operator.app", *arguments]
        log = self._folder / f"operator-{len(self.started)}.log"
        environment = {**os.environ, "KUBECONFIG": str(kubeconfig or self._kubeconfig)}
        self.started.append(Process(command, log, environment))
        return self.started[-1]

    def serve(self, *arguments: str, kubeconfig: Path | None = None) -> "Served":
        """Start one that serves probes and metrics."""
        with socket.socket() as holder:
            # Until the operator has the port nobody else gets it: it may be shared with one that does not listen.
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
