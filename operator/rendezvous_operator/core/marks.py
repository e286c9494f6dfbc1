"""The marks of one node: what is known of its machine and its pod that speaks against it (rule "bad machines").

A kind of mark is a function, and a line in `OF_MACHINE` or `OF_POD`. What cannot be read is no mark.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from rendezvous_api import names
from rendezvous_api.reasons import PassedOverReason
from rendezvous_api.rendezvous_spec import Exclude, RendezvousSpec
from rendezvous_operator.core.nodes import Node
from rendezvous_operator.core.world import Machine, Pod, World

KNOWN_TAINTS = ("AggregatedNodeHealth=False:NoSchedule", "readiness.k8s.io/*")
"""Of NVSentinel, and of the Node Readiness Controller."""
KNOWN_LABELS = ("dgxc.nvidia.com/nvsentinel-state",)
"""Of NVSentinel, with any value: it removes the label of a machine that is well again."""
KNOWN_CONDITIONS = (
    "KernelDeadlock",
    "ReadonlyFilesystem",
    "XfsShutdown",
    "CperHardwareErrorFatal",
    "CorruptDockerOverlay2",
    "FrequentKubeletRestart",
    "FrequentDockerRestart",
    "FrequentContainerdRestart",
    "FrequentUnregisterNetDevice",
    "KubeletUnhealthy",
    "ContainerRuntimeUnhealthy",
)
"""Of the node-problem-detector, in the files that come with it. True means that the machine has this problem."""


class Mark(NamedTuple):
    """One mark of a node."""

    reason: PassedOverReason
    of: str
    """What has it, for people: ``its machine gpu-7``."""
    what: str
    """``is cordoned``."""


class _Patterns:
    """Texts ``KEY``, ``KEY=VALUE``, ``BEGINNING*`` or ``BEGINNING*=VALUE``, ready to be compared with many machines."""

    def __init__(self, texts: Iterable[str], usual: str | None = None) -> None:
        """Read them.

        Args:
            texts: see above.
            usual: the value where a text has none; None: any value.
        """
        self._exact: dict[str, set[str | None]] = {}
        self._beginnings: list[tuple[str, str | None]] = []
        for text in texts:
            key, given, value = text.partition("=")
            wanted = value if given else usual
            if key.endswith("*"):
                self._beginnings.append((key[:-1], wanted))
            else:
                self._exact.setdefault(key, set()).add(wanted)

    def among(self, found: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Those of these keys and values that are meant."""
        if self._beginnings or not self._exact.keys().isdisjoint(found):
            yield from ((key, value) for key, value in found.items() if self.mean(key, value))

    def mean(self, key: str, value: str) -> bool:
        """Whether this key with this value is meant."""
        values = self._exact.get(key, ())
        if None in values or value in values:
            return True
        return any(key.startswith(beginning) and wanted in (None, value) for beginning, wanted in self._beginnings)


class Marks:
    """What a spec calls a mark, ready to be compared with many nodes."""

    def __init__(self, exclude: Exclude) -> None:
        """Read the spec."""
        known = exclude.known_marks
        self.known = known
        self.cordoned = exclude.cordoned
        self.names = frozenset(exclude.names)
        self.labels = _Patterns((*(KNOWN_LABELS if known else ()), *exclude.labels))
        self.conditions = _Patterns((*(KNOWN_CONDITIONS if known else ()), *exclude.conditions), usual="True")
        taints = [text.partition(":") for text in (*(KNOWN_TAINTS if known else ()), *exclude.taints)]
        self.taints = [(_Patterns([head]), effect) for head, _, effect in taints]


MarkOfMachine = Callable[[Marks, Machine], Iterator[tuple[PassedOverReason, str]]]
MarkOfPod = Callable[[Pod], Iterator[tuple[PassedOverReason, str]]]


def _labelled(marks: Marks, machine: Machine) -> Iterator[tuple[PassedOverReason, str]]:
    for key, value in marks.labels.among(machine.labels):
        yield PassedOverReason.LABELLED, f"has the label {key}={value}"


