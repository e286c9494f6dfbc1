"""A health check of the tests: a file says that the node is broken."""

import os
from pathlib import Path

FOLDER = "HEALTH_FOLDER"
"""The environment variable with the folder of these files."""
NAME = f"{__name__}:is_well"


def sick(folder: Path, node: str) -> Path:
    """The file that says so, and what is found."""
    return folder / f"sick-{node}"


def is_well() -> str | None:
    """What is wrong with the node of this agent."""
    file = sick(Path(os.environ[FOLDER]), os.environ["TEST_NODE"])
    return file.read_text(encoding="utf-8") if file.exists() else None
