"""A real API server that knows the kinds of the project, and a namespace of its own for each test."""

import os
import secrets
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import settings
from tests.support.api import create_namespace
from tests.support.fork_server import ForkServer

from rendezvous_controlplane import Binaries, LocalControlPlane

ROOT = Path(__file__).parents[1]

# How long an example takes says nothing: other tests run on the same cores.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")
# kube-apiserver, etcd, kubectl and helm are written in Go: with more garbage they take a tenth less of a processor.
os.environ.setdefault("GOGC", "400")
# A shell starts programs in the background with SIGINT ignored, which all programs of the tests would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def control_plane_manifests() -> Sequence[Path]:
    """The project's own kinds."""
    return [ROOT / "crds"]


@pytest.fixture(scope="module")
def own_control_plane(
    control_plane_binaries: Binaries, control_plane_manifests: Sequence[Path | str]
) -> Iterator[LocalControlPlane]:
    """One for the tests of a file that stop its API server; their file has a group of `tests.support.groups`."""
    with LocalControlPlane() as plane:
        plane.apply(control_plane_manifests)
        yield plane


@pytest.fixture(scope="session")
def torchrun_server() -> Iterator[ForkServer]:
    """Forks torchrun processes that need not import torch."""
    with ForkServer("torchrun") as server:
        yield server


@pytest.fixture
def namespace(control_plane: LocalControlPlane) -> str:
    """The name of a namespace for one test; as `control_plane_namespace`, without a kubectl for each test."""
    return create_namespace(control_plane, f"test-{secrets.token_hex(4)}")
