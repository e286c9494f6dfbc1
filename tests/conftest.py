"""A real API server that knows the kinds of the project, and a namespace of its own for each test."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]

pytest_plugins = ["rendezvous_controlplane.testing"]

# How long an example takes says nothing: other tests run on the same cores.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")


@pytest.fixture(scope="session")
def control_plane_manifests() -> Sequence[Path]:
    """The project's own kinds."""
    return [ROOT / "crds"]
