"""LocalControlPlane as the counterpart of torch's EtcdServer, and the fixtures that other projects' tests have."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from kubernetes import client
from tests.support.groups import OWN_CONTROL_PLANE
from tests.support.ports import free_port
from torch.distributed.elastic.rendezvous.etcd_server import EtcdServer

from rendezvous_controlplane import ControlPlaneError, LocalControlPlane

COMMAND = [sys.executable, "-m", "rendezvous_controlplane", "run"]


@OWN_CONTROL_PLANE
def test_code_for_etcd_server_finds_its_methods(tmp_path: Path) -> None:
    methods = {name for name in vars(EtcdServer) if not name.startswith("_")}
    assert {"start", "stop", "get_endpoint", "get_client"} <= methods
    assert {name for name in methods if not callable(getattr(LocalControlPlane, name, None))} == set()

    port = free_port()
    server = LocalControlPlane(tmp_path / "data", port=port)
    with pytest.raises(ControlPlaneError, match="not started"):
        server.get_endpoint()
    server.start()
    try:
        assert (server.get_host(), server.get_port()) == ("127.0.0.1", port)
        assert server.get_endpoint() == f"127.0.0.1:{port}"
        assert server.url == f"https://127.0.0.1:{port}"
        found = client.CoreV1Api(server.get_client()).read_namespace("default")
        assert found.metadata.name == "default"
        with pytest.raises(ControlPlaneError, match=rf"^port {port} of 127\.0\.0\.1 is not available: .+in use"):
            LocalControlPlane(port=port).start()
    finally:
        server.stop()
    with socket.create_server(("127.0.0.1", port)), pytest.raises(ControlPlaneError, match=rf"^port {port} of"):
        server.start()
    server.start()  # the failure has left nothing behind, and the port is the same
    assert server.get_port() == port
    server.stop()


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none_is_named(port: int) -> None:
    with pytest.raises(ValueError, match=rf"^port {port}: must be from 1 to 65535"):
        LocalControlPlane(port=port)
    done = subprocess.run([*COMMAND, f"--port={port}"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert f"argument --port: invalid port value: '{port}'" in done.stderr


MANIFESTS = """
import pytest


@pytest.fixture(scope="session")
def control_plane_manifests(tmp_path_factory):
    file = tmp_path_factory.mktemp("manifests") / "account.yaml"
    file.write_text("apiVersion: v1\\nkind: ServiceAccount\\nmetadata: {name: mine, namespace: default}\\n")
    return [file]
"""
TESTS = """
from kubernetes import client


def test_each_test_has_a_namespace_of_its_own(control_plane, control_plane_namespace):
    name = control_plane_namespace
    assert control_plane.kubectl("get", "namespace", name, "--output=name").strip() == f"namespace/{name}"
    assert name != "default"


def test_the_control_plane_is_one_for_all(control_plane, control_plane_namespace):
    assert len(client.CoreV1Api(control_plane.get_client()).list_namespace(label_selector="!x").items) >= 6
    found = control_plane.kubectl("get", "serviceaccounts", "--output=name").split()
    assert found == EXPECTED
"""
OF_ANOTHER_PROJECT = """
import sys

import pytest


@pytest.fixture
def control_plane():
    return "a cockpit"


@pytest.fixture
def namespace():
    return {}


def test_names_of_another_project_mean_its_own_fixtures(control_plane, namespace):
    assert (control_plane, namespace) == ("a cockpit", {})
    ours = {name for name in sys.modules if name.startswith("rendezvous_controlplane")}
    assert ours == {"rendezvous_controlplane", "rendezvous_controlplane.pytest_plugin"}
    assert not {"cryptography", "kubernetes"} & set(sys.modules)
"""
ASKED_FOR = """
def test_it(control_plane):
    pass
"""


def run_pytest(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the tests of another project, in which nothing names the plug-in."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(folder)]
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )


@OWN_CONTROL_PLANE
@pytest.mark.parametrize(
    ("conftest", "expected"),
    [
        pytest.param("", [], id="as it is"),
        pytest.param(MANIFESTS, ["serviceaccount/mine"], id="with manifests"),
    ],
)
def test_other_projects_have_the_fixtures(conftest: str, expected: list[str], tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_mine.py").write_text(f"EXPECTED = {expected}\n{TESTS}")
    done = run_pytest(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_the_plug_in_does_nothing_for_those_who_do_not_use_it(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(OF_ANOTHER_PROJECT)
    # Would be an error if it looked for the programs of a control plane.
    done = run_pytest(tmp_path, KUBEBUILDER_ASSETS=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_the_programs_are_there_before_the_first_test(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(ASKED_FOR)
    done = run_pytest(tmp_path, KUBEBUILDER_ASSETS=str(tmp_path))
    assert done.returncode != 0
    assert "KUBEBUILDER_ASSETS" in done.stdout + done.stderr
    assert "test_it" not in done.stdout, "no test was started"


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(ASKED_FOR)
    done = run_pytest(tmp_path, "-p", "no:rendezvous-control-plane")
    assert "fixture 'control_plane' not found" in done.stdout
