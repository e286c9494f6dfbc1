"""The local control plane, with the real etcd and kube-apiserver."""

import base64
import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import kubernetes
import pytest
from tests.support.groups import OWN_CONTROL_PLANE
from tests.support.proxy import Proxy
from tests.support.waiting import wait_until

from rendezvous_controlplane import ControlPlaneError, LocalControlPlane

CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.test.example}
spec:
  group: test.example
  scope: Namespaced
  names: {plural: things, singular: thing, kind: Thing}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: worker-0}
spec:
  serviceAccountName: worker
  containers: [{name: main, image: none}]
"""


@pytest.fixture
def plane(control_plane: LocalControlPlane) -> LocalControlPlane:
    """That of the session, with alice among its users."""
    return control_plane


def processes_naming(folder: Path) -> list[int]:
    """The process ids whose command line names `folder`, in order."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            # The servers and their guards; not a child of ours that is about to become kubectl, say.
            if os.fsencode(folder) in command and (b"kube-apiserver" in command or b"etcd" in command):
                found.append(int(entry.name))
    return sorted(found)


def test_it_is_ready_soon_and_says_its_version(plane: LocalControlPlane) -> None:
    assert plane.version.startswith("v1.36.")
    assert 0.1 < plane.start_seconds < 60  # 3 s on an idle machine; this one may be busy
    assert plane.kubectl("get", "--raw=/readyz") == "ok"
    assert plane.kubectl("get", "namespace", "default", "--output=name") == "namespace/default\n"


def test_python_clients_can_use_its_kubeconfig(plane: LocalControlPlane) -> None:
    with kubernetes.config.new_client_from_config(str(plane.kubeconfig)) as client:
        assert client.configuration.host == plane.url
        assert kubernetes.client.VersionApi(client).get_code().git_version == plane.version


def test_nobody_else_can_read_its_secrets(plane: LocalControlPlane) -> None:
    assert stat.S_IMODE(plane.data_dir.stat().st_mode) == 0o700


def test_kubectl_failures_say_what_kubectl_said(plane: LocalControlPlane) -> None:
    with pytest.raises(ControlPlaneError, match=r"kubectl get pod nobody` failed.*not found"):
        plane.kubectl("get", "pod", "nobody")


def test_users_have_their_groups_and_no_rights(plane: LocalControlPlane) -> None:
    alice = plane.kubeconfig_for("alice")
    review = json.loads(plane.kubectl("auth", "whoami", "--output=json", kubeconfig=alice))
    assert review["status"]["userInfo"]["username"] == "alice"
    assert {"team-a", "team-b"} <= set(review["status"]["userInfo"]["groups"])
    with pytest.raises(ControlPlaneError, match=r'Forbidden.*User "alice" cannot list'):
        plane.kubectl("get", "pods", kubeconfig=alice)
    with pytest.raises(ValueError, match="bob"):
        plane.kubeconfig_for("bob")


def test_without_a_token_one_is_nobody(plane: LocalControlPlane) -> None:
    context = ssl.create_default_context(cafile=str(plane.data_dir / "certs" / "apiserver.crt"))
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{plane.url}/api/v1/pods", context=context, timeout=10)


def test_a_token_bound_to_a_pod_names_it(plane: LocalControlPlane) -> None:
    plane.kubectl("create", "namespace", "bound")
    plane.kubectl("create", "serviceaccount", "worker", "--namespace=bound")
    plane.kubectl("apply", "--namespace=bound", "--filename=-", input=POD)
    uid = plane.kubectl("get", "pod", "worker-0", "--namespace=bound", "--output=jsonpath={.metadata.uid}")
    bound = ["--bound-object-kind=Pod", "--bound-object-name=worker-0", f"--bound-object-uid={uid}"]
    token = plane.kubectl("create", "token", "worker", "--namespace=bound", *bound).strip()

    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["kubernetes.io"]["namespace"] == "bound"
    assert claims["kubernetes.io"]["pod"] == {"name": "worker-0", "uid": uid}
    assert claims["kubernetes.io"]["serviceaccount"]["name"] == "worker"

    # And the API server believes it.
    worker = plane.kubeconfig_with_token(token)
    review = json.loads(plane.kubectl("auth", "whoami", "--output=json", kubeconfig=worker))
    assert review["status"]["userInfo"]["username"] == "system:serviceaccount:bound:worker"
    assert review["status"]["userInfo"]["extra"]["authentication.kubernetes.io/pod-name"] == ["worker-0"]


