"""The cluster's certificate authority, and the certificates that it signs.

None of them names a key (subjectKeyIdentifier, authorityKeyIdentifier), as in many clusters that run. kubectl accepts
such certificates; Python 3.13 refuses them unless a program says otherwise (``VERIFY_X509_STRICT``).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rendezvous_controlplane.credentials import new_private_key, private_key_pem, write_private

from .layout import API_SERVICE_ADDRESS, CONTROL_ADDRESS, state_dir

_SERVER_NAMES = (
    *(x509.IPAddress(IPv4Address(address)) for address in (CONTROL_ADDRESS, API_SERVICE_ADDRESS, "127.0.0.1")),
    x509.DNSName("localhost"),
    x509.DNSName("kubernetes"),
    x509.DNSName("kubernetes.default"),
    x509.DNSName("kubernetes.default.svc"),
    x509.DNSName("kubernetes.default.svc.cluster.local"),
)
_VALID = timedelta(days=3650)


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
        subject = _name("kube-apiserver", organization="system:masters")
        _sign("apiserver-kubelet-client", subject, ExtendedKeyUsageOID.CLIENT_AUTH, ())


def make_serving_certificate() -> None:
    """Make the API server's certificate, or another one with a new key; the API server takes it within a minute."""
    _sign("apiserver", _name("kube-apiserver"), ExtendedKeyUsageOID.SERVER_AUTH, _SERVER_NAMES)


def fingerprint(pem: str) -> str:
    """The SHA-256 of a certificate (PEM), in hexadecimal."""
    return x509.load_pem_x509_certificate(pem.encode("ascii")).fingerprint(hashes.SHA256()).hex()


def _make_authority() -> None:
    key, name = new_private_key(), _name("kube-rendezvous-test-cluster")
    usage = x509.KeyUsage(
        key_cert_sign=True,
        crl_sign=True,
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = _builder(name, name, key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(usage, critical=True)
    _write("ca", key, builder.sign(key, hashes.SHA256()))


def _sign(name: str, subject: x509.Name, usage: x509.ObjectIdentifier, names: Sequence[x509.GeneralName]) -> None:
    authority = x509.load_pem_x509_certificate(certificate("ca").read_bytes())
    signing_key = serialization.load_pem_private_key(private_key("ca").read_bytes(), password=None)
    assert isinstance(signing_key, ec.EllipticCurvePrivateKey)
    key = new_private_key()
    builder = _builder(subject, authority.subject, key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    _write(name, key, builder.sign(signing_key, hashes.SHA256()))


def _name(common_name: str, organization: str | None = None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(timezone.utc)
    builder = x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key)
    return builder.serial_number(x509.random_serial_number()).not_valid_before(now).not_valid_after(now + _VALID)


def _write(name: str, key: ec.EllipticCurvePrivateKey, made: x509.Certificate) -> None:
    """Each file is renamed into its place: a running API server reads both."""
    pem = made.public_bytes(serialization.Encoding.PEM).decode("ascii")
    for path, text in ((private_key(name), private_key_pem(key)), (certificate(name), pem)):
        write_private(path.with_suffix(f"{path.suffix}.new"), text).rename(path)
