"""The commands of the first page, as they stand there, in a cluster that has nothing of this project but the images."""

import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from testcluster import Cluster
from testcluster.programs import ensure_helm
from tests.cluster.examples import adapt, documents
from tests.cluster.harness import Group
from tests.cluster.manifests import DATA, TRAIN
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
    (job,) = documents(ROOT / path)
    spec = adapt(job, folder, script=[str(TRAIN), DATA])["spec"]["template"]["spec"]  # your image and script
    spec["volumes"] = stock_volumes(spec["volumes"], stock_environment)
    (folder / path).parent.mkdir(parents=True)
    (folder / path).write_text(yaml.safe_dump(job))

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
