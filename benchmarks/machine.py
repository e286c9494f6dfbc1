"""What the benchmarks run on, how noisy it is, and name lookups taken out of the way."""

import importlib.metadata
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.cluster import ROOT

_HOSTS = Path("/etc/hosts")
_MAPPED_LOOPBACK = "::ffff:127.0.0.1"
_WITHIN = "BENCHMARK_WITHIN_OWN_HOSTS"
_BIND_AND_RUN = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'

_PROBES = 40
PROBE_LOOPS = 200_000
"""About 4 ms of a processor."""


def without_name_lookups(module: str, arguments: Sequence[str]) -> str:
    """Run this program, a module, again with a hosts file that answers what TCPStore asks, unless that has been done.

    torch's TCPStore looks up the name of the address at each connect, in the IPv4-mapped form, so that a common hosts
    file does not answer; a name server that is slow makes every backend slow. The file is bound in a mount namespace,
    so nothing outside this program sees it. Returns how it went, in words, for the report.
    """
    if os.environ.get(_WITHIN):
        return os.environ[_WITHIN]
    lines = _HOSTS.read_text(encoding="utf-8")
    if any(line.split()[:1] == [_MAPPED_LOOPBACK] for line in lines.splitlines()):
        return "answered by the hosts file of the machine"
    own = Path(tempfile.mkdtemp(prefix="benchmark-")) / "hosts"
    own.write_text(f"{lines}\n{_MAPPED_LOOPBACK} localhost\n", encoding="utf-8")
    os.environ[_WITHIN] = "answered by a hosts file of the benchmark's own"
    for flags in (["--mount"], ["--mount", "--map-root-user"]):
        unshare = ["unshare", *flags, "sh", "-c"]
        if shutil.which("unshare") and subprocess.run([*unshare, _BIND_AND_RUN, "sh", own, "true"]).returncode == 0:
            program = [sys.executable, "-m", module, *arguments]
            os.execvp("unshare", [*unshare, _BIND_AND_RUN, "sh", str(own), *program])
    del os.environ[_WITHIN]
    return "left to the machine's name server, since no mount namespace could be made"


def noise() -> dict[str, float]:
    """How even this machine is: the same calculation many times, in milliseconds."""
    times = []
    for _ in range(_PROBES):
        began = time.perf_counter()
        sum(range(PROBE_LOOPS))
        times.append((time.perf_counter() - began) * 1000)
    ordered = sorted(times)
    return {
        "median_ms": round(statistics.median(ordered), 2),
        "tenth_ms": round(ordered[_PROBES // 10], 2),
        "ninetieth_ms": round(ordered[-_PROBES // 10], 2),
    }


def short() -> dict[str, Any]:
    """When, what and where, for each result."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": _output(["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]),
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
    }


def describe(apiserver: str, etcd: str, etcd_v2: str | None) -> dict[str, Any]:
    """Machine and versions, for the report."""
    packages = ("torch", "kubernetes", "kopf", "aiohttp")
    return {
        **short(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release().split("-")[0],
        "load_before": round(os.getloadavg()[0], 1),
        "noise_before": noise(),
        "versions": {
            "python": platform.python_version(),
            "kube-apiserver": apiserver,
            "etcd": etcd,
            "etcd-v2": etcd_v2 or "not found",
            **{name: importlib.metadata.version(name) for name in packages},
        },
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
