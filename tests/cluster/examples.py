"""The files of examples/ as this cluster can run them: with the image, the script and the GPUs that are here."""

from collections.abc import Sequence
from pathlib import Path

import yaml
from tests.cluster.manifests import Manifest, pod_template
from tests.cluster.release import ROOT

EXAMPLES = ROOT / "examples"


def documents(path: Path) -> list[Manifest]:
    """The objects in a file."""
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def pods_of(document: Manifest) -> list[Manifest]:
    """The templates of the pods that an object makes, or itself if it is a pod; none if it makes no pods."""
    match document["kind"]:
        case "Pod":
            return [document]
        case "Job" | "StatefulSet" | "Deployment":
            return [document["spec"]["template"]]
        case "JobSet":
            return [job["template"]["spec"]["template"] for job in document["spec"]["replicatedJobs"]]
        case _:
            return []


def command_of(pod: Manifest) -> list[str]:
    """The command of the only container, with its arguments."""
    (container,) = pod["spec"]["containers"]
    return [*container.get("command", []), *container.get("args", [])]


def trains(document: Manifest) -> bool:
    """Whether the pods of an object, if it has any, run torchrun."""
    return any(command_of(pod)[:1] == ["torchrun"] for pod in pods_of(document))


def adapt(document: Manifest, shared: Path, script: Sequence[str] = (), more: Sequence[str] = ()) -> Manifest:
    """Let the pods of an object use this machine's programs, with one worker each; changes it in place.

    Args:
        document: from `documents`.
        shared: a folder that the pods see as /data.
        script: with its arguments, instead of the one that is there; empty: that one.
        more: further arguments of the script.
    """
    for pod in pods_of(document):
        spec, ours = pod["spec"], pod_template("", [], shared)["spec"]
        command = [word.replace("--nproc-per-node=gpu", "--nproc-per-node=1") for word in command_of(pod)]
        if script:
            assert command[-1].endswith(".py"), f"the script is the last word of {command}"
            command[-1:] = script
        (container,), (our_container,) = spec["containers"], ours["containers"]
        container.pop("resources", None)
        container |= {"command": [*command, *more], "args": [], "imagePullPolicy": "Never"}
        container["image"] = our_container["image"]
        for field in ("env", "volumeMounts"):
            container[field] = [*container.get(field, []), *our_container[field]]
        spec["volumes"] = [*spec.get("volumes", []), *ours["volumes"]]
    return document


def host_volume(name: str, claim: Manifest, namespace: str, folder: Path) -> Manifest:
    """A PersistentVolume for a claim: a folder of this machine, which all nodes share."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "accessModes": claim["spec"]["accessModes"],
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": namespace, "name": claim["metadata"]["name"]},
            "hostPath": {"path": str(folder), "type": "Directory"},
        },
    }


def only(documents: Sequence[Manifest], kind: str) -> Manifest:
    """The only object of a kind."""
    (found,) = (document for document in documents if document["kind"] == kind)
    return found
