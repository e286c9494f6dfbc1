"""How torchrun finds the handler, and what depends on the torchrun program."""

import contextlib
import io
import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points

import pytest
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.rendezvous import (
    RendezvousHandler,
    RendezvousParameters,
)

from rendezvous_handler import plugin
from rendezvous_handler.logs import show_messages
from rendezvous_handler.torchrun import compat


def test_the_entry_point_imports_neither_torch_nor_kubernetes() -> None:
    code = (
        "import sys, rendezvous_handler.plugin as plugin; plugin.get_creator();"
        "print([name for name in ('torch', 'kubernetes', 'urllib3') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_all_of_the_handler_imports_nothing_but_torch_and_the_standard_library() -> None:
    code = (
        "import sys, torch.distributed.run; before = set(sys.modules);"
        "import rendezvous_handler.torchrun.handler, rendezvous_handler.operatorless.backend;"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "print(*sorted(new - sys.stdlib_module_names))"
    )
    said = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert said.split() == ["rendezvous_api", "rendezvous_handler"]


def test_both_names_are_registered() -> None:
    found = {point.name: point.load() for point in entry_points(group="torchrun.handlers")}
    assert found["kubernetes"] is found["kube-rendezvous"] is plugin.get_creator
    assert plugin.get_creator() is plugin.get_creator() is plugin.create_handler


def test_torch_has_registered_it() -> None:
    code = (
        "from torch.distributed.elastic.rendezvous import rendezvous_handler_registry as registry;"
        "print(sorted(registry._registry))"
    )
    assert "'kube-rendezvous', 'kubernetes'" in subprocess.check_output([sys.executable, "-c", code], text=True)


def test_events_never_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise TypeError("another torch")

    compat.record_event("name", "run", "message", failed=False, host="h")
    monkeypatch.setattr(compat, "construct_and_record_rdzv_event", refuse)
    compat.record_event("name", "run", "message", failed=True, host="h", rank=1)


@contextlib.contextmanager
def nothing_set_up() -> Iterator[logging.Logger]:
    """The package's logger in a program that has set up nothing: without pytest's own handlers."""
    logger, root = logging.getLogger("rendezvous_handler"), logging.getLogger()
    before = (logger.handlers[:], logger.level, logger.propagate, root.handlers[:])
    logger.handlers[:], root.handlers[:] = [], []
    try:
        yield logger
    finally:
        logger.handlers[:], logger.level, logger.propagate, root.handlers[:] = before


def test_messages_are_shown_unless_the_program_has_set_up_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    with nothing_set_up() as logger:
        logging.getLogger().addHandler(logging.NullHandler())
        show_messages()
        assert logger.handlers == []
        logging.getLogger().handlers[:] = []
        monkeypatch.setenv("LOGLEVEL", "debug")
        show_messages()
        show_messages()
        assert len(logger.handlers) == 1
        assert logger.level == logging.DEBUG
        logger.handlers[:] = []
        monkeypatch.setenv("LOGLEVEL", "nonsense")
        show_messages()
        assert logger.level == logging.INFO


@pytest.mark.parametrize("create", [plugin.create_handler, plugin.create_dynamic_handler])
def test_a_signal_that_comes_while_a_message_is_written_reaches_the_agent(
    create: Callable[[RendezvousParameters], RendezvousHandler], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stream(io.StringIO):
        error: Exception | None = SignalException("Process 1 got signal: 15", signal.SIGTERM)

        def write(self, text: str) -> int:
            error, self.error = self.error, None
            if error is not None:
                raise error
            return super().write(text)

    stream = Stream()
    monkeypatch.setattr(sys, "stderr", stream)
    with nothing_set_up() as logger:
        with pytest.raises(ValueError, match="no/legal/name"):
            create(RendezvousParameters("kubernetes", "no/legal/name", "none", 1, 1))
        with pytest.raises(SignalException):
            logger.warning("the rendezvous takes long")
        stream.error = OSError("the disk is full")
        logger.warning("training does not end over this")
