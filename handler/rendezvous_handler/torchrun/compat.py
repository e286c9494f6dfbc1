"""What differs between releases of torch: stores and events.

Two more differences are where they matter: `launch.workers_failed_for_good` (up to 2.7) and `errors.end_agent` (up to
2.15).
"""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from typing import Any

import torch
from torch.distributed import DistStoreError, TCPStore
from torch.distributed.elastic.events import NodeState, construct_and_record_rdzv_event

_logger = logging.getLogger(__name__)

_making_a_store = threading.Lock()

QueueEmptyError: type[Exception] = getattr(torch.distributed, "QueueEmptyError", DistStoreError)
"""What ``Store.queue_pop`` raises; older releases have no queues."""


def serve_store(host: str, port: int, listen_fd: int, timeout: int) -> TCPStore:
    """Serve a TCPStore on a bound socket that does not listen yet. The store then owns the file descriptor.

    Args:
        host: the address of the socket, at which the store also connects to itself.
        port: the port of the socket.
        listen_fd: its file descriptor, detached.
        timeout: of the store's operations, in seconds.
    """
    options: dict[str, Any] = {}
    if _torch_version() < (2, 8):
        # Its libuv server takes no file descriptor: NotImplementedError (torch/csrc/distributed/c10d/TCPStore.cpp).
        options["use_libuv"] = False
    return _make_store(host, port, timeout, is_master=True, master_listen_fd=listen_fd, **options)


def connect_store(host: str, port: int, timeout: int) -> TCPStore:
    """Connect to a TCPStore that listens.

    Args:
        host: where it is served.
        port: its port.
        timeout: of the connection and of the store's operations, in seconds.
    """
    return _make_store(host, port, timeout, is_master=False)


def _make_store(host: str, port: int, timeout: int, **options: Any) -> TCPStore:
    # torch makes a TCPStore, and tells pybind11 of it, without holding the GIL. Two at once, of two handlers in one
    # process, can end it: "Tried to deallocate unregistered instance" (seen with 2.6).
    with _making_a_store:
        return TCPStore(host, port, wait_for_workers=False, timeout=timedelta(seconds=timeout), **options)


def record_event(name: str, run_id: str, message: str, failed: bool, host: str, rank: int | None = None) -> None:
    """Record one of torch's own rendezvous events, as its DynamicRendezvousHandler does; never fails.

    Args:
        name: the method that it is about.
        run_id: of torchrun.
        message: for people.
        failed: whether it is about a failure.
        host: the address of this node.
        rank: of this node, if known.
    """
    state = NodeState.FAILED if failed else NodeState.RUNNING
    try:
        construct_and_record_rdzv_event(
            run_id=run_id, message=message, node_state=state, name=name, hostname=host, rank=rank
        )
    except (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
        # Not every Exception: torch's SignalException is one, and it must reach the agent.
        _logger.debug("torch did not take the event: %s", error)


def _torch_version() -> tuple[int, int]:
    major, minor = torch.__version__.split(".")[:2]
    return int(major), int(minor)
