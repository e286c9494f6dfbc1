"""The handler as an image volume (`injection.handler.method: imageVolume`).

One machine gets a containerd that can mount images, built from its Go module. The other one keeps that of Debian, which
cannot.
"""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from testcluster import Cluster
from testcluster.host_image import host_archive
from testcluster.images import pause_archive
from testcluster.node import Node
from testcluster.node_config import node_dir
from tests.cluster.go_modules import module_program
from tests.cluster.harness import Group
from tests.cluster.manifests import bare_pod, indexed_job
from tests.cluster.release import ROOT, TEAM, Release
from tests.cluster.stock import stock_template

from rendezvous_controlplane import Report

HOST = "kubernetes.io/hostname"
NEWER, OLDER = "node-b", "node-a"
MODULE, VERSION = "github.com/containerd/containerd/v2", "v2.1.4"
IMAGES = ("kube-rendezvous-operator", "kube-rendezvous-handler")
PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr")


@pytest.fixture(scope="module")
def archives(cluster: Cluster, operator_image: str) -> list[Path]:
    """Those of the operator's image and of the handler's, which no registry has; the machines have both."""
    found = [ROOT / "build" / f"{name}-{operator_image.rpartition(':')[2]}.tar" for name in IMAGES]
    cluster.load_image(found[1])
    return found


@pytest.fixture(scope="module")
def newer_containerd(
    cluster: Cluster, archives: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    """That machine, with the images that the pods need, among them the handler's."""
    programs = cluster.programs
    folder = tmp_path_factory.mktemp("containerd")
    shutil.copytree(programs.debian, folder, symlinks=True, dirs_exist_ok=True)
    for name in PROGRAMS:
        shutil.copy2(module_program(name, MODULE, VERSION, f"./cmd/{name}"), folder / "usr" / "bin" / name)
    disk = node_dir(NEWER) / "lib" / "containerd"
    aside = disk.with_name("containerd-of-debian")  # what the newer one writes, the older one may not understand
    cluster.node(NEWER).lose()
    disk.rename(aside)
    node = Node(NEWER, cluster.control_plane.machine, dataclasses.replace(programs, debian=folder), Report())
    node.start()
    try:
        for archive in (pause_archive(), host_archive(), *archives):
            node.load_image(archive)
        cluster.wait_until_ready()
        yield node
    finally:
        node.lose()
        shutil.rmtree(disk)
        aside.rename(disk)
        cluster.node(NEWER).start()
        cluster.wait_until_ready()


@pytest.fixture
def by_volume(archives: list[Path], release: Release, every_account: str) -> None:
    """The release brings the handler by this method."""
    settings = {
        "workers.namespaces": f"{{{TEAM},{every_account}}}",
        "workers.bindTo": "namespace",
        "injection.handler.method": "imageVolume",
        "injection.handler.image.pullPolicy": "Never",
    }
    release.install(*(word for name, value in settings.items() for word in ("--set", f"{name}={value}")))


@pytest.mark.usefixtures("by_volume", "newer_containerd")
def test_a_job_trains_with_the_handler_as_a_volume(stock: Group, stock_environment: Path) -> None:
    annotations = {"rdzv.dev/nnodes": "2"}
    template = stock_template(stock_environment, stock.folder, annotations=annotations, nodeSelector={HOST: NEWER})
    stock.create(indexed_job("train", 2, template))
    stock.wait_for_training(2, timeout=300)
    for pod in json.loads(stock.kubectl("get", "pods", "--output=json"))["items"]:
        assert "initContainers" not in pod["spec"]
        assert "rdzv-handler" in {volume["name"] for volume in pod["spec"]["volumes"] if "image" in volume}
    find = "import rendezvous_handler; print(rendezvous_handler.__file__)"
    said = stock.kubectl("exec", stock.pod_of_rank(0).name, "--", "python", "-c", find)
    assert said.startswith("/opt/rdzv/rendezvous_handler/")
    stock.delete_pod(stock.pod_of_rank(0))
    stock.wait_for_training(2, after=1, timeout=300)
    stock.stop_training()
    stock.kubectl("wait", "--for=condition=Complete", "job/train", "--timeout=110s")


@pytest.mark.usefixtures("by_volume")
def test_a_runtime_that_cannot_mount_images_starts_no_container(stock: Group, stock_environment: Path) -> None:
    stock.create(
        bare_pod("older", stock_template(stock_environment, stock.folder, ["true"], nodeSelector={HOST: OLDER}))
    )

    def waiting() -> dict[str, str] | None:
        (pod,) = json.loads(stock.kubectl("get", "pods", "--output=json"))["items"]
        (status,) = pod["status"].get("containerStatuses") or [{}]
        found: dict[str, str] | None = status.get("state", {}).get("waiting")
        return found if found and found["reason"] not in ("ContainerCreating", "PodInitializing") else None

    said = stock.wait(waiting, "the kubelet to say why the container does not start")
    print(said)
    assert said["reason"] == "CreateContainerError"
    assert 'failed to generate spec: failed to mkdir ""' in said["message"], "docs/one-label.md has it"
