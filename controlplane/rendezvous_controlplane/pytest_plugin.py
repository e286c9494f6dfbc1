"""Fixtures for pytest: a real API server for the tests of projects that build on this one, and for its own.

pytest loads this by itself where the package is installed, so a test only asks for a fixture::

    def test_a_launcher(control_plane, control_plane_namespace, monkeypatch):
        monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig))
        control_plane.kubectl("--namespace", control_plane_namespace, "create", "configmap", "train")

The control plane starts with the first test that asks for it and stops with the session; each worker of pytest-xdist
has one of its own. To have CRDs or other objects in it, override `control_plane_manifests` in the conftest.py.

It is loaded for every project that is tested in this environment. So the names of all fixtures begin with
`control_plane`, nothing happens in a session that uses none of them, and nothing of the package is imported before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from . import Binaries, LocalControlPlane


def pytest_collection_finish(session: pytest.Session) -> None:
    """Get the API server before the first test: where it must be built, that takes longer than a test may."""
    # Not `control_plane`: another project may have a fixture of that name with no need of ours.
    needed = any("control_plane_binaries" in getattr(item, "fixturenames", ()) for item in session.items)
    if needed and not session.config.option.collectonly:
        from . import ensure_binaries

        ensure_binaries()


@pytest.fixture(scope="session")
def control_plane_binaries() -> Binaries:
    """The programs of the control plane. They are there before the first test starts if any test needs this fixture."""
    from . import ensure_binaries

    return ensure_binaries()


@pytest.fixture(scope="session")
def control_plane_manifests() -> Sequence[Path | str]:
    """Files or folders of manifests that `control_plane` applies when it starts; none, until you override this."""
    return ()


@pytest.fixture(scope="session")
def control_plane(
    control_plane_binaries: Binaries, control_plane_manifests: Sequence[Path | str]
) -> Iterator[LocalControlPlane]:
    """A control plane for all tests of the session, with `control_plane_manifests` applied."""
    from . import LocalControlPlane

    with LocalControlPlane() as plane:
        if control_plane_manifests:
            plane.apply(control_plane_manifests)
        yield plane


@pytest.fixture
def control_plane_namespace(control_plane: LocalControlPlane) -> str:
    """The name of a new namespace for one test. It is removed with the control plane, not with the test."""
    import secrets

    name = f"test-{secrets.token_hex(4)}"
    control_plane.kubectl("create", "namespace", name)
    return name
