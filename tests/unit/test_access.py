"""How the API server is reached: the rules of kubectl."""

import base64
import json
import os
import ssl
from pathlib import Path
from typing import Any

import pytest
from tests.support.certificates import WithoutIdentifiers

from rendezvous_api.access import (
    certificate_problem,
    claims_of,
    kubeconfig_files,
    namespace_of,
    proxy_for,
    proxy_to_use,
    verify_as_kubectl,
)
from rendezvous_api.api_errors import NoConfigurationError

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("url", "no_proxy"),
    [
        ("https://10.96.0.1:443", "10.0.0.0/8"),
        ("https://10.96.0.1:443", "192.168.0.0/16, 10.96.0.0/12"),
        ("https://[fd00:10:96::1]:443", "fd00:10:96::/112"),
        ("https://10.96.0.1", "10.96.0.1"),
        ("https://10.96.0.1", "10.96.0.1:443"),
        ("https://[fd00::1]:6443", "[fd00::1]:6443"),
        ("https://[fd00::1]", "fd00:0::1"),
        ("https://[fd00::1]", "[fd00::1]"),
        ("https://API.team.example:6443", "team.example"),
        ("https://api.team.example", ".team.example"),
        ("https://api.team.example", "*.team.example"),
        ("https://api.team.example", "api.team.example:443"),
        ("https://team.example", "TEAM.example"),
        ("https://api.team.example", "other, *"),
        ("https://127.0.0.1:6443", ""),
        ("https://127.8.8.8:6443", ""),
        ("https://[::1]:6443", ""),
        ("https://localhost:6443", ""),
    ],
)
def test_what_is_spared_by_no_proxy_or_is_this_machine_has_no_proxy(url: str, no_proxy: str) -> None:
    assert proxy_for(url, {"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy}) is None
    assert proxy_for(url, {"https_proxy": PROXY, "no_proxy": no_proxy}) is None


@pytest.mark.parametrize(
    ("url", "no_proxy"),
    [
        ("https://10.96.0.1:443", ""),
        ("https://10.96.0.1:443", "192.168.0.0/16,fd00::/8,.svc"),
        ("https://10.96.0.1:443", "10.0.0.0/64,10.96.0.0.0/16,/,:,10.96.0.10,6.0.1"),
        ("https://10.96.0.1:443", "10.96.0.1:6443"),
        ("https://[fd00::1]", "fd00::10"),
        ("https://team.example", ".team.example"),
        ("https://team.example", "*.team.example"),
        ("https://myteam.example", "team.example"),
        ("https://api.team.example", "api.team.example:6443"),
        ("https://api.team.example", "10.0.0.0/8"),
    ],
)
def test_all_else_has_that_of_the_environment(url: str, no_proxy: str) -> None:
    assert proxy_for(url, {"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy, "HTTP_PROXY": "http://other"}) == PROXY


def test_each_scheme_has_its_proxy() -> None:
    assert proxy_for("http://10.96.0.1", {"HTTPS_PROXY": PROXY}) is None
    assert proxy_for("http://10.96.0.1", {"http_proxy": PROXY}) == PROXY
    assert proxy_for("https://10.96.0.1", {"HTTPS_PROXY": "proxy:3128"}) == "http://proxy:3128"
    assert proxy_for("https://10.96.0.1", {"HTTPS_PROXY": "", "https_proxy": PROXY}) == PROXY
    assert proxy_for("https://10.96.0.1", {}) is None


@pytest.mark.parametrize(
    "proxy", ["socks5://proxy:1080", "http://proxy:none", "http://proxy:99999", "http://", "://", "http://[::1"]
)
def test_what_is_no_http_proxy_is_shown_with_where_it_is_from(proxy: str) -> None:
    with pytest.raises(NoConfigurationError) as refused:
        proxy_to_use("https://10.96.0.1", proxy, {})
    assert str(refused.value).startswith(f"proxy-url of the kubeconfig is {proxy!r}: ")
    with pytest.raises(NoConfigurationError, match="the proxy of the environment is "):
        proxy_to_use("https://10.96.0.1", None, {"HTTPS_PROXY": proxy})


def test_a_password_of_a_proxy_is_not_shown() -> None:
    with pytest.raises(NoConfigurationError) as refused:
        proxy_to_use("https://10.96.0.1", "socks5://me:secret@proxy:1080", {})
    assert "'socks5://proxy:1080'" in str(refused.value)


def test_a_proxy_of_the_kubeconfig_comes_before_that_of_the_environment() -> None:
    assert proxy_to_use("https://10.96.0.1", "http://own:3128", {"HTTPS_PROXY": PROXY}) == "http://own:3128"
    assert proxy_to_use("https://10.96.0.1", "", {"HTTPS_PROXY": PROXY}) == PROXY
    assert proxy_to_use("https://10.96.0.1", None, {}) is None


def test_kubeconfigs_that_are_missing_or_empty_are_passed_over(tmp_path: Path) -> None:
    full, empty, missing = (tmp_path / name for name in ("full", "empty", "missing"))
    full.write_text("{}")
    empty.touch()
    for value in ("", os.devnull, str(missing), f"{missing}:{empty}", ":"):
        assert kubeconfig_files({"KUBECONFIG": value}) is None
    assert kubeconfig_files({}) is None
    assert kubeconfig_files({"KUBECONFIG": f"{missing}:{full}:{empty}"}) == str(full)
    assert kubeconfig_files({"KUBECONFIG": f"{full}:{full}"}) == f"{full}:{full}"


def token(claims: Any) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"header.{payload}.signature"


def test_the_namespace_of_a_token() -> None:
    assert namespace_of(token({"sub": "system:serviceaccount:team-a:default"})) == "team-a"
    others: list[Any] = [
        {"sub": "alice"},
        {"sub": "system:serviceaccount:"},
        {"sub": "system:node:a"},
        {"sub": 3},
        {},
        [],
        "a",
    ]
    assert [namespace_of(token(other)) for other in others] == [None] * len(others)
    for text in ("", "abc", "a.b.c", "a.!!!.c"):
        assert namespace_of(text) is None
        assert claims_of(text) == {}


@pytest.fixture
def certificates(tmp_path: Path) -> WithoutIdentifiers:
    return WithoutIdentifiers(tmp_path, "localhost")


def strict(authority: Path) -> ssl.SSLContext:
    """What Python 3.13 and later make, on each version."""
    context = ssl.create_default_context(cafile=str(authority))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def shake_hands(client: ssl.SSLContext, certificates: WithoutIdentifiers, host: str = "localhost") -> None:
    """TLS between a client and a server with these certificates, without a connection."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificates.certificate, certificates.key)
    one, other = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(one, other, server_hostname=host),
        server.wrap_bio(other, one, server_side=True),
    ]
    while sides:
        for side in list(sides):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            sides.remove(side)


def test_certificates_without_key_identifiers_are_accepted(certificates: WithoutIdentifiers) -> None:
    context = strict(certificates.authority)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(context, certificates)
    verify_as_kubectl(context)
    shake_hands(context, certificates)


def test_a_certificate_may_be_its_own_authority(certificates: WithoutIdentifiers) -> None:
    context = strict(certificates.certificate)
    verify_as_kubectl(context)
    shake_hands(context, certificates)


def test_the_error_of_a_certificate_is_found_and_named(certificates: WithoutIdentifiers, tmp_path: Path) -> None:
    context = strict(certificates.authority)
    verify_as_kubectl(context)
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        shake_hands(context, certificates, "other.example")
    for error in (caught.value, OSError(caught.value), RuntimeError("no connection", OSError(caught.value))):
        text = certificate_problem(error, "https://other.example:6443", "/ca.crt")
        assert text is not None
        assert text.startswith("the certificate of https://other.example:6443 is not accepted: Hostname mismatch")
        assert text.endswith("It was checked against /ca.crt")
    other = WithoutIdentifiers(tmp_path, "localhost")
    context = ssl.create_default_context()
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        shake_hands(context, other)
    assert "the authorities that this machine trusts" in str(certificate_problem(caught.value, "https://a", None))
    assert certificate_problem(OSError("refused"), "https://a", None) is None
