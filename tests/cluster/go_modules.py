"""Files and programs of published Go modules, in the project's cache."""

import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rendezvous_controlplane import Report
from rendezvous_controlplane.build import find_go, go_environment, run_go
from rendezvous_controlplane.cache import filled
from rendezvous_controlplane.progress_report import duration


def module_files(name: str, module: str, version: str, *paths: str) -> list[Path]:
    """Files, or folders, of a module, without building anything.

    Args:
        name: of the folder in the cache, in which they are kept under their last names.
        module: its path, such as `sigs.k8s.io/jobset`.
        version: such as `v0.12.0`.
        paths: in the module.
    """

    def copy(target: Path) -> None:
        with tempfile.TemporaryDirectory() as temporary:
            source = _download(find_go(go_environment(), Path(temporary), Report()), module, version)
        for path in paths:
            if (source / path).is_dir():
                shutil.copytree(source / path, target / Path(path).name, copy_function=shutil.copyfile)
            else:
                shutil.copyfile(source / path, target / Path(path).name)

    names = [Path(path).name for path in paths]
    folder = filled(f"{name}-{version}-files", names[-1], copy, Report())
    return [folder / name for name in names]


def module_program(name: str, module: str, version: str, package: str = ".") -> Path:
    """The program of a folder of a module, built with the versions of its own go.sum; a minute or two the first time.

    Args:
        name: of the program.
        module: its path.
        version: such as `v0.12.0`.
        package: the folder, such as `./cmd/server`; its top folder unless this says another.
    """
    report = Report()

    def make(target: Path) -> None:
        # Not `go install`: it asks for all versions of the module, which not every proxy tells.
        with tempfile.TemporaryDirectory() as temporary:
            go = find_go(go_environment(), Path(temporary), report)
            source = Path(temporary) / "source"
            shutil.copytree(_download(go, module, version), source, copy_function=shutil.copyfile)
            started = time.monotonic()

            def working(lines: Sequence[str]) -> None:
                report.progress(
                    f"building {name} {version}: {len(lines)} steps, {duration(time.monotonic() - started)}"
                )

            flags = ["-v", "-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags=-s -w"]
            report.say(f"building {name} {version}: a minute or two the first time")
            command = [go, "build", "-C", str(source), *flags, "-o", str(target / name), package]
            run_go(command, go_environment(), working)

    return filled(f"{name}-{version}", name, make, report) / name


def _download(go: str, module: str, version: str) -> Path:
    """The folder of a module in Go's own cache."""
    command = [go, "mod", "download", "-json", f"{module}@{version}"]
    return Path(json.loads(run_go(command, go_environment(), lambda _: None))["Dir"])
