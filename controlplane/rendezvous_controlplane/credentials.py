"""The users of the local API server, their tokens and kubeconfigs, and the key that signs service-account tokens."""

import base64
import csv
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec


def write_private(path: Path, text: str) -> Path:
    """Write a file that only its owner may read, and return its path."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return path


def new_private_key() -> ec.EllipticCurvePrivateKey:
    """A new P-256 key, which every version of Go and Kubernetes accepts."""
    return ec.generate_private_key(ec.SECP256R1())


def private_key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """A private key in PEM, without a password."""
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return pem.decode("ascii")


def write_signing_key(path: Path) -> None:
    """Write a new private key, with which the API server signs service-account tokens."""
    write_private(path, private_key_pem(new_private_key()))


def write_token_file(path: Path, users: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Write kube-apiserver's `--token-auth-file` for users and their groups; returns each user's new token."""
    tokens = {user: secrets.token_hex(16) for user in users}
    write_private(path, "")
    with open(path, "a", encoding="utf-8", newline="") as file:
        for user, groups in users.items():
            csv.writer(file).writerow([tokens[user], user, user, ",".join(groups)])
    return tokens


def write_kubeconfig(path: Path, url: str, certificates: str, token: str) -> Path:
    """Write a kubeconfig with one cluster, user and context, all named kube-rendezvous-local; returns its path.

    certificates: what the server's certificate is checked against, in PEM. The file is JSON, which is YAML too.
    """
    name = "kube-rendezvous-local"
    authority = base64.b64encode(certificates.encode("ascii")).decode("ascii")
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": url, "certificate-authority-data": authority}}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "default"}}],
        "current-context": name,
    }
    return write_private(path, json.dumps(config, indent=2) + "\n")


def copy_kubeconfig(original: Path, path: Path, url: str) -> Path:
    """Write a copy of a kubeconfig of `write_kubeconfig` that leads to another URL; returns its path."""
    config = json.loads(original.read_text(encoding="utf-8"))
    config["clusters"][0]["cluster"]["server"] = url
    return write_private(path, json.dumps(config, indent=2))
