"""A Kubernetes control plane on this machine: etcd and kube-apiserver, with no container engine and no cluster."""

import contextlib
import hashlib
import http.client
import json
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

from .binaries import Binaries, ensure_binaries, ensure_kubectl
from .clients import get, run_kubectl
from .commands import (
    HOST,
    apiserver_command,
    etcd_command,
    etcd_data,
    etcd_socket,
    serving_certificate,
    signing_key,
    token_file,
)
from .credentials import copy_kubeconfig, write_kubeconfig, write_signing_key, write_token_file
from .errors import ControlPlaneError
from .progress_report import Report
from .reservations import reserve_folder, reserve_port
from .server import Server, listens

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

_ADMIN = "admin"
_POLL_SECONDS = 0.05


class LocalControlPlane:
    """etcd and kube-apiserver on this machine, while this object lives; the counterpart of torch's EtcdServer.

    `with LocalControlPlane() as cp:` gives a real API server with RBAC, admission policies, watches and bound
    service-account tokens, and `cp.kubeconfig`, an administrator's. Pods are objects only: nothing runs them. There are
    no controllers either, so nothing collects garbage, and a pod gets no service account that it does not name.
    Any number of them run side by side. The servers end when this process ends, even by SIGKILL.

    Code for torch.distributed.elastic.rendezvous.etcd_server.EtcdServer finds its methods here: `start`,
    `stop`, `get_host`, `get_port`, `get_endpoint`, `get_client`. Back ends find it by `KUBECONFIG`, not by an endpoint.

    Args:
        data_dir: where data, logs and kubeconfigs are kept; made if missing, kept afterwards, and used again by the
            next control plane that is given it. None: a temporary folder, which goes with `stop`.
        port: of the API server, from 1 to 65535; 0 for any free one.
        users: further users and the groups of each, for `kubeconfig_for`. `admin`, in system:masters, is always there.
        apiserver_args: further flags of kube-apiserver; they come last, so they win.
        start_timeout: how long, in seconds, the servers may take until they are ready.
        report: where the progress of a build of the binaries is written; standard error if None.
    """

    def __init__(
        self,
        data_dir: Path | str | None = None,
        *,
        port: int = 0,
        users: Mapping[str, Sequence[str]] | None = None,
        apiserver_args: Sequence[str] = (),
        start_timeout: float = 120.0,
        report: Report | None = None,
    ) -> None:
        if users and _ADMIN in users:
            raise ValueError(f"the user {_ADMIN!r} is always there, in system:masters: choose another name")
        if port not in range(65536):
            raise ValueError(f"port {port}: must be from 1 to 65535, or 0 for any free one")
        self._given_port = port
        self._given_dir = None if data_dir is None else Path(data_dir).absolute()
        self._users = {_ADMIN: ("system:masters",), **(users or {})}
        self._apiserver_args = tuple(apiserver_args)
        self._start_timeout = start_timeout
        self._report = report
        self._kubectl: Path | None = None
        self._binaries: Binaries | None = None
        # All of these are None, or empty, while it is not started.
        self._data_dir: Path | None = None
        self._lock: IO[str] | None = None
        self._port_holder: socket.socket | None = None
        self._etcd: Server | None = None
        self._apiserver: Server | None = None
        self._tokens: dict[str, str] = {}
        #: How long the last `start` took once the binaries were there, in seconds.
        self.start_seconds = 0.0

    def __enter__(self) -> "LocalControlPlane":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # ---- what it is

    @property
    def data_dir(self) -> Path:
        """The folder of data, logs (etcd.log, kube-apiserver.log) and kubeconfigs."""
        if self._data_dir is None:
            raise ControlPlaneError("the control plane is not started")
        return self._data_dir

    @property
    def port(self) -> int:
        """The loopback port of the API server; it is ours until `stop`, even while the API server is stopped."""
        if self._port_holder is None:
            raise ControlPlaneError("the control plane is not started")
        return int(self._port_holder.getsockname()[1])

    @property
    def url(self) -> str:
        """The address of the API server, such as `https://127.0.0.1:40123`."""
        return f"https://{HOST}:{self.port}"

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig of the user `admin`, who is in system:masters."""
        return self.data_dir / "admin.kubeconfig"

    @property
    def binaries(self) -> Binaries:
        """The programs that it runs, and where they came from."""
        if self._binaries is None:
            raise ControlPlaneError("the control plane is not started")
        return self._binaries

    @property
    def version(self) -> str:
        """The version that the API server reports, such as `v1.36.3`."""
        return str(json.loads(self._get("/version")[1])["gitVersion"])

    def ended_server(self) -> str | None:
        """The name and exit code of a server that ended without being asked to, with its log's end; else None."""
        for server in (self._etcd, self._apiserver):
            if server is not None and server.exit_code is not None:
                return f"{server.name} ended with exit code {server.exit_code}; {server.log}:\n{server.log_tail()}"
        return None

    # ---- the same by the names that EtcdServer has

    def get_host(self) -> str:
        """The host of the API server: 127.0.0.1, which serves this machine alone."""
        return HOST

    def get_port(self) -> int:
        """The port of the API server; raises ControlPlaneError, unlike EtcdServer, when it is not started."""
        return self.port

    def get_endpoint(self) -> str:
        """HOST:PORT of the API server. Not for --rdzv-endpoint: there the name of an object belongs."""
        return f"{HOST}:{self.port}"

    def get_client(self) -> "ApiClient":
        """A client of the official Kubernetes package, as admin: `kubernetes.client.CoreV1Api(plane.get_client())`."""
        from kubernetes import client, config  # takes a second; only callers of this method wait for it

        configuration = client.Configuration()
        config.load_kube_config(str(self.kubeconfig), client_configuration=configuration)
        configuration.proxy = None  # no proxy leads to this machine
        return client.ApiClient(configuration)

    # ---- starting and stopping

    def start(self) -> None:
        """Start etcd and the API server and return when it is ready; about 3 s on two cores, once built.

        Raises BinariesError when the programs are missing and cannot be made, and ControlPlaneError when the port or
        the data folder is in use or, with the end of the logs, when a server ends or is not ready within
        `start_timeout`. After an error nothing runs.
        """
        if self._data_dir is not None:
            raise ControlPlaneError("the control plane is started already")
        self._binaries = ensure_binaries(self._report)
        started = time.monotonic()
        try:
            self._prepare_data_dir()
            self._port_holder = reserve_port(HOST, self._given_port)
            self._start_etcd()
            self.start_apiserver()
        except BaseException:
            self.stop()
            raise
        self.start_seconds = time.monotonic() - started

    def stop(self) -> None:
        """Stop both servers and remove the temporary folder; does nothing if it is stopped. It can be started again."""
        self.stop_apiserver()  # first: without etcd it has nothing but errors to log
        self._stop_etcd()
        if self._port_holder is not None:
            self._port_holder.close()
            self._port_holder = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        if self._data_dir is not None:
            if self._given_dir is None:
                shutil.rmtree(self._data_dir, ignore_errors=True)
            self._data_dir = None

    def stop_apiserver(self) -> None:
        """Stop the API server at once, as in a crash, while etcd stays; does nothing if it is stopped.

        Open connections break, and new ones are refused from then on. Nothing that it has confirmed is lost.
        """
        if self._apiserver is not None:
            self._apiserver.stop()
            self._apiserver = None

    def start_apiserver(self) -> None:
        """Start the API server again, on the same port and data; does nothing if it runs. Raises as `start` does."""
        if self._apiserver is not None:
            return
        command = apiserver_command(self.binaries.kube_apiserver, self.data_dir, self.port, self._apiserver_args)
        # SIGKILL: after SIGTERM it would serve open watches for up to its whole shutdown time.
        self._apiserver = self._run("kube-apiserver", command, signal.SIGKILL)
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop_apiserver()
            raise
        write_kubeconfig(self.kubeconfig, self.url, self._certificates(), self._tokens[_ADMIN])

    # ---- etcd

    @contextlib.contextmanager
    def etcd_paused(self) -> Iterator[None]:
        """Let etcd stand still for the time of a `with` block, as on a disk that hangs: requests wait for it."""
        if self._etcd is None:
            raise ControlPlaneError("the control plane is not started")
        with self._etcd.paused():
            yield

    def snapshot(self, folder: Path | str) -> None:
        """Copy all objects as they are now into a new folder, for `restore`. Raises FileExistsError if it exists."""
        with self.etcd_paused():
            shutil.copytree(etcd_data(self.data_dir), folder)

    def restore(self, folder: Path | str) -> None:
        """Go back to a snapshot, as after a loss of etcd's data: both servers are stopped, and started again.

        Versions that were given out since the snapshot are given out again, to other objects. Port, certificates and
        tokens stay. The snapshot is kept. Raises FileNotFoundError if there is none, and ControlPlaneError as `start`
        does.
        """
        data = etcd_data(self.data_dir)
        if not Path(folder).is_dir():
            raise FileNotFoundError(f"no snapshot: {folder}")
        self.stop_apiserver()
        self._stop_etcd()
        shutil.rmtree(data)
        shutil.copytree(folder, data)
        self._start_etcd()
        self.start_apiserver()

    # ---- kubeconfigs

    def kubeconfig_for(self, user: str) -> Path:
        """The kubeconfig of one of `users`; raises ValueError for any other."""
        if user not in self._tokens:
            raise ValueError(f"no user {user!r}: name it in LocalControlPlane(users=...); known: {list(self._tokens)}")
        return self._write_kubeconfig(f"user-{quote(user, safe='')}", self._tokens[user])

    def kubeconfig_with_token(self, token: str) -> Path:
        """A kubeconfig with a bearer token, such as `kubectl create token` prints for a service account."""
        return self._write_kubeconfig(f"token-{hashlib.sha256(token.encode()).hexdigest()[:16]}", token)

    def kubeconfig_via(self, port: int, kubeconfig: Path | None = None) -> Path:
        """A copy of `kubeconfig` (None: admin's) that reaches the API server through another loopback port.

        For a TCP proxy in between: certificates stay valid, since the host is 127.0.0.1 all the same.
        """
        original = kubeconfig or self.kubeconfig
        copy = self.data_dir / f"{original.stem}-via-{port}.kubeconfig"
        return copy_kubeconfig(original, copy, f"https://{HOST}:{port}")

    # ---- kubectl

    def kubectl(
        self, *args: str, input: str | None = None, kubeconfig: Path | None = None, timeout: float = 120.0
    ) -> str:
        """Run kubectl and return its standard output.

        Args:
            args: its arguments, such as `"get", "pods", "-A"`.
            input: its standard input; None is empty.
            kubeconfig: as whom; None is admin.
            timeout: in seconds.

        Raises ControlPlaneError, with what kubectl said, when it fails or takes longer.
        """
        self._kubectl = self._kubectl or ensure_kubectl(self._report)
        program = (
            str(self._kubectl),
            f"--kubeconfig={kubeconfig or self.kubeconfig}",
            # Its cache goes by host and port, and the next control plane may get this port with other kinds.
            f"--cache-dir={self.data_dir / 'kubectl-cache'}",
        )
        return run_kubectl(program, args, input, timeout)

    def apply(self, paths: Path | str | Iterable[Path | str]) -> None:
        """Apply manifests (files or folders) on the server's side, and return when every CRD among them is served.

        Raises ControlPlaneError when one is refused or a CRD is not established within 30 s.
        """
        files = [paths] if isinstance(paths, Path | str) else list(paths)
        output = self.kubectl("apply", "--server-side", "--output=name", *(f"--filename={file}" for file in files))
        crds = [name for name in output.split() if name.startswith("customresourcedefinition.")]
        if not crds:
            return
        self.kubectl("wait", "--for=condition=Established", "--timeout=30s", *crds)
        # The condition is set a little before the API server answers for the new kind.
        for crd in crds:
            found = json.loads(self.kubectl("get", crd, "--output=json"))["spec"]
            for version in (entry["name"] for entry in found["versions"] if entry["served"]):
                self._wait_until_served(f"/apis/{found['group']}/{version}/{found['names']['plural']}?limit=1")

    # ---- inside

    def _prepare_data_dir(self) -> None:
        if self._given_dir is None:
            self._data_dir = Path(tempfile.mkdtemp(prefix="kube-rendezvous-"))
        else:
            self._given_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = reserve_folder(self._given_dir)
            self._data_dir = self._given_dir
        etcd_socket(self._data_dir)  # an error before anything is written, if its path is too long
        if not signing_key(self._data_dir).exists():  # else tokens issued before stay valid
            write_signing_key(signing_key(self._data_dir))
        self._tokens = write_token_file(token_file(self._data_dir), self._users)

    def _run(self, name: str, command: Sequence[str], ending: signal.Signals) -> Server:
        temporary = self.data_dir if self._given_dir is None else None
        return Server(name, command, self.data_dir / f"{name}.log", ending, temporary)

    def _start_etcd(self) -> None:
        path = etcd_socket(self.data_dir)
        path.unlink(missing_ok=True)  # left behind by a kill; it must not look like the new one's
        self._etcd = self._run("etcd", etcd_command(self.binaries.etcd, self.data_dir), signal.SIGTERM)
        deadline = time.monotonic() + self._start_timeout
        # The API server would retry for itself, but with a back-off that costs a second or two.
        while not listens(path):
            self._check_alive_until(deadline, "etcd does not listen")
            time.sleep(_POLL_SECONDS / 5)

    def _stop_etcd(self) -> None:
        if self._etcd is not None:
            self._etcd.stop()
            self._etcd = None

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self._start_timeout
        # The namespace is made by a controller inside the API server, a moment after it calls itself ready.
        for path in ("/readyz", "/api/v1/namespaces/default"):
            status, answer = 0, "no answer yet"
            while status != http.HTTPStatus.OK:
                # Of /readyz's list of checks only those that fail are of interest.
                failing = [line for line in answer.splitlines() if line.startswith("[-]")]
                self._check_alive_until(deadline, f"{path}: {'; '.join(failing) or answer.strip()}")
                time.sleep(_POLL_SECONDS)
                try:
                    status, answer = self._get(path)
                except (OSError, http.client.HTTPException) as error:
                    answer = str(error)

    def _wait_until_served(self, path: str) -> None:
        deadline = time.monotonic() + 30
        while (status := self._get(path)[0]) != http.HTTPStatus.OK:
            self._check_alive_until(deadline, f"{path} is answered with HTTP {status}")
            time.sleep(_POLL_SECONDS)

    def _check_alive_until(self, deadline: float, state: str) -> None:
        """Raise ControlPlaneError if a server has ended, or if it is later than `deadline` (monotonic seconds)."""
        if ended := self.ended_server():
            raise ControlPlaneError(ended)
        if time.monotonic() > deadline:
            logs = [f"{s.log}:\n{s.log_tail()}" for s in (self._etcd, self._apiserver) if s is not None]
            raise ControlPlaneError("\n".join([f"the control plane does not get ready: {state}", *logs]))

    def _get(self, path: str) -> tuple[int, str]:
        """See `get`; as admin."""
        return get((HOST, self.port), path, self._tokens[_ADMIN], self._certificates(), timeout=10)

    def _certificates(self) -> str:
        return serving_certificate(self.data_dir).read_text(encoding="ascii")

    def _write_kubeconfig(self, name: str, token: str) -> Path:
        return write_kubeconfig(self.data_dir / f"{name}.kubeconfig", self.url, self._certificates(), token)