def test_a_pod_needs_no_service_account(plane: LocalControlPlane) -> None:
    plane.kubectl("run", "bare", "--image=none")
    assert plane.kubectl("get", "pod", "bare", "--output=jsonpath={.status.phase}") == "Pending"


def test_crds_are_served_when_apply_returns(plane: LocalControlPlane, tmp_path: Path) -> None:
    (tmp_path / "crd.yaml").write_text(CRD)
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "namespace.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: applied}")
    plane.apply([tmp_path / "crd.yaml", tmp_path / "more"])
    assert json.loads(plane.kubectl("get", "--raw=/apis/test.example/v1/things"))["items"] == []
    assert plane.kubectl("get", "namespace", "applied", "--output=name") == "namespace/applied\n"
    (tmp_path / "bad.yaml").write_text(CRD.replace("things.test.example", "wrong.name"))
    with pytest.raises(ControlPlaneError, match=r"wrong\.name"):
        plane.apply(tmp_path / "bad.yaml")


def test_it_is_reached_through_a_proxy_on_another_port(plane: LocalControlPlane) -> None:
    with Proxy(plane.port) as proxy:
        port = proxy.port
        assert plane.kubectl("get", "--raw=/readyz", kubeconfig=plane.kubeconfig_via(port)) == "ok"
        alice = plane.kubeconfig_via(port, plane.kubeconfig_for("alice"))
        assert "alice" in plane.kubectl("auth", "whoami", kubeconfig=alice)
    with pytest.raises(ControlPlaneError, match="refused"):
        plane.kubectl("get", "--raw=/readyz", kubeconfig=plane.kubeconfig_via(port))


@OWN_CONTROL_PLANE
def test_two_at_once_know_nothing_of_each_other(plane: LocalControlPlane) -> None:
    plane.kubectl("create", "configmap", "only-here")
    with LocalControlPlane() as other:
        assert other.port != plane.port
        assert other.data_dir != plane.data_dir
        with pytest.raises(ControlPlaneError, match="not found"):
            other.kubectl("get", "configmap", "only-here")
        # Who means the one and meets the other notices.
        with pytest.raises(ControlPlaneError, match="certificate"):
            plane.kubectl("get", "namespaces", kubeconfig=other.kubeconfig_via(plane.port))
    assert plane.kubectl("get", "configmap", "only-here", "--output=name") == "configmap/only-here\n"


@OWN_CONTROL_PLANE
def test_the_api_server_can_be_away_for_a_while() -> None:
    with LocalControlPlane() as plane:
        plane.kubectl("create", "configmap", "kept")
        before = plane.kubeconfig.read_text()
        url = plane.url
        plane.stop_apiserver()
        plane.stop_apiserver()  # again does nothing
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", plane.port), timeout=5)
        with pytest.raises(OSError, match="Address already in use"), socket.socket() as thief:
            thief.bind(("127.0.0.1", plane.port))
        assert plane.ended_server() is None  # it was told to
        plane.start_apiserver()
        plane.start_apiserver()
        assert plane.url == url
        assert plane.kubectl("get", "configmap", "kept", "--output=name") == "configmap/kept\n"

        assert plane.kubeconfig.read_text() == before  # the same credentials, so clients go on


@OWN_CONTROL_PLANE
def test_a_snapshot_is_brought_back(tmp_path: Path) -> None:
    with LocalControlPlane() as plane:
        plane.kubectl("create", "configmap", "before")
        plane.snapshot(tmp_path / "snapshot")
        kubeconfig, url = plane.kubeconfig.read_text(), plane.url
        with pytest.raises(FileExistsError):
            plane.snapshot(tmp_path / "snapshot")
        plane.kubectl("create", "configmap", "after")
        assert len(processes_naming(plane.data_dir)) == 4, "etcd, the API server, and a guard of each"
        with plane.etcd_paused(), pytest.raises(ControlPlaneError, match="took longer"):
            plane.kubectl("create", "configmap", "meanwhile", timeout=1)
        for _ in range(2):
            plane.restore(tmp_path / "snapshot")
            names = plane.kubectl("get", "configmap", "--output=name").split()
            assert [name for name in names if "kube-root" not in name] == ["configmap/before"]
            assert (plane.kubeconfig.read_text(), plane.url) == (kubeconfig, url)
        assert len(processes_naming(plane.data_dir)) == 4
        with pytest.raises(FileNotFoundError, match="no snapshot: /nowhere"):
            plane.restore("/nowhere")
        assert plane.kubectl("get", "--raw=/readyz") == "ok"


