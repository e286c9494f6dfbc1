"""A real API server that knows the kinds of the project, and a namespace of its own for each test."""

from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytest_plugins = ["rendezvous_controlplane.testing"]


@pytest.fixture(scope="session")
def control_plane_manifests() -> Sequence[Path]:
    """The project's own kinds."""
    return [ROOT / "crds"]