def _machine_excluded(marks: Marks, machine: Machine) -> Iterator[tuple[PassedOverReason, str]]:
    if marks.known and is_excluded(machine.labels):
        yield PassedOverReason.LABELLED, f"has the label {names.LABEL_EXCLUDE}"


def _tainted(marks: Marks, machine: Machine) -> Iterator[tuple[PassedOverReason, str]]:
    for taint in machine.taints:
        if any(effect in ("", taint.effect) and wanted.mean(taint.key, taint.value) for wanted, effect in marks.taints):
            value = f"={taint.value}" if taint.value else ""
            yield PassedOverReason.TAINTED, f"has the taint {taint.key}{value}:{taint.effect}"


def _has_condition(marks: Marks, machine: Machine) -> Iterator[tuple[PassedOverReason, str]]:
    for kind, status in marks.conditions.among(machine.conditions):
        yield PassedOverReason.CONDITION, f"has the condition {kind}={status}"


def _cordoned(marks: Marks, machine: Machine) -> Iterator[tuple[PassedOverReason, str]]:
    if marks.cordoned and machine.cordoned:
        yield PassedOverReason.CORDONED, "is cordoned"


OF_MACHINE: tuple[MarkOfMachine, ...] = (_labelled, _machine_excluded, _tainted, _has_condition, _cordoned)
"""All of them count; the first one that a machine has gives the reason."""


def _pod_excluded(pod: Pod) -> Iterator[tuple[PassedOverReason, str]]:
    if is_excluded(pod.labels):
        yield PassedOverReason.LABELLED, f"has the label {names.LABEL_EXCLUDE}"


def _has_unhealthy_device(pod: Pod) -> Iterator[tuple[PassedOverReason, str]]:
    if pod.unhealthy_device is not None:
        yield PassedOverReason.UNHEALTHY_DEVICE, f"has an Unhealthy device ({pod.unhealthy_device})"


OF_POD: tuple[MarkOfPod, ...] = (_pod_excluded, _has_unhealthy_device)
"""The same of a pod."""


def of_waiting(world: World, waiting: Iterable[Node]) -> Mapping[str, tuple[Mark, ...]]:
    """The marks of those of these nodes that have any, by name."""
    marks, machines = _read(world.rendezvous.spec.nodes.exclude), world.machines or {}
    found = {}
    for node in waiting:
        name = node.object.spec.node_name
        if of_node := _of_node(marks, name, machines.get(name) if name is not None else None, node.pod):
            found[node.name] = of_node
    return found


def _of_node(marks: Marks, name: str | None, machine: Machine | None, pod: Pod | None) -> tuple[Mark, ...]:
    found = list[Mark]()
    if name in marks.names:
        found.append(Mark(PassedOverReason.NAMED, f"its machine {name}", "is one of spec.nodes.exclude.names"))
    if machine is not None:
        for of_machine in OF_MACHINE:
            for reason, what in of_machine(marks, machine):
                found.append(Mark(reason, f"its machine {name}", what))
    if pod is not None and marks.known:
        for of_pod in OF_POD:
            for reason, what in of_pod(pod):
                found.append(Mark(reason, "its pod", what))
    return tuple(found)


_read = lru_cache(maxsize=1024)(Marks)


def need_machines(spec: RendezvousSpec) -> bool:
    """Whether something of a machine, beside its name, can be a mark."""
    exclude = spec.nodes.exclude
    return bool(exclude.cordoned or exclude.known_marks or exclude.taints or exclude.labels or exclude.conditions)


def in_words(marks: Iterable[Mark]) -> str:
    """``its machine gpu-7 is cordoned, has the label a=b; its pod has ...``."""
    told: dict[str, list[str]] = {}
    for mark in marks:
        told.setdefault(mark.of, []).append(mark.what)
    return "; ".join(f"{of} {', '.join(dict.fromkeys(what))}" for of, what in told.items())


def is_excluded(labels: Mapping[str, str]) -> bool:
    """Whether somebody has set the label by which people keep a machine or a pod out."""
    return labels.get(names.LABEL_EXCLUDE, "false") != "false"
