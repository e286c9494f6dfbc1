"""What the operator's requests make of answers that are lost, or are none of the API server."""

import asyncio
import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from tests.support.api import Api

from rendezvous_api import names
from rendezvous_api.api_errors import UnreachableError
from rendezvous_controlplane import LocalControlPlane
from rendezvous_operator.kube.client import Client, Json
from rendezvous_operator.kube.lease import Candidate, Election, Timing
from rendezvous_operator.kube.login import Login
from rendezvous_operator.kube.request_trace import NO_ANSWER

TIMING = Timing()


class _AnswerLost(Client):
    """The API server does what it is asked to; the answer to the first write never arrives."""

    wrote: asyncio.Event

    async def request(self, method: str, *arguments: Any, **options: Any) -> Json:
        answer = await super().request(method, *arguments, **options)
        if method in ("POST", "PUT") and not self.wrote.is_set():
            self.wrote.set()
            await asyncio.Event().wait()
        return answer


def test_a_lease_that_was_taken_without_an_answer_is_handed_over(
    control_plane: LocalControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig))

    def holder() -> str:
        return str(Api(control_plane, namespace).read("Lease", "ours")["spec"].get("holderIdentity", ""))

    async def scenario() -> None:
        client = await _AnswerLost.connect(Login())
        assert isinstance(client, _AnswerLost)
        client.wrote = asyncio.Event()
        candidate = Candidate(
            client, namespace, "ours", Election("a", TIMING), time.monotonic, lambda: None, lambda: None
        )
        running = asyncio.create_task(candidate.run())
        try:
            await asyncio.wait_for(client.wrote.wait(), 15)
            assert holder() == "a"
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            assert holder() == ""
        finally:
            await client.close()

    asyncio.run(scenario())


class _Portal(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>Please log in</html>")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def portal() -> Iterator[int]:
    """The port of something that answers in the place of the API server, as proxies do."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Portal)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_answer_that_is_not_the_api_servers_is_none(
    control_plane: LocalControlPlane, portal: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = json.loads(control_plane.kubeconfig.read_text())
    config["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{portal}"}
    kubeconfig = control_plane.data_dir / "portal.kubeconfig"
    kubeconfig.write_text(json.dumps(config))  # JSON is YAML
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))

    async def scenario() -> None:
        ended: list[str] = []
        client = await Client.connect(Login(), lambda code, seconds: ended.append(code))
        try:
            with pytest.raises(
                UnreachableError, match="the answer is not that of an API server: b'<html>Please log in"
            ):
                await client.list(names.RENDEZVOUS_KIND, None)
        finally:
            await client.close()
        assert ended == [NO_ANSWER], "it must not end an outage"

    asyncio.run(scenario())
