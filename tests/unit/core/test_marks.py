"""Rule "bad machines": which marks a node has."""

from dataclasses import replace
from typing import Any

import pytest
from tests.support.specs import spec_of
from tests.unit.core.builders import NAME, participant

from rendezvous_api.meta import ObjectMeta
from rendezvous_api.reasons import PassedOverReason
from rendezvous_api.rendezvous import Rendezvous
from rendezvous_api.rendezvous_spec import Exclude
from rendezvous_operator.core import marks
from rendezvous_operator.core.nodes import see_node
from rendezvous_operator.core.run_of_node import KnownRuns
from rendezvous_operator.core.world import Machine, Pod, SeenParticipant, Taint, World


def told(machine: Machine | None, pod: Pod | None = None, machine_name: str | None = "gpu-7", **exclude: Any) -> str:
    """The marks of a node on that machine, in words."""
    seen = participant("a", pod="a")
    seen = replace(seen, spec=replace(seen.spec, node_name=machine_name))
    rendezvous = Rendezvous(ObjectMeta(NAME), spec_of(1, 1, exclude=Exclude(**exclude)))
    machines = None if machine is None else {"gpu-7": machine}
    world = World(rendezvous, pods={} if pod is None else {pod.uid: pod}, machines=machines)
    node = see_node(world, "a", SeenParticipant(seen, 0.0), KnownRuns.of(rendezvous.status))
    found = marks.of_waiting(world, [node])
    assert [*found] == (["a"] if found else []), "a node without a mark is not listed"
    return "".join(f"{mark.reason}: {marks.in_words([mark])}\n" for mark in found.get("a", ()))


def labelled(**labels: str) -> Machine:
    return Machine(labels={name.replace("__", "/").replace("_", "-"): value for name, value in labels.items()})


def tainted(*taint: str) -> Machine:
    return Machine(taints=(Taint(*taint),))


SENTINEL = {"dgxc.nvidia.com/nvsentinel-state": "quarantined"}


@pytest.mark.parametrize("state", ["quarantined", "draining", "drain-succeeded", "drain-failed", "remediating", "new"])
def test_nvsentinel_marks_a_machine_by_its_label_whatever_its_value(state: str) -> None:
    machine = Machine(labels={"zone": "a", "dgxc.nvidia.com/nvsentinel-state": state})
    assert told(machine) == f"Labelled: its machine gpu-7 has the label dgxc.nvidia.com/nvsentinel-state={state}\n"


@pytest.mark.parametrize(
    ("taint", "is_mark"),
    [
        (("AggregatedNodeHealth", "False", "NoSchedule"), True),
        (("AggregatedNodeHealth", "True", "NoSchedule"), False),
        (("AggregatedNodeHealth", "False", "PreferNoSchedule"), False),
        (("readiness.k8s.io/acme.com/network-unavailable", "pending", "NoSchedule"), True),
        (("readiness.k8s.io/gpu", "", "NoExecute"), True),
        (("readiness.k8s.io.example.com/gpu", "", "NoSchedule"), False),
        (("nvidia.com/gpu", "present", "NoSchedule"), False),
    ],
)
def test_taints_that_are_known(taint: tuple[str, str, str], is_mark: bool) -> None:
    key, value, effect = taint
    text = f"{key}={value}:{effect}" if value else f"{key}:{effect}"
    assert told(tainted(*taint)) == (f"Tainted: its machine gpu-7 has the taint {text}\n" if is_mark else "")


@pytest.mark.parametrize("condition", marks.KNOWN_CONDITIONS)
@pytest.mark.parametrize("status", ["True", "False", "Unknown"])
def test_the_node_problem_detector_marks_a_machine_by_a_condition_that_is_true(condition: str, status: str) -> None:
    machine = Machine(conditions={"Ready": "True", condition: status})
    said = f"Condition: its machine gpu-7 has the condition {condition}=True\n"
    assert told(machine) == (said if status == "True" else "")


def test_what_every_machine_says_is_no_mark() -> None:
    conditions = {"Ready": "True", "MemoryPressure": "False", "DiskPressure": "True", "NetworkUnavailable": "False"}
    assert told(Machine(conditions=conditions, labels={"kubernetes.io/hostname": "gpu-7"})) == ""
    assert told(Machine(problem="is NotReady")) == "", "it says nothing of an agent that is heard"


def test_a_cordon_is_a_mark_unless_the_spec_says_otherwise() -> None:
    assert told(Machine(cordoned=True)) == "Cordoned: its machine gpu-7 is cordoned\n"
    assert told(Machine(cordoned=True), cordoned=False) == ""
    assert told(Machine(), cordoned=True) == ""
    assert told(Machine(labels=SENTINEL), cordoned=False) != ""


@pytest.mark.parametrize(("value", "is_mark"), [("true", True), ("since-monday", True), ("", True), ("false", False)])
def test_people_keep_a_machine_or_a_pod_out_by_a_label(value: str, is_mark: bool) -> None:
    machine = Machine(labels={"rdzv.dev/exclude": value})
    assert (told(machine) == "Labelled: its machine gpu-7 has the label rdzv.dev/exclude\n") == is_mark
    assert marks.is_excluded({"rdzv.dev/exclude": value}) == is_mark
    pod = Pod("uid-of-a", "a", labels={"rdzv.dev/exclude": value})
    assert (told(None, pod) == "Labelled: its pod has the label rdzv.dev/exclude\n") == is_mark


