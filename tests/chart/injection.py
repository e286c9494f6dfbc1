"""Pods as the API server keeps them, after the injection policy."""

from collections.abc import Mapping
from typing import Any

from tests.chart.support import Json
from tests.support.api import Api

from rendezvous_controlplane import LocalControlPlane

TRAINER_ONLY = {"PYTHONPATH": "/opt/rdzv", "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": "25"}
"""What the container that trains gets beside the environment of all containers, with the default grace period."""

TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"


def created(
    control_plane: LocalControlPlane,
    namespace: str,
    spec: Json,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Json:
    """The pod as the API server keeps it."""
    metadata: Json = {
        "generateName": "train-",
        "labels": {"rdzv.dev/rendezvous": "train"} if labels is None else dict(labels),
    }
    if annotations is not None:
        metadata["annotations"] = dict(annotations)
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    return Api(control_plane, namespace).create(body)


def container(name: str = "train", **more: Any) -> Json:
    return {"name": name, "image": "none", **more}


def variables(pod: Json, index: int = 0) -> dict[str, str]:
    """All variables of a container."""
    listed = pod["spec"]["containers"][index].get("env", [])
    found = {variable["name"]: variable.get("value", "") for variable in listed}
    assert len(found) == len(listed), "a variable is there twice"
    return found


def environment(pod: Json, index: int = 0) -> dict[str, str]:
    """Those variables that every container gets, and the user's."""
    return {name: value for name, value in variables(pod, index).items() if name not in TRAINER_ONLY}


def parts(pod: Json) -> list[str]:
    """The parts of which the annotation says that they were done; empty: it is not there."""
    said = pod["metadata"].get("annotations", {}).get("rdzv.dev/injected", "")
    version, _, listed = said.partition(": ")
    assert (version == "") is (listed == "")
    return listed.split(", ") if listed else []


def mounts(pod: Json, index: int = 0) -> dict[str, str]:
    """Volume of each mounted path of a container."""
    return {mount["mountPath"]: mount["name"] for mount in pod["spec"]["containers"][index].get("volumeMounts", [])}
