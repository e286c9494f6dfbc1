"""Waiting for something, with a word about what for."""

import time
from collections.abc import Callable

from rendezvous_controlplane import Report
from rendezvous_controlplane.progress_report import duration

from .layout import ClusterError

# What takes no longer than this is not worth a line.
_SILENT_SECONDS = 1.0


def wait_until(
    what: str,
    missing: Callable[[], str],
    report: Report,
    timeout: float,
    interval: float = 0.2,
    explain: Callable[[], str] = lambda: "",
) -> None:
    """Wait until `missing` returns nothing; until then it says what is not there yet.

    Args:
        what: what is waited for, such as `node-a to be Ready`.
        missing: asked again and again. It may raise ClusterError when waiting has become useless.
        report: shows what is waited for, and for how long already.
        timeout: in seconds.
        interval: between two questions, in seconds.
        explain: more for the error's message, such as the end of a log.

    Raises ClusterError, with what was missing at last, after `timeout`.
    """
    started = time.monotonic()
    while state := missing():
        waited = time.monotonic() - started
        if waited > timeout:
            raise ClusterError(f"waited {duration(waited)} in vain for {what}: {state}\n{explain()}".rstrip())
        if waited > _SILENT_SECONDS:
            report.progress(f"waiting for {what}: {state} ({duration(waited)})")
        time.sleep(interval)
