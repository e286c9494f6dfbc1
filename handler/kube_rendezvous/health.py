"""Ready-made health checks: whether this node may train. Needs the standard library alone.

``--rdzv-conf health_check=gpus+disk`` runs some of these before each join, and ``health_check=MODULE:FUNCTION`` one of
your own. A check is a function without arguments. It returns None if nothing is wrong. Else it returns a text that says
what is, or raises. It runs in a process of its own, with a deadline, so it may also hang or crash::

    from kube_rendezvous import health

    def scratch():
        return health.disk(["/scratch"], free_gib=200)
"""

from __future__ import annotations

import importlib
import os
import tempfile
from collections.abc import Sequence
from typing import Any

__all__ = ["allreduce", "disk", "gpus", "nvhcd"]

_EXPECTED = "RDZV_HEALTH_GPUS"
_PATHS = "RDZV_HEALTH_DISK_PATHS"
_FREE = "RDZV_HEALTH_DISK_GIB"
_ENDPOINT = "RDZV_HEALTH_NVHCD"
_SOCKET = "unix:///var/run/nvhcd.sock"
_GIB = 1 << 30
_NUMBERS = 1 << 20
_NVHCD_SECONDS = 55.0


def gpus(expected: int | None = None, ecc_errors: int = 0) -> str | None:
    """All GPUs are there, and none of them has errors for which it must be reset or replaced.

    It asks the driver, by NVIDIA's library NVML. It needs no GPU memory. Without that library and without a number that
    is expected, nothing is checked. What a GPU or its driver does not know is not checked, either.

    Args:
        expected: how many must be there. By default as many as the environment says: ``RDZV_HEALTH_GPUS``, or the list
            in ``NVIDIA_VISIBLE_DEVICES``, which the device plug-in of Kubernetes sets.
        ecc_errors: so many uncorrected memory errors may a GPU have had since its driver was loaded.

    Returns:
        What is wrong: with their number, the memory of a GPU, or that the driver asks for a reset or a reboot.

    Raises:
        ValueError: ``RDZV_HEALTH_GPUS`` is no number.
    """
    from rendezvous_handler.health import nvml

    wanted = expected if expected is not None else _expected()
    try:
        library = nvml.Nvml.load()
    except OSError as error:
        return f"{wanted} GPUs are expected, and the driver cannot be asked: {error}" if wanted else None
    return nvml.problem(library, wanted, ecc_errors)


def disk(paths: Sequence[str] | None = None, free_gib: float | None = None) -> str | None:
    """Each folder can be written, and has so much space left.

    It writes a small file there, waits until the disk has it, and deletes it.

    Args:
        paths: the folders. By default those in ``RDZV_HEALTH_DISK_PATHS``, with ``:`` between two of them; without that
            the folder for temporary files.
        free_gib: so many GiB must be free in each. By default ``RDZV_HEALTH_DISK_GIB``, and without that 1.

    Raises:
        ValueError: ``RDZV_HEALTH_DISK_GIB`` is no number.
    """
    folders = paths if paths is not None else os.environ.get(_PATHS, "").split(os.pathsep)
    least = free_gib if free_gib is not None else float(os.environ.get(_FREE) or 1)
    for folder in [folder for folder in folders if folder] or [tempfile.gettempdir()]:
        try:
            with tempfile.NamedTemporaryFile(prefix=".rdzv-health-", dir=folder) as file:
                file.write(b"rdzv")
                file.flush()
                os.fsync(file.fileno())
            found = os.statvfs(folder)
        except OSError as error:
            return f"{folder} cannot be written: {error.strerror or error}"
        free = found.f_bavail * found.f_frsize / _GIB
        if free < least:
            return f"{folder} has {free:.1f} GiB free, and needs {least:g}"
    return None


def allreduce() -> str | None:
    """All GPUs of this node can compute, and add up numbers together by NCCL, with the right result.

    It needs torch, some hundred MiB of memory on each GPU, and seconds: mostly for the import of torch and for NCCL to
    begin. Its process then ends and frees all of that. On a node without GPUs nothing is checked.
    """
    torch: Any = importlib.import_module("torch")
    count = torch.cuda.device_count()
    tensors = [torch.full((_NUMBERS,), float(number + 1), device=f"cuda:{number}") for number in range(count)]
    if count > 1:
        torch.cuda.nccl.all_reduce(tensors)
    expected = float(count * (count + 1) // 2)
    for number, tensor in enumerate(tensors):
        wrong = int((tensor != expected).sum().item())
        if wrong:
            return f"GPU {number} has {wrong} of {_NUMBERS} wrong numbers after an all-reduce of {count} GPUs"
    return None


def nvhcd(endpoint: str | None = None) -> str | None:
    """The node health check daemon of NVIDIA's resiliency extension (NVRx) finds nothing wrong.

    It is asked as NVRx does: gRPC over a Unix socket, with the argument ``--no-slurm``. Its script must succeed, and
    print JSON in which ``fail_count`` is 0. Where the socket is missing, or the daemon does not answer, nothing is
    checked. It needs the package ``grpcio`` in the image: without it, the check fails where there is a socket.

    Args:
        endpoint: ``unix://PATH``, or a path. By default ``RDZV_HEALTH_NVHCD``, and without that
            ``unix:///var/run/nvhcd.sock``.

    Raises:
        ValueError: it is no Unix socket.
    """
    from rendezvous_handler.health.nvhcd import problem

    return problem(endpoint or os.environ.get(_ENDPOINT) or _SOCKET, _NVHCD_SECONDS)


def _expected() -> int | None:
    given = os.environ.get(_EXPECTED)
    if given:
        try:
            return int(given)
        except ValueError:
            raise ValueError(f"{_EXPECTED}={given!r} is no number") from None
    listed = [part.strip() for part in os.environ.get("NVIDIA_VISIBLE_DEVICES", "").split(",")]
    # Of a part of a GPU (MIG-...), NVML shows the whole; `all`, `none` and `void` say no number.
    known = all(part.isdecimal() or part.startswith("GPU-") for part in listed)
    return len(listed) if known else None
