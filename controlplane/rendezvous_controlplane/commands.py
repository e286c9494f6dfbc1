"""The command lines of etcd and kube-apiserver."""

import os
from collections.abc import Sequence
from pathlib import Path

from .errors import ControlPlaneError

# Both servers serve this machine alone.
HOST = "127.0.0.1"

# The longest path of a unix socket is 108 bytes on Linux and 104 on macOS, with the zero at its end.
_SOCKET_PATH_BYTES = 103


def etcd_data(data_dir: Path) -> Path:
    """The folder in which etcd keeps all objects."""
    return data_dir / "etcd"


def etcd_socket(data_dir: Path) -> Path:
    """The unix socket that etcd listens on.

    It needs no free port, and only this user can reach an etcd, which asks no password, through a private folder.
    Raises ControlPlaneError if its path is too long.
    """
    path = data_dir / "etcd.sock"
    if len(os.fsencode(path)) > _SOCKET_PATH_BYTES:
        raise ControlPlaneError(f"the path of the data folder is too long for a unix socket in it: {data_dir}")
    return path


def signing_key(data_dir: Path) -> Path:
    """The private key with which the API server signs service-account tokens."""
    return data_dir / "service-account.key"


def token_file(data_dir: Path) -> Path:
    """The users that the API server knows, and their tokens."""
    return data_dir / "tokens.csv"


def serving_certificate(data_dir: Path) -> Path:
    """Where the API server writes its certificate and, behind it, that of the authority it made to sign it."""
    return data_dir / "certs" / "apiserver.crt"


def etcd_command(program: Path, data_dir: Path) -> list[str]:
    """How etcd is called: one member, no peers."""
    return [
        str(program),
        f"--data-dir={etcd_data(data_dir)}",
        f"--listen-client-urls=unix://{etcd_socket(data_dir)}",
        f"--listen-peer-urls=unix://{data_dir / 'peer.sock'}",
        # Must look like host:port; it is not used, for there are no peers, and the API server gets the socket.
        "--advertise-client-urls=http://localhost:2379",
        "--unsafe-no-fsync",  # its data need not outlive a power failure
        "--log-level=warn",
    ]


def apiserver_command(program: Path, data_dir: Path, port: int, more: Sequence[str]) -> list[str]:
    """How kube-apiserver is called. more: further flags; where one is given twice, the last wins."""
    return [
        str(program),
        f"--etcd-servers=unix://{etcd_socket(data_dir)}",
        f"--bind-address={HOST}",
        f"--advertise-address={HOST}",  # else it looks for a default route, and fails on a machine without one
        f"--secure-port={port}",
        "--permit-port-sharing",  # see reservations.reserve_port
        f"--cert-dir={serving_certificate(data_dir).parent}",  # it makes one there, for 127.0.0.1, if there is none
        f"--token-auth-file={token_file(data_dir)}",
        "--authorization-mode=Node,RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={signing_key(data_dir)}",
        f"--service-account-signing-key-file={signing_key(data_dir)}",
        "--service-cluster-ip-range=10.96.0.0/16",
        # It would refuse every pod until a controller, which is not here, has made the namespace's `default`.
        "--disable-admission-plugins=ServiceAccount",
        "--endpoint-reconciler-type=none",  # it cannot be done for a loopback address, and the log would fill
        "--allow-privileged",
        *more,
    ]
