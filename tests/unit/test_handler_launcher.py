"""Which launcher of torch runs, and what ends its agent."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from torch.distributed.elastic.rendezvous import RendezvousClosedError, RendezvousError, RendezvousGracefulExitError

from rendezvous_handler.join.errors import ClosedError, JoinError, StateError, SucceededError
from rendezvous_handler.torchrun.errors import end_agent
from rendezvous_handler.torchrun.launcher import LauncherCall, under_run


def called_by(module: str, function: str, call: Callable[[], Any], name: str | None = None) -> Any:
    """What a call returns that is made from a function of that name in a module of that name.

    Args:
        module: as its spec has it.
        function: the name.
        call: made there.
        name: of the module, if it is run by ``python -m``.
    """
    spec = type("Spec", (), {"name": module})
    where: dict[str, Any] = {"__name__": name or module, "__spec__": spec}
    exec(f"def {function}(call):\n    return call()", where)
    return where[function](call)


@pytest.mark.parametrize(
    ("module", "function", "name", "expected"),
    [
        ("torch.distributed.run", "run", None, True),
        ("torch.distributed.run", "run", "__main__", True),
        ("torch.distributed.run", "parse_args", None, False),
        ("accelerate.commands.launch", "run", None, False),
    ],
)
def test_the_launchers_of_a_command_line(module: str, function: str, name: str | None, expected: bool) -> None:
    assert called_by(module, function, under_run, name) is expected
    assert not under_run()


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (SucceededError("done"), RendezvousGracefulExitError, 0),
        (ClosedError("closed"), RendezvousClosedError, None),
        (ClosedError("closed", 93), RendezvousClosedError, 93),
        (ClosedError("closed", 94), RendezvousClosedError, 94),
        (StateError("taken"), RendezvousError, None),
    ],
)
def test_exit_codes_are_those_of_a_command_line_and_errors_those_of_a_program(
    error: JoinError, kind: type[Exception], code: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(kind, match=str(error)):
        end_agent(error)
    if code is None:
        with pytest.raises(kind, match=str(error)):
            called_by("torch.distributed.run", "run", lambda: end_agent(error))
        return
    with pytest.raises(SystemExit) as ended:
        called_by("torch.distributed.run", "run", lambda: end_agent(error))
    assert ended.value.code == code
    assert str(error) in caplog.messages[-1]


LAUNCH_AGENT = ("torch.distributed.launcher.api", "launch_agent")


@pytest.mark.parametrize(("given", "expected"), [({"shutdown_timeout": 900}, 900), ({}, 30), (None, 30)])
def test_the_shutdown_timeout_is_that_of_the_launch(given: dict[str, int] | None, expected: int) -> None:
    config = type("LaunchConfig", (), given or {}) if given is not None else None
    where: dict[str, Any] = {"__name__": LAUNCH_AGENT[0], "__spec__": None}
    exec("def launch_agent(config, call):\n    return call()", where)
    assert where["launch_agent"](config, lambda: LauncherCall.current()).shutdown_timeout == expected


def test_a_call_of_the_launcher_ends_with_its_function() -> None:
    def work() -> tuple[LauncherCall, bool, list[bool]]:
        call = LauncherCall.current()
        assert call is not None
        elsewhere: list[bool] = []
        thread = threading.Thread(target=lambda: elsewhere.append(call.over))
        thread.start()
        thread.join()
        return call, call.over, elsewhere

    call, over_inside, elsewhere = called_by(*LAUNCH_AGENT, work)
    assert (over_inside, elsewhere) == (False, [False])
    assert call.over
    another, over_inside, _ = called_by(*LAUNCH_AGENT, work)
    assert (over_inside, call.over, another.over) == (False, True, True)


def test_a_call_in_a_thread_ends_with_it() -> None:
    found: list[LauncherCall | None] = []
    thread = threading.Thread(target=lambda: found.append(called_by(*LAUNCH_AGENT, LauncherCall.current)))
    thread.start()
    thread.join()
    assert found[0] is not None
    assert found[0].over


def test_without_the_launcher_a_handler_belongs_to_the_program() -> None:
    assert LauncherCall.current() is None
