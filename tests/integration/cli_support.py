"""The program `kubectl rdzv`, as its users run it: the one file, found by the real kubectl as a plug-in."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rendezvous_controlplane import LocalControlPlane, ensure_kubectl

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Done:
    """How a call has ended."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        """What it printed with ``-o json``."""
        return json.loads(self.out)


class Rdzv:
    """``kubectl rdzv`` for the namespace of one group.

    Args:
        control_plane: the cluster.
        namespace: of the group.
        folder: for the program, and for the cache of kubectl.
    """

    def __init__(self, control_plane: LocalControlPlane, namespace: str, folder: Path) -> None:
        self.kubectl = ensure_kubectl()
        self.options = (f"--namespace={namespace}", f"--cache-dir={control_plane.data_dir / 'kubectl-cache'}")
        subprocess.run([sys.executable, ROOT / "hack" / "build_cli.py", str(folder)], check=True, capture_output=True)
        # The Python of these tests, and none of its packages.
        python = folder / "python3"
        python.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
        python.chmod(0o755)
        path = f"{folder}:{self.kubectl.parent}:{os.environ['PATH']}"
        self.environment = {"PATH": path, "HOME": str(folder), "KUBECONFIG": str(control_plane.kubeconfig)}

    def command(self, *arguments: str) -> list[str]:
        """The command line."""
        name, *rest = arguments
        return [str(self.kubectl), "rdzv", name, *self.options, *rest]

    def __call__(self, *arguments: str, stdin: str = "", timeout: float = 60.0) -> Done:
        """Run it to its end."""
        done = subprocess.run(
            self.command(*arguments), env=self.environment, input=stdin, capture_output=True, text=True, timeout=timeout
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start it; its output is to be read."""
        return subprocess.Popen(
            self.command(*arguments),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
