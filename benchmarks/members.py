"""A process in which many members of a group live, each with a real rendezvous handler, or bare (`benchmarks.bare`).

Reads commands from standard input, one JSON object a line, and writes what happens to standard output in the same way.
Times are those of CLOCK_MONOTONIC, which all processes of a machine share.

Each command has ``do`` and ``ids``:

* ``create``, see `Members.create`: "created".
* ``create bare``, with ``nodes``, ``rendezvous``, ``url``, ``token``, ``authority``: "created".
* ``join``, with ``at``: each calls next_rendezvous at that time: "joined" or "failed", of each.
* ``run``, with ``rejoin``: each asks num_nodes_waiting as torchrun does: "told", of each, and then it joins again if it
  is to.
* ``close``: each calls shutdown: "closed".
"""

import asyncio
import concurrent.futures
import contextlib
import gc
import json
import logging
import os
import ssl
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from benchmarks.bare import Api, BareMember
from torch.distributed.elastic.rendezvous import RendezvousHandler, RendezvousParameters, dynamic_rendezvous
from torch.distributed.elastic.rendezvous.registry import get_rendezvous_handler

POLL_SECONDS = 0.02
"""All members of the process are asked this often; torchrun asks each 0.1 s (``--monitor-interval``)."""

_NICE = 10

_STACK_INSPECTION = dynamic_rendezvous.get_method_name
_output = threading.Lock()


def tell(event: str, **fields: Any) -> None:
    """Write one line."""
    line = json.dumps({"event": event, **fields})
    with _output:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


class Members:
    """The members of this process, by number."""

    def __init__(self) -> None:
        self._handlers: dict[int, RendezvousHandler] = {}
        self._bare: dict[int, BareMember] = {}
        self._running: dict[int, bool] = {}
        """Who asks num_nodes_waiting, and whether it is to join again once it is told."""
        self._loop = asyncio.new_event_loop()
        self._threads = concurrent.futures.ThreadPoolExecutor(max_workers=1000)
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        threading.Thread(target=self._poll, daemon=True).start()

    def create(
        self,
        ids: Sequence[int],
        parameters: dict[str, Any],
        kubeconfigs: dict[str, str],
        quick_names: bool = False,
        shared_store: bool = True,
    ) -> None:
        """Create handlers as torchrun does.

        Args:
            ids: of the members.
            parameters: of torch's RendezvousParameters; ``{i}`` in a text is the member's number.
            kubeconfigs: by member.
            quick_names: without c10d's inspection of the stack at each action.
            shared_store: workers use the agents' store, which is torch's default.
        """
        os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "0" if shared_store else "1"
        dynamic_rendezvous.get_method_name = (lambda depth=2: "") if quick_names else _STACK_INSPECTION
        for i in ids:
            if str(i) in kubeconfigs:
                os.environ["KUBECONFIG"] = kubeconfigs[str(i)]
            own = {key: value.format(i=i) if isinstance(value, str) else value for key, value in parameters.items()}
            self._handlers[i] = get_rendezvous_handler(RendezvousParameters(**own))
        gc.collect()
        gc.freeze()  # hundreds of clients in one process are more to look through than any agent has
        tell("created")

    def create_bare(
        self, ids: Sequence[int], nodes: int, rendezvous: str, url: str, token: str, authority: str
    ) -> None:
        """Create bare members, and wait until all watch."""

        async def prepare() -> None:
            context = ssl.create_default_context(cadata=authority)
            for i in ids:
                self._bare[i] = BareMember(i, nodes, rendezvous, Api(url, token, context))
            await asyncio.gather(*(self._bare[i].prepare() for i in ids))

        self._in_loop(prepare())
        tell("created")

    def join(self, ids: Sequence[int], at: float) -> None:
        """Let all of them join at a moment; returns at once."""
        for i in ids:
            if i in self._bare:
                asyncio.run_coroutine_threadsafe(self._join_bare(i, at), self._loop)
            else:
                threading.Thread(target=self._join, args=(i, at), daemon=True).start()

    def run(self, ids: Sequence[int], rejoin: bool) -> None:
        """Let their workers run, so to speak."""
        self._running.update(dict.fromkeys(ids, rejoin))

    def close(self, ids: Sequence[int]) -> None:
        """Shut all of them down."""
        for i in ids:
            self._running.pop(i, None)
        bare = [self._bare.pop(i) for i in ids if i in self._bare]

        async def close_bare() -> None:
            await asyncio.gather(*(member.close() for member in bare))

        if bare:
            self._in_loop(close_bare())
        handlers = [self._handlers.pop(i) for i in ids if i in self._handlers]
        threads = [threading.Thread(target=handler.shutdown, daemon=True) for handler in handlers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        handlers.clear()
        threads.clear()
        gc.unfreeze()
        gc.collect()
        tell("closed")

    def _in_loop(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _join(self, i: int, at: float) -> None:
        time.sleep(max(0.0, at - time.monotonic()))
        try:
            info = self._handlers[i].next_rendezvous()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the one who measures has to hear of it
            tell("failed", id=i, at=time.monotonic(), error=f"{type(error).__name__}: {error}")
        else:
            tell("joined", id=i, at=time.monotonic(), rank=info.rank, nodes=info.world_size)

    async def _join_bare(self, i: int, at: float) -> None:
        await asyncio.sleep(max(0.0, at - time.monotonic()))
        try:
            await self._bare[i].join(self._threads)
        except Exception as error:  # noqa: BLE001 - as above
            tell("failed", id=i, at=time.monotonic(), error=f"{type(error).__name__}: {error}")
        else:
            tell("joined", id=i, at=time.monotonic())

    def _poll(self) -> None:
        while True:
            time.sleep(POLL_SECONDS)
            for i in list(self._running):
                handler = self._handlers.get(i)
                try:
                    waiting = handler.num_nodes_waiting() if handler is not None else 0
                except Exception as error:  # noqa: BLE001 - torchrun would end here
                    tell("failed", id=i, at=time.monotonic(), error=f"{type(error).__name__}: {error}")
                    self._running.pop(i, None)
                    continue
                if waiting > 0:
                    rejoin = self._running.pop(i, False)
                    tell("told", id=i, at=time.monotonic())
                    if rejoin:
                        threading.Thread(target=self._join, args=(i, 0.0), daemon=True).start()


def main() -> None:
    """Carry out commands until standard input ends."""
    logging.disable(logging.CRITICAL)  # a thousand agents in one process would log what nobody reads
    # Hundreds of threads that wait for Python's global lock each ask for it every so often, 5 ms by default. That alone
    # kept two processors busy with 750 of them in each process, even at 20 ms. In a cluster no two agents share a
    # process, and a thread that waits for an answer gives the lock away at once.
    sys.setswitchinterval(0.2)
    # The kernel shares its processors among threads, and here are some thousand: a server would get next to nothing.
    os.nice(_NICE)
    members = Members()
    commands: dict[str, Callable[..., None]] = {
        "create": members.create,
        "create bare": members.create_bare,
        "join": members.join,
        "run": members.run,
        "close": members.close,
    }
    tell("ready")
    with contextlib.suppress(KeyboardInterrupt):
        for line in sys.stdin:
            command = json.loads(line)
            commands[command.pop("do")](**command)
    os._exit(0)  # threads of c10d may be in the middle of a request that nobody answers any more


if __name__ == "__main__":
    main()
