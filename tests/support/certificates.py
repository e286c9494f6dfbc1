"""Certificates as old tools have made them: neither says by which key it was signed."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_DAY = timedelta(days=1)


class WithoutIdentifiers:
    """An authority, and the certificate of a server, without subjectKeyIdentifier and authorityKeyIdentifier.

    Attributes:
        authority: PEM file.
        certificate: PEM file, signed by the authority.
        key: PEM file, of the certificate.
    """

    def __init__(self, folder: Path, host: str) -> None:
        """Write the files into a folder; the certificate is for a DNS name."""
        own, issuer = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        authority = _builder("old authority", "old authority", issuer.public_key())
        authority = authority.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"), False
        )
        usage |= {"digital_signature": True, "key_cert_sign": True, "crl_sign": True, "decipher_only": False}
        authority = authority.add_extension(x509.KeyUsage(**usage), critical=True)
        server = _builder("old server", "old authority", own.public_key())
        server = server.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        self.authority, self.certificate, self.key = (folder / name for name in ("ca.crt", "server.crt", "server.key"))
        self.authority.write_bytes(authority.sign(issuer, hashes.SHA256()).public_bytes(Encoding.PEM))
        self.certificate.write_bytes(server.sign(issuer, hashes.SHA256()).public_bytes(Encoding.PEM))
        self.key.write_bytes(own.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))


def _builder(subject: str, issuer: str, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(timezone.utc)
    subject_name, issuer_name = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (subject, issuer)
    )
    return x509.CertificateBuilder(
        subject_name=subject_name,
        issuer_name=issuer_name,
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=now - _DAY,
        not_valid_after=now + 365 * _DAY,
    )
