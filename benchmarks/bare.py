"""The requests of a node without the handler's code: the least that the protocol can cost.

A bare member has its watch and a connection for requests open before anything is measured, as a handler does. To join
is one POST; then it looks for its round in the bytes of the watch, connects to the store and counts itself in there.
"""

import asyncio
import concurrent.futures
import contextlib
import json
import random
import re
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import aiohttp
from benchmarks.cluster import NAMESPACE
from torch.distributed import TCPStore

from rendezvous_api import names
from rendezvous_api.codec import encode
from rendezvous_api.participant import ParticipantSpec
from rendezvous_api.reasons import AttemptReason, ParticipantState

Json = dict[str, Any]

COLLECTION = f"/apis/{names.API_VERSION}/namespaces/{NAMESPACE}"
RENDEZVOUS = f"{COLLECTION}/{names.RENDEZVOUS_PLURAL}"
PARTICIPANTS = f"{COLLECTION}/{names.PARTICIPANT_PLURAL}"

_STORE = re.compile(rb'"store":\{"host":"([^"]+)","port":(\d+)\}')
_STORE_SECONDS = 60
_PAUSE_SECONDS = (0.2, 1.2)


class Api:
    """The API server for one client: a session with two connections."""

    def __init__(self, url: str, token: str, context: ssl.SSLContext) -> None:
        connector = aiohttp.TCPConnector(limit=2, ssl=context, keepalive_timeout=600)
        self.session = aiohttp.ClientSession(
            url,
            connector=connector,
            headers={"Authorization": f"Bearer {token}"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=30),
            read_bufsize=2**20,
        )

    async def request(self, method: str, path: str, body: Json | None = None, merge: bool = False) -> tuple[int, Json]:
        """HTTP status and answer."""
        kind = "application/merge-patch+json" if merge else "application/json"
        data = None if body is None else json.dumps(body)
        async with self.session.request(method, path, data=data, headers={"Content-Type": kind}) as response:
            answer = await response.read()
            # An overloaded API server says so in plain text.
            text = response.content_type != "application/json"
            return response.status, {"message": answer.decode()} if text else json.loads(answer)

    async def watch(self, path: str) -> AsyncIterator[bytes]:
        """The lines of a watch of one object, each an event; ends when the server ends it.

        Raises:
            WatchRefusedError: the server does not let this client watch now.
        """
        collection, _, name = path.rpartition("/")
        query = {"watch": "true", "fieldSelector": f"metadata.name={name}"}
        rest = b""
        async with self.session.get(collection, params=query) as response:
            if response.status != 200:
                raise WatchRefusedError(f"watch of {path}: {response.status}")
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield line


class WatchRefusedError(Exception):
    """The API server refuses a watch, for now: an overloaded one answers 429."""


def participant(rendezvous: str, uid: str, node: str, port: int = 29500) -> Json:
    """The object by which a node joins."""
    spec = ParticipantSpec(
        rendezvous_name=rendezvous,
        rendezvous_uid=uid,
        node_id=node,
        incarnation="abcd1234",
        attempt=1,
        attempt_reason=AttemptReason.START,
        address="127.0.0.1",
        store_port=port,
        state=ParticipantState.JOINED,
        run_id="run-1",
    )
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.PARTICIPANT_KIND,
        "metadata": {"name": f"{rendezvous}.{node}", "labels": {names.LABEL_RENDEZVOUS: rendezvous}},
        "spec": encode(spec),
    }


class BareMember:
    """One node of a group of a given size, which is complete when all nodes are in it."""

    def __init__(self, number: int, nodes: int, rendezvous: str, api: Api) -> None:
        self._number = number
        self._nodes = nodes
        self._rendezvous = rendezvous
        self._api = api
        self._published: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()
        self._watch: asyncio.Task[None] | None = None
        self._uid = ""
        # The node whose name comes first is rank 0. Its server is up beforehand: to wait for it is not the least cost.
        self._server = _server() if number == 0 else None

    async def prepare(self) -> None:
        """Open both connections; returns when the watch has said something."""
        rendezvous = await self._request("GET", f"{RENDEZVOUS}/{self._rendezvous}")
        self._uid = rendezvous["metadata"]["uid"]
        watching = asyncio.Event()
        self._watch = asyncio.create_task(self._follow(watching.set))
        await watching.wait()

    async def join(self, threads: concurrent.futures.Executor) -> None:
        """Return when all nodes are in the round and have counted themselves in at its store."""
        port = self._server.port if self._server is not None else 29500
        body = participant(self._rendezvous, self._uid, f"node-{self._number:04d}", port)
        await self._request("POST", PARTICIPANTS, body)
        host, port = await self._published
        await asyncio.get_running_loop().run_in_executor(threads, self._check_in, host, port)

    async def close(self) -> None:
        """End the watch and close the connections."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await self._api.session.close()
        self._server = None

    async def _request(self, method: str, path: str, body: Json | None = None) -> Json:
        while True:
            status, answer = await self._api.request(method, path, body)
            if status < 300:
                return answer
            # Priority and fairness lets no more than some hundred requests of one service account wait.
            if status != 429:
                raise RuntimeError(f"{method} {path}: {status} {answer.get('message')}")
            await asyncio.sleep(random.uniform(*_PAUSE_SECONDS))

    async def _follow(self, watching: Callable[[], None]) -> None:
        while True:
            with contextlib.suppress(WatchRefusedError):
                async for line in self._api.watch(f"{RENDEZVOUS}/{self._rendezvous}"):
                    watching()
                    # Only the bytes: in a cluster each node parses its list on a processor of its own.
                    found = _STORE.search(line)
                    if found and line.count(b'"incarnation"') == self._nodes and not self._published.done():
                        self._published.set_result((found[1].decode(), int(found[2])))
            await asyncio.sleep(random.uniform(*_PAUSE_SECONDS))

    def _check_in(self, host: str, port: int) -> None:
        store = TCPStore(host, port, is_master=False, wait_for_workers=False, timeout=timedelta(seconds=_STORE_SECONDS))
        if store.add("members", 1) == self._nodes:
            store.set("complete", "1")
        store.wait(["complete"])


def _server() -> TCPStore:
    return TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=_STORE_SECONDS))
