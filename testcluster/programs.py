"""The programs that the test cluster runs: Kubernetes from Go modules, all else from Debian, helm for charts.

Debian's packages are unpacked into the cache and run from there: nothing is installed, no service of them is started.
"""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rendezvous_controlplane import KUBERNETES_VERSION, Report, ensure_binaries, ensure_kubectl
from rendezvous_controlplane.build import NODE_PROGRAMS, build_node_programs, install_go_program
from rendezvous_controlplane.cache import filled

from .layout import ClusterError

HELM_VERSION = "v3.22.0"

# Always Debian's own: another containerd (Docker's, for instance) has another format of its configuration.
_PACKAGES = ("containerd", "runc", "containernetworking-plugins")
# Only where the program is missing: nftables may be in use.
_PACKAGE_OF = {"nft": "nftables"}
_DEBIAN = "cluster-debian"
_NODE = f"kubernetes-node-{KUBERNETES_VERSION}"
_HELM = f"helm-{HELM_VERSION}"
# Needed on the machine itself, with the package of each.
_TOOLS = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setsid": "util-linux",
    "ip": "iproute2",
    "cc": "gcc libc6-dev",
}


@dataclass(frozen=True)
class Programs:
    """Where the programs are.

    kubernetes: the folder of NODE_PROGRAMS. debian: the root that Debian's packages were unpacked into.
    """

    kube_apiserver: Path
    etcd: Path
    kubectl: Path
    kubernetes: Path
    debian: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every program of the cluster: Debian's programs come first, nothing of the caller's."""
        return _environment_of(self.debian)


def ensure_programs(report: Report) -> Programs:
    """Find all programs, or fetch and build them: minutes, the first time.

    Raises ClusterError or BinariesError, which say what is missing.
    """
    if missing := [f"{tool} (apt-get install {package})" for tool, package in _TOOLS.items() if not shutil.which(tool)]:
        raise ClusterError("the test cluster needs " + ", ".join(missing))
    binaries = ensure_binaries(report)
    return Programs(
        kube_apiserver=binaries.kube_apiserver,
        etcd=binaries.etcd,
        kubectl=ensure_kubectl(report),
        kubernetes=_ensure_node_programs(report),
        debian=_ensure_debian(report),
    )


def ensure_debian(report: Report) -> dict[str, str]:
    """The environment in which Debian's programs are found, nft among them; they are downloaded the first time.

    Raises ClusterError when that fails.
    """
    return _environment_of(_ensure_debian(report))


def _environment_of(debian: Path) -> dict[str, str]:
    folders = [debian / "usr" / "sbin", debian / "usr" / "bin"]
    system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    libraries = [str(folder) for folder in (debian / "usr" / "lib").glob("*-linux-gnu*")]
    return {
        "PATH": ":".join([*map(str, folders), system]),
        "LD_LIBRARY_PATH": ":".join(libraries),
        "HOME": "/root",
        "LANG": "C.UTF-8",
    }


def ensure_helm(report: Report | None = None) -> Path:
    """The program helm, of HELM_VERSION, from the cache; built from its Go module the first time: a minute or two.

    Raises BinariesError when that fails.
    """
    report = report or Report()
    package = f"helm.sh/helm/v3/cmd/helm@{HELM_VERSION}"
    folder = filled(_HELM, "helm", partial(install_go_program, package, report=report), report)
    return folder / "helm"


def _ensure_node_programs(report: Report) -> Path:
    return filled(_NODE, NODE_PROGRAMS[0], partial(build_node_programs, report=report), report)


def _ensure_debian(report: Report) -> Path:
    return filled(_DEBIAN, "usr/bin/containerd", partial(_unpack_debian, report=report), report)


def _unpack_debian(target: Path, report: Report) -> None:
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise ClusterError("the test cluster takes containerd and runc from Debian's packages: there is no apt-get")
    if os.geteuid() != 0:
        raise ClusterError("apt-get downloads packages for root only")
    more = [package for program, package in _PACKAGE_OF.items() if shutil.which(program) is None]
    packages = [*_PACKAGES, *more]
    report.say(f"downloading {', '.join(packages)} and what they need from Debian")
    with tempfile.TemporaryDirectory() as temporary:
        archives = Path(temporary)
        (archives / "partial").mkdir()
        if (said := _apt_download(archives, packages)) and (said := _update_and_download(archives, packages, report)):
            raise ClusterError(f"apt-get cannot download {', '.join(packages)}: {said}")
        for archive in sorted(archives.glob("*.deb")):
            subprocess.run(["dpkg-deb", "--extract", archive, target], check=True)


def _update_and_download(archives: Path, packages: list[str], report: Report) -> str:
    report.say("apt-get update: the lists of packages are missing or out of date")
    subprocess.run(["apt-get", "update"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return _apt_download(archives, packages)


def _apt_download(archives: Path, packages: list[str]) -> str:
    """Download packages and what this machine lacks of their dependencies; returns what apt-get said if it failed."""
    command = ["apt-get", "install", "--download-only", "--reinstall", "--no-install-recommends", "--assume-yes"]
    command += ["--option", f"Dir::Cache::archives={archives}", *packages]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else (done.stderr.strip() or f"exit code {done.returncode}")
