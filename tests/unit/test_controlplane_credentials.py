"""The kubeconfigs and the users of the local control plane."""

import base64
import csv
import json
import stat
from pathlib import Path

import yaml
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from rendezvous_controlplane import credentials


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_kubeconfig_is_yaml_and_private(tmp_path: Path) -> None:
    path = tmp_path / "a.kubeconfig"
    path.touch(mode=0o644)  # one that is there is replaced, not opened
    assert credentials.write_kubeconfig(path, "https://127.0.0.1:1234", "PEM", "secret") == path
    assert mode(path) == 0o600
    config = yaml.safe_load(path.read_text())
    (context,) = config["contexts"]
    (cluster,) = config["clusters"]
    (user,) = config["users"]
    assert config["current-context"] == context["name"]
    assert context["context"] == {"cluster": cluster["name"], "user": user["name"], "namespace": "default"}
    assert cluster["cluster"]["server"] == "https://127.0.0.1:1234"
    assert base64.b64decode(cluster["cluster"]["certificate-authority-data"]) == b"PEM"
    assert user["user"] == {"token": "secret"}
    assert json.loads(path.read_text()) == config


def test_the_token_file_names_users_and_groups(tmp_path: Path) -> None:
    path = tmp_path / "tokens.csv"
    tokens = credentials.write_token_file(path, {"admin": ["system:masters"], "a,b": ["x", "y"], "c": []})
    assert mode(path) == 0o600
    with open(path, newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        [tokens["admin"], "admin", "admin", "system:masters"],
        [tokens["a,b"], "a,b", "a,b", "x,y"],
        [tokens["c"], "c", "c", ""],
    ]
    assert len(set(tokens.values())) == 3
    assert tokens != credentials.write_token_file(path, {"admin": ["system:masters"], "a,b": ["x", "y"], "c": []})


def test_the_signing_key_is_private_and_new_each_time(tmp_path: Path) -> None:
    credentials.write_signing_key(tmp_path / "one")
    credentials.write_signing_key(tmp_path / "two")
    assert mode(tmp_path / "one") == 0o600
    key = load_pem_private_key((tmp_path / "one").read_bytes(), password=None)
    assert isinstance(key, EllipticCurvePrivateKey)
    assert key.curve.name == "secp256r1"
    assert (tmp_path / "one").read_text() != (tmp_path / "two").read_text()
