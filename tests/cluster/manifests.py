"""The objects that the tests create, as people write them: a Rendezvous, and pods of each kind of workload.

The image of the pods is empty; they mount this machine's programs, this repository with its virtual environment, and at
/data a folder that all pods of a test share, whatever their node.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from testcluster import HOST_IMAGE, host_volume_mounts, host_volumes
from tests.support.specs import in_groups

from rendezvous_api import names

SERVICE_ACCOUNT = "rendezvous-agent"
"""What examples/agent-rbac.yaml, and the chart for `workers.namespaces`, make in a namespace."""

TRAIN = Path(__file__).with_name("train.py")
DATA = "/data"

NOT_INJECTED = {"rdzv.dev/inject": "false"}

Manifest = dict[str, Any]


def rendezvous(name: str, min_nodes: int, max_nodes: int, **spec: Any) -> Manifest:
    """A Rendezvous. Lost members are replaced, and others taken in, soon, unless the test says otherwise."""
    short = {"lastCallSeconds": 120, "replacementSeconds": 20, "scaleUpIntervalSeconds": 0}
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.RENDEZVOUS_KIND,
        "metadata": {"name": name},
        "spec": in_groups({"minNodes": min_nodes, "maxNodes": max_nodes, **short, **spec}),
    }


def torchrun(endpoint: str, nnodes: str, *options: str, script: Sequence[str] = (str(TRAIN), DATA)) -> list[str]:
    """The command of a pod: torchrun, further options of it, and the script with its arguments."""
    return [
        "torchrun",
        "--rdzv-backend=kubernetes",
        f"--rdzv-endpoint={endpoint}",
        f"--nnodes={nnodes}",
        "--nproc-per-node=1",
        "--max-restarts=1000",
        *options,
        *script,
    ]


def pod_template(
    rendezvous_name: str,
    command: Sequence[str],
    shared: Path,
    *,
    restart_policy: str = "Never",
    toleration_seconds: int | None = None,
    node: str | None = None,
    labels: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    grace_seconds: int = 30,
    share_processes: bool = False,
    host_network: bool = False,
    inject: bool = False,
) -> Manifest:
    """Metadata and spec of a pod.

    Args:
        rendezvous_name: goes into the label by which the operator knows the pod; empty: no label.
        command: of its only container.
        shared: a folder of this machine, which the pod sees as /data.
        restart_policy: of the pod.
        toleration_seconds: how long it is left on a node that is NotReady or unreachable; None: Kubernetes' 300.
        node: put it on this node, past the scheduler; None: the scheduler spreads the pods over the nodes.
        labels: further labels.
        environment: further variables.
        grace_seconds: between SIGTERM and SIGKILL.
        share_processes: between its containers, so that torchrun is not process 1.
        host_network: it has the network of its node, and no address of its own.
        inject: let the chart's policy change the pod. The image and the command have all that it would bring.
    """
    known = {names.LABEL_RENDEZVOUS: rendezvous_name, **({} if inject else NOT_INJECTED)} if rendezvous_name else {}
    spec: Manifest = {
        "restartPolicy": restart_policy,
        "serviceAccountName": SERVICE_ACCOUNT,
        "terminationGracePeriodSeconds": grace_seconds,
        "shareProcessNamespace": share_processes,
        "hostNetwork": host_network,
        "enableServiceLinks": False,
        "containers": [container(command, environment)],
        "volumes": [*host_volumes(), {"name": "data", "hostPath": {"path": str(shared), "type": "Directory"}}],
        "topologySpreadConstraints": [
            {
                "topologyKey": "kubernetes.io/hostname",
                "maxSkew": 1,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app": "train"}},
            }
        ],
    }
    if toleration_seconds is not None:
        spec["tolerations"] = [
            {
                "key": f"node.kubernetes.io/{state}",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": toleration_seconds,
            }
            for state in ("not-ready", "unreachable")
        ]
    if node is not None:
        spec["nodeName"] = node
    return {"metadata": {"labels": {"app": "train", **known, **(labels or {})}}, "spec": spec}


def container(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Manifest:
    """The container that trains, with the pod's volume `data`; see `pod_template`."""
    variables = {"OMP_NUM_THREADS": "1", **(environment or {})}
    return {
        "name": "train",
        "image": HOST_IMAGE,
        "imagePullPolicy": "Never",
        "command": list(command),
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            *({"name": name, "value": value} for name, value in variables.items()),
        ],
        "volumeMounts": [*host_volume_mounts(), {"name": "data", "mountPath": DATA}],
    }


def indexed_job(name: str, pods: int, template: Manifest, **spec: Any) -> Manifest:
    """An Indexed Job of so many pods, all of which must succeed."""
    fields = {"completionMode": "Indexed", "completions": pods, "parallelism": pods, "backoffLimit": 20, **spec}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {**fields, "template": template},
    }


def stateful_set(name: str, pods: int, template: Manifest, **spec: Any) -> Manifest:
    """A StatefulSet whose pods start all at once, without a Service."""
    template = {**template, "spec": {**template["spec"], "restartPolicy": "Always"}}
    selector = {"matchLabels": {"app": "train"}}
    fields = {"replicas": pods, "selector": selector, "podManagementPolicy": "Parallel", "serviceName": name, **spec}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name},
        "spec": {**fields, "template": template},
    }


def deployment(name: str, pods: int, template: Manifest) -> Manifest:
    """A Deployment, all of whose pods go before others come."""
    template = {**template, "spec": {**template["spec"], "restartPolicy": "Always"}}
    selector = {"matchLabels": {"app": "train"}}
    fields = {"replicas": pods, "selector": selector, "strategy": {"type": "Recreate"}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {**fields, "template": template},
    }


def job_set(name: str, pods: Sequence[int], template: Manifest) -> Manifest:
    """A JobSet of one Job for each of these numbers of pods."""
    jobs = [
        {"name": f"job-{index}", "template": {"spec": indexed_job("", number, template)["spec"]}}
        for index, number in enumerate(pods)
    ]
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {"name": name},
        "spec": {"network": {"enableDNSHostnames": False}, "replicatedJobs": jobs},
    }


def bare_pod(name: str, template: Manifest) -> Manifest:
    """A pod without an owner."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**template["metadata"], "name": name},
        "spec": template["spec"],
    }
