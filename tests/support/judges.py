"""What other tools make of our objects: kstatus, by which Flux, Helm and kpt wait, and the health checks of Argo CD."""

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from lupa import LuaRuntime
from tests.support.objects import Json
from tests.support.pages import ROOT

from rendezvous_controlplane import Report
from rendezvous_controlplane.build import find_go, go_environment, run_go
from rendezvous_controlplane.cache import filled

_KSTATUS = Path(__file__).with_name("kstatus")


def kstatus(*objects: Json) -> list[str]:
    """What kstatus computes for each of these objects: Current, InProgress, Failed, ..."""
    done = subprocess.run(
        [_kstatus_program()], input=json.dumps(objects), capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@cache
def _kstatus_program() -> Path:
    """The program of the Go module beside this file; some seconds the first time, and again when the module changes."""
    sources = [_KSTATUS / name for name in ("go.mod", "go.sum", "main.go")]
    version = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]

    def make(target: Path) -> None:
        report = Report()
        with tempfile.TemporaryDirectory() as temporary:
            go = find_go(go_environment(), Path(temporary), report)
            flags = ["-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags=-s -w"]
            report.say("building kstatus: some seconds the first time")
            run_go(
                [go, "build", "-C", str(_KSTATUS), *flags, "-o", str(target / "kstatus"), "."], go_environment(), _no
            )

    return filled(f"kstatus-{version}", "kstatus", make, Report()) / "kstatus"


def _no(_: Sequence[str]) -> None:
    """Report no progress."""


def argo_health(item: Json) -> str:
    """The health of an object by our check for Argo CD: Healthy, Progressing, Degraded or Suspended."""
    group, kind = item["apiVersion"].split("/")[0], item["kind"]
    lua: Any = LuaRuntime(unpack_returned_tuples=True)
    # Argo CD opens no library that reads files or starts programs.
    for library in ("io", "os", "debug", "require", "dofile", "loadfile"):
        lua.globals()[library] = None
    lua.globals().obj = lua.table_from(item, recursive=True)
    answer = lua.execute(_health_checks()[f"resource.customizations.health.{group}_{kind}"])
    assert answer.message, "people read it"
    return str(answer.status)


@cache
def _health_checks() -> dict[str, str]:
    config: dict[str, str] = yaml.safe_load((ROOT / "examples" / "argocd-cm.yaml").read_text(encoding="utf-8"))["data"]
    return config
