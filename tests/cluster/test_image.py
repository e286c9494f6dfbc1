"""The operator's image, as hack/build-image makes it: what is in it, and that it runs as a container would run it.

It is run in a chroot: root folder mounted read-only, user 65532, an empty /tmp. That needs root, as the build does.
"""

import json
import os
import re
import subprocess
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.release import ROOT, build_image
from tests.support.processes import Process
from tests.support.waiting import wait_until

from rendezvous_controlplane import LocalControlPlane

PREFIX = "opt/kube-rendezvous/.venv"
BILL = "usr/share/sbom/kube-rendezvous.cdx.json"
IN_IMAGE = """\
mkdir -p "$1/dev" "$1/proc"
mount --bind "$1" "$1"
mount --rbind /dev "$1/dev"
mount -t proc proc "$1/proc"
mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
[ ! -e "$2" ] || install -m 644 "$2" "$1/tmp/kubeconfig"
mount -o remount,bind,ro "$1"
shift 2
root="$1"; shift
exec /usr/sbin/chroot --userspec=65532:65532 "$root" "$@"
"""
"""Arguments: root folder, a kubeconfig or a name that is not there, the root folder again, and the command."""


@dataclass(frozen=True)
class Image:
    """The image, unpacked."""

    archive: Path
    name: str
    config: Mapping[str, Any]
    root: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables that a container has from the image."""
        return dict(entry.split("=", 1) for entry in self.config["Env"])

    def command(self, *command: str, kubeconfig: Path = Path("/none")) -> list[str]:
        """How to run a command in the image."""
        return [
            "unshare",
            "--mount",
            "sh",
            "-ec",
            IN_IMAGE,
            "sh",
            *map(str, (self.root, kubeconfig, self.root)),
            *command,
        ]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the image to its end."""
        return subprocess.run(
            self.command(*command), env=self.environment, capture_output=True, text=True, check=False, timeout=120
        )


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    archive, name = build_image()
    root = tmp_path_factory.mktemp("image")
    with tarfile.open(archive) as outer:
        (manifest,) = read_json(outer, "manifest.json")
        for layer in manifest["Layers"]:
            with tarfile.open(fileobj=outer.extractfile(layer)) as inner:
                inner.extractall(root, filter="fully_trusted")
        root.chmod(0o755)
        assert manifest["RepoTags"] == [name]
        return Image(archive, name, read_json(outer, manifest["Config"])["config"], root)


def read_json(archive: tarfile.TarFile, name: str) -> Any:
    file = archive.extractfile(name)
    assert file is not None
    return json.load(file)


def packages(image: Image) -> set[tuple[str, str]]:
    """Name and version of all Python packages in the image, wherever they are."""
    found = set()
    for metadata in image.root.rglob("*.dist-info/METADATA"):
        text = metadata.read_text(encoding="utf-8")
        name, version = (re.search(rf"^{key}: (.*)$", text, re.MULTILINE) for key in ("Name", "Version"))
        assert name is not None
        assert version is not None
        found.add((re.sub(r"[-_.]+", "-", name[1]).lower(), version[1]))
    return found


def test_what_a_runtime_is_told(image: Image) -> None:
    version = image.name.rpartition(":")[2]
    assert image.name == f"localhost/kube-rendezvous-operator:{version}"
    assert image.config["User"] == "65532:65532"
    assert image.config["Entrypoint"] == [f"/{PREFIX}/bin/kube-rendezvous-operator"]
    assert not image.config.get("Cmd")
    labels = image.config["Labels"]
    assert labels["org.opencontainers.image.title"] == "kube-rendezvous-operator"
    assert labels["org.opencontainers.image.version"] == version
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", labels["org.opencontainers.image.revision"]), (
        "a commit of this project"
    )


def test_there_is_nothing_in_it_that_does_not_belong_there(image: Image) -> None:
    files = {str(path.relative_to(image.root)) for path in image.root.rglob("*")}
    programs = "pip|setuptools|pytest|uv|apt|dpkg|sh|bash|perl"
    libraries = "torch|numpy|cryptography|rendezvous_controlplane"
    unwanted = re.compile(rf"(^|/)({programs}|{libraries})(-[\d.]+\.dist-info)?$")
    assert not {name for name in files if unwanted.search(name)} - {"etc/dpkg", "var/lib/dpkg"}
    assert "usr/share/doc/kube-rendezvous/LICENSE" in files
    assert (image.root / "etc/ssl/certs/ca-certificates.crt").stat().st_size > 100_000


