"""Health checks of the tests: one by a file that says that the node is broken, and one that hangs."""

import os
import time
from pathlib import Path

FOLDER = "HEALTH_FOLDER"
"""The environment variable with the folder of these files."""
NAME = f"{__name__}:is_well"
HANGS = f"{__name__}:hangs"


def sick(folder: Path, node: str) -> Path:
    """The file that says so, and what is found."""
    return folder / f"sick-{node}"


def is_well() -> str | None:
    """What is wrong with the node of this agent."""
    node = os.environ.get("TEST_NODE") or os.environ["JOB_COMPLETION_INDEX"]
    file = sick(Path(os.environ[FOLDER]), node)
    return file.read_text(encoding="utf-8") if file.exists() else None


def hangs() -> None:
    """It says that it has begun, and never ends."""
    (Path(os.environ[FOLDER]) / "hangs").touch()
    time.sleep(3600)
