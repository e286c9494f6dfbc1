"""LocalControlPlane as the counterpart of torch's EtcdServer, and the fixtures that other projects' tests import."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from kubernetes import client
from torch.distributed.elastic.rendezvous.etcd_server import EtcdServer

from rendezvous_controlplane import ControlPlaneError, LocalControlPlane

COMMAND = [sys.executable, "-m", "rendezvous_controlplane", "run"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


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
        with pytest.raises(ControlPlaneError, match=rf"^port {port} of 127\.0\.0\.1 cannot be had: .+in use"):
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


CONFTEST = """
import pytest

pytest_plugins = ["rendezvous_controlplane.testing"]
"""
OVERRIDE = """

@pytest.fixture(scope="session")
def control_plane_manifests(tmp_path_factory):
    file = tmp_path_factory.mktemp("manifests") / "account.yaml"
    file.write_text("apiVersion: v1\\nkind: ServiceAccount\\nmetadata: {name: mine, namespace: default}\\n")
    return [file]
"""
TESTS = """
from kubernetes import client


def test_each_test_has_a_namespace_of_its_own(control_plane, namespace):
    assert control_plane.kubectl("get", "namespace", namespace, "--output=name").strip() == f"namespace/{namespace}"
    assert namespace != "default"


def test_the_control_plane_is_one_for_all(control_plane, namespace):
    assert len(client.CoreV1Api(control_plane.get_client()).list_namespace(label_selector="!x").items) >= 6
    found = control_plane.kubectl("get", "serviceaccounts", "--output=name").split()
    assert found == EXPECTED
"""


@pytest.mark.parametrize(
    ("conftest", "expected"),
    [
        pytest.param(CONFTEST, [], id="as it is"),
        pytest.param(CONFTEST + OVERRIDE, ["serviceaccount/mine"], id="with manifests"),
    ],
)
def test_others_can_import_the_fixtures(conftest: str, expected: list[str], tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_mine.py").write_text(f"EXPECTED = {expected}\n{TESTS}")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
