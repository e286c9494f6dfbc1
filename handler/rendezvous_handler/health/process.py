"""The process that runs the checks: ``python -m rendezvous_handler.health.process DESCRIPTOR SECONDS CHECK ...``.

It writes a line of JSON to the descriptor before each check, and one at the end. So the agent knows which check has
hung, or has ended the process. What a check prints comes into the log of the agent. After a failure no other one runs.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import signal
import sys
import traceback

from rendezvous_handler.health.names import place_of

LONGER_SECONDS = 5
"""The agent ends this process in time. If the agent is gone, a clock of the kernel does."""


def main() -> None:
    """Run the checks that the command line names."""
    descriptor, seconds, *checks = sys.argv[1:]
    told = int(descriptor)
    os.set_inheritable(told, False)  # what a check starts must not keep the agent waiting
    signal.alarm(math.ceil(float(seconds)) + LONGER_SECONDS)
    for check in checks:
        _tell(told, check=check)
        found = outcome(check)
        if found is not None:
            _tell(told, found=f"{check}: {found}")
            break
    else:
        _tell(told, found=None)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # a thread that a check has left behind must not keep this process


def outcome(check: str) -> str | None:
    """What a check has found, as a text for people; None: nothing is wrong."""
    module, function = place_of(check)
    try:
        found: object = importlib.import_module(module)
        for part in function.split("."):
            found = getattr(found, part)
        answer = found()  # type: ignore[operator]
    except BaseException as error:  # noqa: BLE001 - SystemExit, too, is a way to fail
        traceback.print_exc()
        return f"{type(error).__name__}: {error}"
    if answer is None:
        return None
    if isinstance(answer, str):
        return answer or "it has failed, and does not say why"
    return f"it has returned {answer!r}; a check must return None, or a text, or raise"


def _tell(descriptor: int, **what: str | None) -> None:
    os.write(descriptor, (json.dumps(what) + "\n").encode())


if __name__ == "__main__":
    main()
