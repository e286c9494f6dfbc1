"""Which reason an agent gives for leaving, and what it says before it joins."""

import signal
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.rendezvous import RendezvousGracefulExitError, RendezvousParameters

from rendezvous_api.meta import ObjectMeta
from rendezvous_api.reasons import LeaveReason
from rendezvous_api.rendezvous import Rendezvous
from rendezvous_api.rendezvous_spec import RendezvousSpec
from rendezvous_handler.settings import read_settings
from rendezvous_handler.torchrun.handler import KubernetesRendezvousHandler


def make_handler() -> KubernetesRendezvousHandler:
    """A handler that never gets so far as to need an API server."""
    no_cluster: Any = None
    parameters = RendezvousParameters("kubernetes", "train", "run", 1, 1)
    return KubernetesRendezvousHandler(read_settings(parameters), no_cluster)


def while_propagating(error: BaseException, look: Callable[[], LeaveReason]) -> LeaveReason:
    """What the handler says in a ``finally``, as launch_agent calls shutdown."""
    try:
        try:
            raise error
        finally:
            reason = look()
    except type(error):
        return reason


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("workers failed"), LeaveReason.FAILED),
        (KeyboardInterrupt(), LeaveReason.TERMINATED),
        (SignalException("SIGTERM", signal.SIGTERM), LeaveReason.TERMINATED),
        (SystemExit(1), LeaveReason.FAILED),
        (SystemExit("text"), LeaveReason.FAILED),
        (SystemExit(0), LeaveReason.SUCCEEDED),
        (SystemExit(), LeaveReason.SUCCEEDED),
        (RendezvousGracefulExitError("done"), LeaveReason.SUCCEEDED),
    ],
)
def test_an_exception_on_its_way_means_failed(error: BaseException, expected: LeaveReason) -> None:
    assert while_propagating(error, make_handler()._reason_to_leave) is expected


def test_no_exception_means_succeeded() -> None:
    assert make_handler()._reason_to_leave() is LeaveReason.SUCCEEDED


def test_an_exception_from_before_does_not_count() -> None:
    try:
        raise RuntimeError("handled by whoever starts the agent")
    except RuntimeError:
        handler = make_handler()
        assert handler._reason_to_leave() is LeaveReason.SUCCEEDED
        assert while_propagating(ValueError("of its own"), handler._reason_to_leave) is LeaveReason.FAILED


@pytest.mark.parametrize(
    ("module", "function", "expected"),
    [
        ("torch.distributed.elastic.agent.server.local_elastic_agent", "_stop_workers", LeaveReason.FAILED),
        ("torch.distributed.elastic.agent.server.api", "run", LeaveReason.SUCCEEDED),
        ("somebody.else", "_stop_workers", LeaveReason.SUCCEEDED),
    ],
)
def test_older_agents_that_stop_failed_workers(module: str, function: str, expected: LeaveReason) -> None:
    # Up to torch 2.7 there is no exception yet when the agent calls shutdown.
    agent: dict[str, Any] = {"__name__": module}
    exec(f"def {function}(shutdown):\n    return shutdown()", agent)
    assert agent[function](make_handler()._reason_to_leave) is expected


def test_unused_handlers_end_at_once() -> None:
    handler = make_handler()
    assert handler.num_nodes_waiting() == 0
    assert handler.shutdown()
    assert handler.shutdown()
    assert handler.get_backend() == "kubernetes"
    assert handler.get_run_id() == "run"


def test_the_shared_store_can_be_declined(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = make_handler()
    assert handler.use_agent_store
    monkeypatch.setenv("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    assert not handler.use_agent_store


@pytest.mark.parametrize(
    ("timeout", "attempt", "warns"), [(900, 0, True), (30, 0, False), (900, 1, False), (None, 0, False)]
)
def test_a_long_shutdown_is_warned_of_before_the_first_round(
    timeout: int | None, attempt: int, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    handler: Any = make_handler()
    handler._agent = SimpleNamespace(attempt=attempt, reference="team/train")
    handler._launcher_call = None if timeout is None else SimpleNamespace(shutdown_timeout=timeout)
    handler._compare(Rendezvous(ObjectMeta("train"), RendezvousSpec(1, 2)))
    assert [message[:42] for message in caplog.messages] == ["--shutdown-timeout is 900 s, and timeouts."] * warns
