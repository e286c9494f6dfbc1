"""Who may log in to the local API server, and the kubeconfigs that say so."""

import base64
import csv
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

# The order of the P-256 group: a private key is a number from 1 to one less.
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
# The ASN.1 of RFC 5915 around the 32 bytes of a P-256 private key: version 1, key, the curve's name. The public key is
# optional there, and Go computes it.
_EC_KEY_BEFORE = bytes.fromhex("30310201010420")
_EC_KEY_AFTER = bytes.fromhex("a00a06082a8648ce3d030107")


def write_private(path: Path, text: str) -> Path:
    """Write a file that only its owner may read, and return its path."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return path


def write_signing_key(path: Path) -> None:
    """Write a new P-256 private key in PEM, with which the API server signs service-account tokens."""
    key = (1 + secrets.randbelow(_P256_ORDER - 1)).to_bytes(32, "big")
    body = base64.encodebytes(_EC_KEY_BEFORE + key + _EC_KEY_AFTER).decode("ascii")
    write_private(path, f"-----BEGIN EC PRIVATE KEY-----\n{body}-----END EC PRIVATE KEY-----\n")


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
