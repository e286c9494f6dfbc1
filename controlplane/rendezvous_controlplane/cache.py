"""The folder where the control plane's programs are kept, shared by every process of this user."""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .progress_report import Report, duration


def cache_dir() -> Path:
    """`$XDG_CACHE_HOME/kube-rendezvous`, or `~/.cache/kube-rendezvous`; it need not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME")
    # The XDG specification: a relative path there must be ignored.
    root = Path(base) if base and os.path.isabs(base) else Path.home() / ".cache"
    return root / "kube-rendezvous"


@contextlib.contextmanager
def exclusive(report: Report) -> Iterator[None]:
    """Hold the cache for this process alone, so that two do not build the same thing; reports that it waits."""
    folder = cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "a+", encoding="ascii") as file:
        started = time.monotonic()
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "?"
                waited = duration(time.monotonic() - started)
                report.progress(f"waiting for process {holder}, which is filling {folder}: {waited}")
                time.sleep(0.2)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def filled(name: str, witness: str, make: Callable[[Path], None], report: Report) -> Path:
    """A sub-folder of the cache, made by `make` (see `fill`) if the file `witness` is not in it."""
    folder = cache_dir() / name
    if not (folder / witness).exists():
        with exclusive(report):
            if not (folder / witness).exists():  # another process may have made it since
                fill(folder, make)
    return folder


def fill(folder: Path, make: Callable[[Path], None]) -> None:
    """Make `folder`, a sub-folder of the cache, whole or not at all. Call it while holding `exclusive`.

    make: is given an empty folder to fill; when it raises, nothing of it stays.
    """
    # Of a process that was killed: only this process holds the cache now.
    for left_over in folder.parent.glob(".partial-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder.parent) as temporary:
        new = Path(temporary) / folder.name
        new.mkdir()
        make(new)
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)