def test_nobody_but_root_may_write_in_it(image: Image) -> None:
    writable = [
        path
        for path in image.root.rglob("*")
        if not path.is_symlink() and (path.stat().st_mode & 0o002 or path.stat().st_uid == 65532)
    ]
    assert {str(path.relative_to(image.root)) for path in writable} <= {"tmp", "var/tmp", "var/lock", "home/nonroot"}


def test_the_bill_of_materials_is_what_is_installed(image: Image) -> None:
    bill = json.loads((image.root / BILL).read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    listed = [(item["name"], item["version"]) for item in [bill["metadata"]["component"], *bill["components"]]]
    assert len(listed) == len(set(listed))
    assert set(listed) == packages(image)
    others = [item for item in bill["components"] if item["name"] != "kube-rendezvous"]
    assert len(others) == len(bill["components"]) - 1
    assert all(reference["hashes"] for item in others for reference in item["externalReferences"]), (
        "each file of uv.lock has a hash"
    )
    beside = image.archive.with_name(f"{image.archive.stem}.cdx.json")
    assert beside.read_bytes() == (image.root / BILL).read_bytes()


def test_its_size(image: Image) -> None:
    megabytes = sum(path.lstat().st_size for path in image.root.rglob("*") if not path.is_symlink()) / 1e6
    print(f"{megabytes:.0f} MB unpacked, {image.archive.stat().st_size / 1e6:.0f} MB as an archive")
    assert megabytes < 190


def test_a_second_build_takes_no_time(image: Image) -> None:
    before = image.archive.read_bytes()
    start = time.monotonic()
    build_image()
    assert time.monotonic() - start < 5
    assert image.archive.read_bytes() == before


@pytest.mark.parametrize("program", ["kube-rendezvous-operator", "kube-rendezvous-selftest"])
def test_its_programs_run_without_writing_anything(image: Image, program: str) -> None:
    done = image.run(program, "--help")
    assert done.returncode == 0, done.stderr
    assert f"usage: {program}" in done.stdout


def test_memory_and_time_of_a_start(image: Image) -> None:
    code = """\
import re, time
start = time.monotonic()
import rendezvous_operator.app
print(time.monotonic() - start, re.search(r"VmRSS:\\s*(\\d+)", open("/proc/self/status").read())[1])
"""
    image.run("python", "-c", code)  # what is read from the disk once is not what is asked for
    seconds, kilobytes = map(float, image.run("python", "-c", code).stdout.split())
    print(f"import of the operator: {seconds:.2f} s, {kilobytes / 1024:.0f} MiB")
    assert kilobytes / 1024 < 100


@pytest.fixture
def kubeconfig(control_plane: LocalControlPlane) -> Path:
    return control_plane.kubeconfig


@pytest.fixture
def operator(image: Image, kubeconfig: Path, tmp_path: Path) -> Iterator[Process]:
    process = start(image, kubeconfig, tmp_path / "operator.log", image.config["Entrypoint"], PYTHONVERBOSE="1")
    yield process
    process.kill()


def start(image: Image, kubeconfig: Path, log: Path, command: Sequence[str], **variables: str) -> Process:
    environment = {**image.environment, "KUBECONFIG": "/tmp/kubeconfig", **variables}
    return Process(image.command(*command, kubeconfig=kubeconfig), log, environment)


def test_the_operator_and_members_of_the_image_meet(
    image: Image, operator: Process, kubeconfig: Path, control_plane: LocalControlPlane, tmp_path: Path
) -> None:
    control_plane.kubectl("create", "namespace", "meeting")
    wait_until(lambda: "decisions begin" in operator.log, f"the operator to be ready: {operator.log}", 60)
    command = ["kube-rendezvous-selftest", "--rendezvous=meeting/check", "--nodes=2"]
    members = [start(image, kubeconfig, tmp_path / f"{number}.log", command) for number in range(2)]
    assert [member.wait(90) for member in members] == [0, 0], [member.log for member in members]
    # That takes longer than to load it, and no pod may keep it.
    compiled = re.findall(r"^# code object from '(.*\.py)'$", operator.log, re.MULTILINE)
    assert len(re.findall(r"^# code object from '.*\.pyc'$", operator.log, re.MULTILINE)) > 300
    assert not compiled


def test_the_deployment_of_the_examples_fits_it(image: Image) -> None:
    (deployment,) = yaml.safe_load_all((ROOT / "examples" / "operator.yaml").read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"].rpartition("/")[2] == image.name.rpartition("/")[2]
    assert os.access(image.root / image.config["Entrypoint"][0].lstrip("/"), os.X_OK)
