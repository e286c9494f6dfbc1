"""What a group costs the cluster, by the API server's own count and the kernel's."""

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.cluster import Cluster, Samples

from rendezvous_api import names

_PLURALS = (names.RENDEZVOUS_PLURAL, names.PARTICIPANT_PLURAL, "events", "pods")
_REST_SECONDS = 2.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Costs:
    """Of one phase."""

    seconds: float = 0.0
    requests: dict[str, float] = field(default_factory=dict)
    """By verb and resource, of all members and of the operator."""
    megabytes_in: float = 0.0
    """Bodies of requests."""
    watch_events: dict[str, float] = field(default_factory=dict)
    """Sent, by resource."""
    watch_megabytes: float = 0.0
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    """By server."""
    memory_megabytes: dict[str, float] = field(default_factory=dict)
    """Resident at the end, by server."""


@contextmanager
def counted(cluster: Cluster, into: Costs) -> Iterator[None]:
    """Count what happens inside, and for some seconds after it until all has come to rest."""
    processes = cluster.processes()
    began = time.monotonic()
    cpu = {name: cpu_seconds(pid) for name, pid in processes.items()}
    before = cluster.metrics()
    yield
    time.sleep(_REST_SECONDS)
    _add(into, cluster.metrics(), before)
    into.seconds = time.monotonic() - began
    into.cpu_seconds = {name: round(cpu_seconds(pid) - cpu[name], 2) for name, pid in processes.items()}
    into.memory_megabytes = {name: round(memory_megabytes(pid)) for name, pid in processes.items()}


def _add(into: Costs, after: Samples, before: Samples) -> None:
    requests: Counter[str] = Counter()
    events: Counter[str] = Counter()
    for (name, labels), value in after.items():
        grown = value - before[name, labels]
        label = dict(labels)
        if grown <= 0 or label.get("resource") not in _PLURALS:
            continue
        if name == "apiserver_request_total":
            requests[_request(label)] += grown
        elif name == "apiserver_request_body_size_bytes_sum":
            into.megabytes_in += grown / 1e6
        elif name == "apiserver_watch_events_total":
            events[label["resource"]] += grown
        elif name == "apiserver_watch_events_sizes_sum":
            into.watch_megabytes += grown / 1e6
    into.requests = dict(sorted(requests.items()))
    into.watch_events = dict(sorted(events.items()))
    into.megabytes_in, into.watch_megabytes = round(into.megabytes_in, 3), round(into.watch_megabytes, 3)


def _request(label: Mapping[str, str]) -> str:
    subresource = f"/{label['subresource']}" if label.get("subresource") else ""
    refused = "" if label.get("code", "200").startswith("2") else f" ({label['code']})"
    return f"{label['verb']} {label['resource']}{subresource}{refused}"


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_megabytes(pid: int) -> float:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
