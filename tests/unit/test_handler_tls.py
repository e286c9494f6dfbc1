"""TLS to the API server: what is checked, and what is read again when files change."""

import os
import socket
import ssl
from pathlib import Path

import pytest
import trustme
from tests.support.raw_client import client_of, failure, get, patch, tls_of, trust_in
from tests.support.raw_server import (
    RawServer,
    answer,
)

from rendezvous_handler.kube.client import Client
from rendezvous_handler.kube.credentials import Fixed
from rendezvous_handler.kube.server import Server
from rendezvous_handler.kube.tls import Pem, Tls, TlsSettings


def ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("tls", [False, True])
def test_ipv6(tls: bool, authority: trustme.CA, trusting: Tls) -> None:
    context = tls_of(authority, "::1") if tls else None
    with RawServer(host="::1", tls=context) as server:
        server.scripts.append(server.serve(answer()))
        url = f"{'https' if tls else 'http'}://[::1]:{server.port}"
        assert get(Client(Server(url, Fixed(), trusting if tls else None), "team", in_pod=False)) == {}
        assert f"\r\nHost: [::1]:{server.port}\r\n".encode() in server.requests[0]


@pytest.fixture
def files(tmp_path: Path, authority: trustme.CA) -> Path:
    (tmp_path / "ca.crt").write_bytes(authority.cert_pem.bytes())
    return tmp_path / "ca.crt"


def test_an_authority_that_was_replaced_is_read_again(files: Path, authority: trustme.CA) -> None:
    other = trustme.CA()
    with RawServer(tls=tls_of(authority)) as server:
        server.scripts.append(server.serve(answer()))
        client = client_of(server, tls=Tls(TlsSettings(authority=Pem(file=str(files)))))
        assert get(client) == {}
        server.tls = tls_of(other)
        problem = failure(lambda: patch(client))
        assert f"is not accepted: self-signed certificate in certificate chain. It was checked against {files}" in str(
            problem
        ) or "unable to get local issuer" in str(problem)
        assert problem.not_carried_out
        assert client.contact.untrusted
        files.write_text("being written")
        failure(lambda: patch(client))
        files.write_bytes(other.cert_pem.bytes())
        assert patch(client) == {}
        files.unlink()  # for a moment
        assert patch(client) == {}


def test_a_session_is_resumed(authority: trustme.CA, trusting: Tls) -> None:
    resumed = []
    with RawServer(tls=tls_of(authority)) as server:

        def run(sock: socket.socket) -> None:
            assert isinstance(sock, ssl.SSLSocket)
            resumed.append(sock.session_reused)
            server.serve(answer())(sock)

        server.scripts.append(run)
        client = client_of(server, tls=trusting)
        for _ in range(3):
            assert get(client) == {}
    assert resumed == [False, True, True]


def test_a_session_is_not_resumed_when_a_file_has_changed(files: Path, authority: trustme.CA) -> None:
    """Python refuses the session of another context. The answer of an earlier connection may come after the change."""
    resumed = []
    with RawServer(tls=tls_of(authority)) as server:

        def run(sock: socket.socket) -> None:
            assert isinstance(sock, ssl.SSLSocket)
            resumed.append(sock.session_reused)
            sock.sendall(b"x")
            sock.recv(1)

        server.scripts.append(run)
        tls = Tls(TlsSettings(authority=Pem(file=str(files))))

        def connect() -> ssl.SSLSocket:
            wrapped = tls.wrap(socket.create_connection(("127.0.0.1", server.port)), "127.0.0.1")
            assert wrapped.recv(1) == b"x"
            return wrapped

        with connect() as earlier:
            files.write_bytes(authority.cert_pem.bytes() + b"\n")
            with connect():
                tls.remember(earlier)
            with connect():
                pass
    assert resumed == [False, False, False]


@pytest.mark.parametrize("given", [False, True])
def test_the_authorities_of_this_machine_count_where_no_other_one_is_given(
    given: bool, tmp_path: Path, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "machine.crt").write_bytes(authority.cert_pem.bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "machine.crt"))
    with RawServer(tls=tls_of(authority)) as server:
        server.scripts.append(server.serve(answer()))
        if given:
            client = client_of(server, tls=trust_in(trustme.CA()))
            assert "is not accepted" in str(failure(lambda: get(client)))
        else:
            assert get(client_of(server, tls=Tls(TlsSettings()))) == {}


@pytest.mark.parametrize("memory", [True, False], ids=["files-in-memory", "none"])
def test_a_client_shows_its_certificate_from_files_or_data(
    authority: trustme.CA, tmp_path: Path, memory: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pythons for an old glibc have no files in memory."""
    if not memory:
        monkeypatch.delattr(os, "memfd_create")
    context = tls_of(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    own = authority.issue_cert("ann@example.com")
    own.private_key_pem.write_to_path(str(tmp_path / "key"))
    (tmp_path / "certificate").write_bytes(own.cert_chain_pems[0].bytes())
    trust = Pem(text=authority.cert_pem.bytes().decode())
    by_file = [Pem(file=str(tmp_path / name)) for name in ("certificate", "key")]
    by_data = [Pem(text=Path(pem.file).read_text()) for pem in by_file]
    with RawServer(tls=context) as server:
        server.scripts.append(server.serve(answer(), answer()))
        for certificate, key in (by_file, by_data):
            settings = TlsSettings(authority=trust, certificate=certificate, key=key)
            client = client_of(server, tls=Tls(settings))
            assert get(client) == get(client) == {}
        assert server.connections == 2
        server.scripts.append(server.serve(answer(), answer()))
        client = client_of(server, tls=Tls(TlsSettings(authority=trust, certificate=by_file[0], key=by_file[1])))
        assert get(client) == {}
        renewed = authority.issue_cert("ann@example.com")
        renewed.private_key_pem.write_to_path(str(tmp_path / "key"))
        assert get(client) == {}, "the key does not fit yet: as before"
        assert server.connections == 3
        (tmp_path / "certificate").write_bytes(renewed.cert_chain_pems[0].bytes())
        assert patch(client) == {}, "a renewed certificate is shown on a new connection"
        assert server.connections == 4
        failure(lambda: get(client_of(server, tls=Tls(TlsSettings(authority=trust)))))


def test_another_name_in_the_certificate_or_no_check(authority: trustme.CA) -> None:
    trust = Pem(text=authority.cert_pem.bytes().decode())
    with RawServer(tls=tls_of(authority, "kubernetes.default.svc")) as server:
        server.scripts.append(server.serve(answer()))
        assert "mismatch" in str(failure(lambda: get(client_of(server, tls=Tls(TlsSettings(authority=trust))))))
        named = TlsSettings(authority=trust, server_name="kubernetes.default.svc")
        assert get(client_of(server, tls=Tls(named))) == {}
        assert get(client_of(server, tls=Tls(TlsSettings(verify=False)))) == {}


def test_an_encrypted_key_is_an_error_and_no_question_on_the_terminal(authority: trustme.CA, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    own = authority.issue_cert("a.example")
    key = load_pem_private_key(own.private_key_pem.bytes(), None)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    with pytest.raises(OSError, match=r".+"):
        Tls(
            TlsSettings(
                certificate=Pem(text=own.cert_chain_pems[0].bytes().decode()),
                key=Pem(text=secret.decode()),
            )
        )
