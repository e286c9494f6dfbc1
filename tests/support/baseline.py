"""The code of the first commit whose API is that of the first release, for tests in which releases meet."""

import subprocess
from pathlib import Path

import pytest
from tests.support.pages import ROOT

COMMIT = "14fd8657d332ecd402862080a48065968e5f1c10"


def extract(folder: Path, *parts: str) -> None:
    """Write these folders of that commit into a folder. Skips the test where the repository has no history."""
    if _git("rev-parse", "--is-shallow-repository").stdout.strip() != "false":
        pytest.skip("no repository with its history")
    archive = folder / "baseline.tar"
    done = _git("archive", f"--output={archive}", COMMIT, *parts)
    assert done.returncode == 0, done.stderr
    subprocess.run(["tar", "-x", "-f", str(archive), "-C", str(folder)], check=True)


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
