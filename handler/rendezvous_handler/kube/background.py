"""What cannot be given a time limit: a look-up of a name, a credential plug-in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Background(Generic[T]):
    """A function that may hang, called in a thread of its own. May be used by several threads at once.

    While a call hangs no other one is begun: who asks then waits for that one.

    Where no thread can be started, who asks calls the function itself, and waits for as long as that takes: a pod may
    have too many, and Python 3.12 starts none while it ends, when an agent says its last word.
    """

    def __init__(self, function: Callable[[], T], name: str):
        """Call nothing yet.

        Args:
            function: to call.
            name: of the thread.
        """
        self._function = function
        self._name = name
        self._call: _Call[T] | None = None
        self._lock = threading.Lock()

    def within(self, seconds: float) -> T:
        """What the function returns, or raise what it raises.

        Raises:
            TimeoutError: it has not returned by then. It goes on.
        """
        with self._lock:
            call = self._call
            if call is None or call.done.is_set():
                call = _Call(self._function)
                try:
                    threading.Thread(target=call.run, name=self._name, daemon=True).start()
                    self._call = call  # only now: a call that no thread carries out would keep all others waiting
                except RuntimeError:
                    call.by_caller = True
        if call.by_caller:
            call.run()
        if not call.done.wait(seconds):
            raise TimeoutError(f"no answer within {seconds:.1f} s")
        if call.error is not None:
            raise call.error
        return call.result  # type: ignore[return-value]


class _Call(Generic[T]):
    def __init__(self, function: Callable[[], T]):
        self._function = function
        self.by_caller = False
        self.done = threading.Event()
        self.result: T | None = None
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.result = self._function()
        except Exception as error:  # noqa: BLE001 - raised again in the threads that wait
            self.error = error
        finally:
            self.done.set()
