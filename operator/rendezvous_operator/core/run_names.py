"""The names of runs whose agents have no ``--rdzv-id``: the workload, and which of its launches it is.

``5f0c…`` is the run of the first torchrun in each pod of the Job with that UID, ``5f0c…/2`` that of the second one.
Agents without a workload all belong to ``none``, ``none/2`` and so on, one after the other (rule "launches").
An ``--rdzv-id`` is the name of its run. But the run of ``exp/2`` is ``exp/2/``: no launch of a workload ``exp``.
"""

import re
from collections.abc import Iterable

from rendezvous_api import names
from rendezvous_api.reasons import ClosedReason
from rendezvous_api.rendezvous import ClosedRun

_LIKE_A_LAUNCH = re.compile(r"[^/]{1,63}/[1-9]\d{0,8}/*")
"""Workloads are labels and UIDs, so they have no slash and are not longer. ``exp/2`` and ``exp/2/`` stay two ids."""
_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def name_of(workload: str, launch: int) -> str:
    """The run of one launch of a workload; the first one is 0."""
    return f"{workload}/{launch + 1}" if launch else workload


def name_of_id(run_id: str) -> str:
    """The run of an ``--rdzv-id``: the id, with a slash after what could be the name of a second or later launch."""
    return f"{run_id}/" if _LIKE_A_LAUNCH.fullmatch(run_id) else run_id


def launch_of(run_id: str | None, workload: str | None) -> int | None:
    """Which launch of that workload the run is; None: it belongs to no such workload."""
    if run_id is None or workload is None or not run_id.startswith(workload):
        return None
    if run_id == workload:
        return 0
    number = run_id[len(workload) :]
    return int(number[1:]) - 1 if re.fullmatch(r"/[1-9]\d{0,8}", number) else None


def workload_of(run_id: str) -> str:
    """The workload of a run, if it is a launch of one."""
    return run_id.partition("/")[0]


def last_launch(workload: str | None, run_ids: Iterable[str]) -> int | None:
    """The last launch of a workload among these runs; None: there is none."""
    found = (launch_of(run_id, workload) for run_id in run_ids)
    return max((launch for launch in found if launch is not None), default=None)


def remembered(closed_runs: Iterable[ClosedRun]) -> tuple[ClosedRun, ...]:
    """As many of the closed runs as the status has room for; the newest one is the last.

    An abandoned run may come back, so it is forgotten first, unless the next launch without a workload follows on it.
    """
    kept = list(closed_runs)
    while len(kept) > names.MAX_CLOSED_RUNS:
        kept.remove(next((run for run in kept[:-1] if _may_be_forgotten(run)), kept[0]))
    return tuple(kept)


def _may_be_forgotten(run: ClosedRun) -> bool:
    return run.reason is ClosedReason.ABANDONED and not launch_of(run.run_id, names.UNNAMED_RUN)


def without_earlier(closed_runs: Iterable[ClosedRun], closes: ClosedRun) -> tuple[ClosedRun, ...]:
    """The closed runs without those that need no place of their own once this run is closed, too.

    These are earlier launches of its workload, if all have ended with success: who comes late for one of them is
    answered by the last one. Only UIDs are certainly no ``--rdzv-id`` of a user.
    """
    workload = workload_of(closes.run_id)
    may_be_an_id = workload != names.UNNAMED_RUN and not _UID.fullmatch(workload)
    if may_be_an_id or closes.reason is not ClosedReason.RUN_SUCCEEDED:
        return tuple(closed_runs)
    return tuple(
        run for run in closed_runs if run.reason is not closes.reason or launch_of(run.run_id, workload) is None
    )
