"""The commands of the first page and of the quick start, as they stand there.

The cluster has nothing of this project but the images. The files have the image and the script that are here.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from testcluster import Cluster
from testcluster.programs import ensure_helm
from tests.cluster.examples import adapt, documents, host_volume, only, pods_of
from tests.cluster.harness import Group
from tests.cluster.manifests import DATA, TRAIN, Manifest
from tests.cluster.order import remove_pods, show
from tests.cluster.release import CHART, ROOT, Release
from tests.cluster.stock import stock_volumes
from tests.support.pages import fences, section

from rendezvous_controlplane import Report, ensure_kubectl

COMMANDS = fences(section("README.md", "## Three commands"), "sh")[0].replace("\\\n", "").splitlines()
SYSTEM, NAMESPACE = "rdzv-system", "default"
CRDS = ("rendezvous.rdzv.dev", "rendezvousparticipants.rdzv.dev")
VERSION = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
IMAGE = f"registry.example.com/kube-rendezvous-operator:{VERSION}"
PROMISED_SECONDS = 120
VOLUME = "digits-of-the-quick-start"
_, INSTALL, START, _ = fences(section("docs/quick-start.md", "## On kind, without GPUs"), "sh")
"""Of the quick start; the first block makes cluster and images, and the last one is for a person."""


@pytest.fixture
def prepared(cluster: Cluster, release: Release) -> Iterator[None]:
    """The operator's image is on the machines, under the name that the page has, and nothing is installed."""
    release.uninstall()
    remove_crds(cluster)
    for node in cluster.nodes.values():
        node.ctr("images", "tag", "--force", release.image, IMAGE)
    yield
    remove_pods(cluster, NAMESPACE)
    cluster.helm("uninstall", "kube-rendezvous", "--namespace", SYSTEM, "--wait", "--timeout=2m", "--ignore-not-found")
    remove_crds(cluster)
    cluster.kubectl("delete", "namespace", SYSTEM, "--ignore-not-found", "--timeout=60s")
    release.install()


def remove_crds(cluster: Cluster) -> None:
    """And with them all objects of theirs."""
    cluster.kubectl("delete", "customresourcedefinitions", *CRDS, "--ignore-not-found", "--timeout=60s")


@pytest.fixture
def shell(cluster: Cluster, tmp_path: Path) -> dict[str, Any]:
    """Where and how the commands run: beside `charts/` and `examples/`, with kubectl and helm on the PATH."""
    (tmp_path / "charts").symlink_to(ROOT / "charts")
    programs = f"{ensure_helm().parent}:{ensure_kubectl(Report()).parent}"
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "PATH": f"{programs}:{os.environ['PATH']}"}
    return {"cwd": tmp_path, "env": environment, "text": True}


def put(folder: Path, path: str, environment: Path, **adapted: Any) -> list[Manifest]:
    """Write a file of the project below a folder, with a stock image and the script that are here; its objects."""
    objects = [adapt(document, folder, **adapted) for document in documents(ROOT / path)]
    for template in (template for document in objects for template in pods_of(document)):
        template["spec"]["volumes"] = stock_volumes(template["spec"]["volumes"], environment)
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(yaml.safe_dump_all(objects))
    return objects


def test_from_helm_install_to_the_first_round(
    cluster: Cluster,
    release: Release,
    prepared: None,
    shell: dict[str, Any],
    stock_environment: Path,
) -> None:
    install, apply, watch = COMMANDS
    folder: Path = shell["cwd"]
    group = Group(cluster, NAMESPACE, folder)
    path = shlex.split(apply)[-1]
    put(folder, path, stock_environment, script=[str(TRAIN), DATA])

    began = time.time()

    def show_times(what: str) -> None:
        print(f"{time.time() - began:6.1f} s  {what}")

    try:
        for command in (install, apply):
            subprocess.run(command, shell=True, check=True, **shell)
            show_times(command)
        with subprocess.Popen(watch, shell=True, stdout=subprocess.PIPE, **shell) as watching:
            assert watching.stdout is not None
            for line in watching.stdout:
                show_times(line.rstrip())
                if " Running " in line:
                    break
            seconds = time.time() - began
            watching.kill()
        group.wait_for_training(group.status.nodes)
        show_times("all members have made a step")
    except BaseException:
        show(cluster, release, NAMESPACE)
        raise
    assert seconds < PROMISED_SECONDS
    group.stop_training()
    group.kubectl("wait", "--for=condition=Complete", "rdzv/train", "job/train", "--timeout=110s")


@pytest.fixture
def quick_start(cluster: Cluster, prepared: None) -> Iterator[str]:
    """The namespace of the quick start, which its lines make."""
    yield "team-a"
    remove_pods(cluster, "team-a")
    cluster.kubectl("delete", "namespace", "team-a", "--timeout=120s", timeout=150)
    cluster.kubectl("delete", "pv", VOLUME, "--ignore-not-found", "--timeout=60s")


def test_the_quick_start(
    cluster: Cluster, release: Release, quick_start: str, shell: dict[str, Any], stock_environment: Path
) -> None:
    """From its second block on. It ends with a watch, which a person ends."""
    folder: Path = shell["cwd"]
    (folder / "examples").mkdir()
    (folder / "examples" / "digits").symlink_to(ROOT / "examples" / "digits")
    objects = put(folder, "examples/label/digits.yaml", stock_environment)
    (folder / "volume").mkdir()
    claim = only(objects, "PersistentVolumeClaim")
    held = host_volume(VOLUME, claim, quick_start, folder / "volume")  # kind would make one
    cluster.kubectl("create", "-f", "-", input=json.dumps(held))
    shell["env"]["KUBECONFIG"] = str(shutil.copy(cluster.kubeconfig, folder / "kubeconfig"))  # the lines change it
    group = Group(cluster, quick_start, folder, "digits")
    try:
        start, found, _ = START.rpartition("kubectl get rdzv --watch")
        assert found
        for commands in (INSTALL, start):
            subprocess.run(["bash", "-ec", commands], check=True, **shell)
        for state in ("create", "condition=Running"):
            group.kubectl("wait", "rdzv/digits", f"--for={state}", "--timeout=110s")
        first = group.pod_of_rank(0)
        group.wait(lambda: "epoch 2 of 40" in group.log(first.name), "two epochs")
        group.delete_pod(first)
        group.wait(lambda: group.status.round == 2 and group.status.participants, "another round")
        rank_0 = group.pod_of_rank(0).name
        resumed = group.wait(lambda: re.search(r"begins with epoch (\d+) of 40", group.log(rank_0)), "it to continue")
        assert int(resumed[1]) > 1
    except BaseException:
        show(cluster, release, quick_start)
        raise