def test_a_device_of_the_pod_that_is_unhealthy_is_a_mark() -> None:
    pod = Pod("uid-of-a", "a", unhealthy_device="nvidia.com/gpu GPU-7")
    assert told(None, pod) == "UnhealthyDevice: its pod has an Unhealthy device (nvidia.com/gpu GPU-7)\n"
    assert told(None, Pod("uid-of-a", "a")) == ""


def test_none_of_the_known_marks_counts_if_the_spec_says_so() -> None:
    machine = Machine(
        labels={**SENTINEL, "rdzv.dev/exclude": "true"},
        taints=(Taint("AggregatedNodeHealth", "False", "NoSchedule"),),
        conditions={"KernelDeadlock": "True"},
    )
    pod = Pod("uid-of-a", "a", labels={"rdzv.dev/exclude": "true"}, unhealthy_device="nvidia.com/gpu GPU-7")
    assert told(machine, pod).count("\n") == 6
    assert told(machine, pod, known_marks=False) == ""


@pytest.mark.parametrize(
    ("pattern", "is_mark"),
    [
        ("example.com/sick", True),
        ("example.com/sick=gpu", True),
        ("example.com/sick=", False),
        ("example.com/sick=nic", False),
        ("example.com/*", True),
        ("example.com/*=gpu", True),
        ("example.com/*=nic", False),
        ("example.com/s", False),
        ("*", True),
    ],
)
def test_labels_and_taints_of_the_spec(pattern: str, is_mark: bool) -> None:
    labels = {"example.com/sick": "gpu"}
    assert bool(told(Machine(labels=labels), labels=(pattern,))) == is_mark
    assert bool(told(tainted("example.com/sick", "gpu", "NoSchedule"), taints=(pattern,))) == is_mark
    assert bool(told(tainted("example.com/sick", "gpu", "NoSchedule"), taints=(f"{pattern}:NoSchedule",))) == is_mark
    assert not told(tainted("example.com/sick", "gpu", "NoSchedule"), taints=(f"{pattern}:NoExecute",))


@pytest.mark.parametrize(
    ("pattern", "marked_by"),
    [("Sick", ["True"]), ("Sick=False", ["False"]), ("Sick=Unknown", ["Unknown"]), ("Si*", ["True"]), ("Si", [])],
)
def test_conditions_of_the_spec(pattern: str, marked_by: list[str]) -> None:
    found = [
        status
        for status in ("True", "False", "Unknown")
        if told(Machine(conditions={"Sick": status}), conditions=(pattern,))
    ]
    assert found == marked_by


def test_a_machine_that_is_named_need_not_be_read() -> None:
    said = "Named: its machine gpu-7 is one of spec.nodes.exclude.names\n"
    assert told(None, names=("gpu-6", "gpu-7")) == said
    assert told(Machine(), names=("gpu-7",)) == said
    assert told(None, names=("gpu-70",)) == ""
    assert told(None, machine_name=None, names=("gpu-7",)) == ""


def test_what_is_not_known_is_no_mark() -> None:
    assert told(None) == told(Machine()) == told(Machine(cordoned=True), machine_name=None) == ""


def test_all_marks_are_told_each_once() -> None:
    machine = Machine(labels={**SENTINEL, "zone": "a"}, cordoned=True)
    pod = Pod("uid-of-a", "a", labels={"rdzv.dev/exclude": "true"}, unhealthy_device="gpu 1")
    seen = told(machine, pod, labels=("zone", "zone=a"))
    assert [line.partition(":")[0] for line in seen.splitlines()] == [
        "Labelled", "Labelled", "Cordoned", "Labelled", "UnhealthyDevice"
    ]  # fmt: skip
    found = (
        marks.Mark(PassedOverReason.CORDONED, "its machine m", "is cordoned"),
        marks.Mark(PassedOverReason.LABELLED, "its machine m", "has the label a=b"),
        marks.Mark(PassedOverReason.LABELLED, "its machine m", "has the label a=b"),
        marks.Mark(PassedOverReason.LABELLED, "its pod", "has the label c"),
    )
    assert marks.in_words(found) == "its machine m is cordoned, has the label a=b; its pod has the label c"


@pytest.mark.parametrize(
    ("exclude", "needed"),
    [
        ({}, True),
        ({"known_marks": False}, True),
        ({"known_marks": False, "cordoned": False}, False),
        ({"known_marks": False, "cordoned": False, "names": ("gpu-7",)}, False),
        ({"known_marks": False, "cordoned": False, "taints": ("a",)}, True),
        ({"known_marks": False, "cordoned": False, "labels": ("a",)}, True),
        ({"known_marks": False, "cordoned": False, "conditions": ("a",)}, True),
        ({"cordoned": False}, True),
    ],
)
def test_machines_are_needed_for_what_is_in_them(exclude: dict[str, Any], needed: bool) -> None:
    assert marks.need_machines(spec_of(1, 1, exclude=Exclude(**exclude))) == needed
