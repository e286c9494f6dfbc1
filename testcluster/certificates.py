"""The cluster's certificate authority, and the certificates that it signs, made with openssl."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from .layout import API_SERVICE_ADDRESS, CONTROL_ADDRESS, ClusterError, state_dir

_SERVER_NAMES = (
    f"IP:{CONTROL_ADDRESS}",
    f"IP:{API_SERVICE_ADDRESS}",
    "IP:127.0.0.1",
    "DNS:localhost",
    "DNS:kubernetes",
    "DNS:kubernetes.default",
    "DNS:kubernetes.default.svc",
    "DNS:kubernetes.default.svc.cluster.local",
)
_DAYS = "3650"
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def certificate(name: str) -> Path:
    """A certificate: `ca`, `apiserver` or `apiserver-kubelet-client`."""
    return state_dir() / "pki" / f"{name}.crt"


def private_key(name: str) -> Path:
    """The key of a certificate."""
    return state_dir() / "pki" / f"{name}.key"


def make_certificates() -> None:
    """Make all that are missing."""
    certificate("ca").parent.mkdir(mode=0o700, exist_ok=True)
    if not certificate("ca").exists():
        _make_authority()
    if not certificate("apiserver").exists():
        make_serving_certificate()
    if not certificate("apiserver-kubelet-client").exists():
        # How the API server shows itself to a kubelet, which asks the API server what this user may.
        _sign("apiserver-kubelet-client", {"O": "system:masters", "CN": "kube-apiserver"}, "clientAuth", ())


def make_serving_certificate() -> None:
    """Make the API server's certificate, or another one with a new key; the API server takes it within a minute."""
    _sign("apiserver", {"CN": "kube-apiserver"}, "serverAuth", _SERVER_NAMES)


def fingerprint(pem: str) -> str:
    """The SHA-256 of a certificate (PEM), in hexadecimal with colons."""
    return _openssl("x509", "-noout", "-fingerprint", "-sha256", input=pem).rpartition("=")[2].strip()


def _make_authority() -> None:
    extensions = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"]
    config = _config("ca", {"CN": "kube-rendezvous-test-cluster"}, [*extensions, "subjectKeyIdentifier=hash"])
    new = _new_files("ca")
    _openssl(
        *("req", "-x509", *_NEW_KEY, "-days", _DAYS, "-config", str(config), "-extensions", "extensions"),
        *("-keyout", str(new[0]), "-out", str(new[1])),
    )
    _move("ca", new)


def _sign(name: str, subject: dict[str, str], usage: str, names: Sequence[str]) -> None:
    extensions = ["basicConstraints=critical,CA:FALSE", f"extendedKeyUsage={usage}"]
    extensions += [f"subjectAltName={','.join(names)}"] if names else []
    config = _config(name, subject, extensions)
    new = _new_files(name)
    request = config.with_suffix(".csr")
    _openssl("req", "-new", *_NEW_KEY, "-config", str(config), "-keyout", str(new[0]), "-out", str(request))
    _openssl(
        *("x509", "-req", "-in", str(request), "-CA", str(certificate("ca")), "-CAkey", str(private_key("ca"))),
        *("-CAcreateserial", "-days", _DAYS, "-extfile", str(config), "-extensions", "extensions"),
        *("-out", str(new[1])),
    )
    _move(name, new)


def _config(name: str, subject: dict[str, str], extensions: Sequence[str]) -> Path:
    path = state_dir() / "pki" / f"{name}.cnf"
    fields = [f"{key} = {value}" for key, value in subject.items()]
    lines = ["[req]", "prompt = no", "distinguished_name = subject", "[subject]", *fields, "[extensions]", *extensions]
    path.write_text("\n".join([*lines, ""]), encoding="ascii")
    return path


def _new_files(name: str) -> tuple[Path, Path]:
    return private_key(name).with_suffix(".key.new"), certificate(name).with_suffix(".crt.new")


def _move(name: str, new: tuple[Path, Path]) -> None:
    new[0].rename(private_key(name))
    new[1].rename(certificate(name))


def _openssl(*arguments: str, input: str = "") -> str:
    done = subprocess.run(["openssl", *arguments], input=input, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(f"`openssl {arguments[0]}` failed: {done.stderr.strip()}")
    return done.stdout
