"""Fixtures for pytest: a real API server for the tests of whoever builds on this project, and for its own.

In a test file, or in the conftest.py of the folder in which pytest is started::

    pytest_plugins = ["rendezvous_controlplane.testing"]


    def test_a_launcher(control_plane, namespace):
        os.environ["KUBECONFIG"] = str(control_plane.kubeconfig)
        control_plane.kubectl("--namespace", namespace, "create", "configmap", "train")

The control plane starts with the first test that asks for it and stops with the session; each worker of pytest-xdist
has one of its own. To have CRDs or other objects in it, override `control_plane_manifests` in the conftest.py.
"""

import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from .binaries import ensure_binaries
from .local import LocalControlPlane


def pytest_collection_finish(session: pytest.Session) -> None:
    """Get the API server before the first test: where it must be built, that takes longer than a test may."""
    needed = any("control_plane" in getattr(item, "fixturenames", ()) for item in session.items)
    if needed and not session.config.option.collectonly:
        ensure_binaries()


@pytest.fixture(scope="session")
def control_plane_manifests() -> Sequence[Path | str]:
    """Files or folders of manifests that `control_plane` applies when it starts; none, until you override this."""
    return ()


@pytest.fixture(scope="session")
def control_plane(control_plane_manifests: Sequence[Path | str]) -> Iterator[LocalControlPlane]:
    """A control plane for all tests of the session, with `control_plane_manifests` applied."""
    with LocalControlPlane() as plane:
        if control_plane_manifests:
            plane.apply(control_plane_manifests)
        yield plane


@pytest.fixture
def namespace(control_plane: LocalControlPlane) -> str:
    """The name of a namespace for one test. It goes with the control plane, not with the test."""
    name = f"test-{secrets.token_hex(4)}"
    control_plane.kubectl("create", "namespace", name)
    return name
