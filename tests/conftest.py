"""A real API server that knows the kinds of the project, and a namespace of its own for each test."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from rendezvous_controlplane import LocalControlPlane, ensure_binaries

ROOT = Path(__file__).parents[1]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Get the API server before the first test: where it must be built, that takes longer than a test may."""
    needed = any("control_plane" in getattr(item, "fixturenames", ()) for item in session.items)
    if needed and not session.config.option.collectonly:
        ensure_binaries()


@pytest.fixture(scope="session")
def control_plane() -> Iterator[LocalControlPlane]:
    """A control plane with the CRDs applied; each pytest-xdist worker has its own."""
    with LocalControlPlane() as control_plane:
        control_plane.apply(ROOT / "crds")
        yield control_plane


@pytest.fixture
def namespace(control_plane: LocalControlPlane) -> str:
    """The name of a fresh namespace. It goes with the control plane."""
    name = f"test-{secrets.token_hex(4)}"
    control_plane.kubectl("create", "namespace", name)
    return name