@OWN_CONTROL_PLANE
def test_a_data_folder_is_kept_and_used_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    plane = LocalControlPlane(data)
    plane.start()
    try:
        plane.kubectl("create", "serviceaccount", "keeper")
        token = plane.kubectl("create", "token", "keeper").strip()
        with pytest.raises(ControlPlaneError, match="another control plane is using"):
            LocalControlPlane(data).start()
        with pytest.raises(ControlPlaneError, match="started already"):
            plane.start()
        assert plane.kubectl("get", "--raw=/readyz") == "ok"  # neither attempt did it any harm
    finally:
        plane.stop()
    plane.stop()  # again does nothing
    assert processes_naming(data) == []
    with pytest.raises(ControlPlaneError, match="not started"):
        _ = plane.url
    with LocalControlPlane(data) as again:
        assert again.kubectl("get", "serviceaccount", "keeper", "--output=name") == "serviceaccount/keeper\n"
        whoami = again.kubectl("auth", "whoami", kubeconfig=again.kubeconfig_with_token(token))
        assert "system:serviceaccount:default:keeper" in whoami


@OWN_CONTROL_PLANE
def test_a_start_that_fails_says_what_the_log_said_and_leaves_nothing() -> None:
    plane = LocalControlPlane(apiserver_args=["--no-such-flag"])
    with pytest.raises(
        ControlPlaneError, match=r"kube-apiserver ended with exit code 1;(.|\n)*unknown flag: --no-such-flag"
    ) as error:
        plane.start()
    folder = Path(str(error.value).split("; ")[1].partition(":\n")[0]).parent
    assert folder.name.startswith("kube-rendezvous-")
    assert not folder.exists()
    assert processes_naming(folder) == []


@OWN_CONTROL_PLANE
def test_a_start_that_takes_too_long_says_what_is_missing() -> None:
    with pytest.raises(ControlPlaneError, match=r"^the control plane does not get ready: .+(.|\n)*/etcd\.log:\n"):
        LocalControlPlane(start_timeout=0.3).start()


@OWN_CONTROL_PLANE
def test_nothing_survives_a_sigkill_of_the_owner() -> None:
    program = """
import sys, time
from rendezvous_controlplane import LocalControlPlane
plane = LocalControlPlane()
plane.start()
print(plane.data_dir, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        data = Path(owner.stdout.readline().strip())
        assert data.is_dir()
        assert len(processes_naming(data)) == 4, "etcd, kube-apiserver and a guard each"
        owner.kill()
    wait_until(lambda: processes_naming(data) == [], "both servers and their guards are gone")
    assert not data.exists()


@OWN_CONTROL_PLANE
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_runs_until_a_signal(number: signal.Signals, tmp_path: Path) -> None:
    out = tmp_path / "kubeconfig"
    command = [sys.executable, "-m", "rendezvous_controlplane", "run", "--data-dir", str(tmp_path / "data")]
    with subprocess.Popen(
        [*command, "--kubeconfig-out", str(out)], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        assert running.stdout is not None
        lines = []
        for line in running.stdout:
            lines.append(line)
            if line.startswith("export KUBECONFIG="):
                break
        text = "".join(lines)
        assert f"export KUBECONFIG={out}\n" in text
        assert "Kubernetes  v1.36." in text
        assert "API server  https://127.0.0.1:" in text
        server = json.loads(out.read_text())["clusters"][0]["cluster"]["server"]
        assert server in text
        # To the whole group, as a terminal's Ctrl-C: the servers must leave it to the command to stop them.
        os.killpg(running.pid, number)
        assert running.wait(30) == 0
    assert processes_naming(tmp_path / "data") == []
    assert not out.exists()


def test_the_command_does_not_overwrite_a_kubeconfig(tmp_path: Path) -> None:
    mine = tmp_path / "config"
    mine.write_text("mine")
    command = [sys.executable, "-m", "rendezvous_controlplane", "run", "--kubeconfig-out", str(mine)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == f"error: {mine} exists already: it would be overwritten\n"
    assert mine.read_text() == "mine"


def test_the_build_command_says_where_the_programs_are() -> None:
    command = [sys.executable, "-m", "rendezvous_controlplane", "build"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == ["kube-apiserver", "etcd", "kubectl", "from"]
    assert lines[0][1].startswith("1.36.")
    for line in lines[:3]:
        assert os.access(line[-1], os.X_OK)
