"""Kubeconfigs: each form, several files, what is refused, and what needs the extra."""

import base64
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml
from tests.support.kubeconfigs import KUBECONFIGS
from tests.support.plugin import Plugin
from tests.support.raw_client import LATE, failure, get

from rendezvous_api.api_errors import NoConfigurationError
from rendezvous_handler.kube.client import Client
from rendezvous_handler.kube.kubeconfig import connect
from rendezvous_handler.kube.kubeconfig_files import server_of
from rendezvous_handler.kube.server import Server

INSTALL = r"pip install 'kube-rendezvous\[kubeconfig\]'"
SERVER = "https://192.0.2.1:6443"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "KUBERNETES_SERVICE_HOST", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def config(cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None, name: str = "a") -> Any:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": SERVER, **(cluster or {})}}],
        "users": [{"name": name, "user": user or {}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def found(tmp_path: Path, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> Server:
    """The server of such a kubeconfig, the same one in JSON and in YAML."""
    servers = []
    for name, text in (("json", json.dumps(config(cluster, user))), ("yaml", yaml.safe_dump(config(cluster, user)))):
        (tmp_path / name).write_text(text)
        server, namespace = server_of(str(tmp_path / name))
        assert namespace == "default"
        servers.append(server)
    first, second = servers
    assert first.credentials.header() == second.credentials.header()
    assert (first.url, first.proxy) == (second.url, second.proxy)
    if first.tls is not None:
        assert second.tls is not None
        assert first.tls.settings == second.tls.settings
    return second


def settings(server: Server) -> Any:
    assert server.tls is not None
    return server.tls.settings


def data(pem: trustme.Blob) -> str:
    return base64.b64encode(pem.bytes()).decode()


# ---- who asks


def test_a_token(tmp_path: Path) -> None:
    assert found(tmp_path, user={"token": "abc"}).credentials.header() == "Bearer abc"
    assert found(tmp_path, user={"token": "0123"}).credentials.header() == "Bearer 0123"


def test_a_token_file_counts_more_and_its_path_begins_at_the_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from-file\n")
    assert found(tmp_path, user={"tokenFile": "secret"}).credentials.header() == "Bearer from-file"
    assert found(tmp_path, user={"tokenFile": "secret", "token": "abc"}).credentials.header() == "Bearer from-file"
    both = found(tmp_path, user={"tokenFile": "missing", "token": "abc"}).credentials
    assert both.header() == "Bearer abc"
    (tmp_path / "missing").write_text("late")
    assert both.refused("Bearer abc")
    assert both.header() == "Bearer late"


def test_a_name_and_a_password(tmp_path: Path) -> None:
    assert found(tmp_path, user={"username": "ann", "password": "a:b"}).credentials.header() == "Basic YW5uOmE6Yg=="


def test_nobody(tmp_path: Path) -> None:
    server = found(tmp_path)
    assert server.credentials.header() == ""
    assert not server.credentials.refused("")
    without_user = config()
    del without_user["contexts"][0]["context"]["user"], without_user["users"]
    (tmp_path / "x").write_text(json.dumps(without_user))
    assert server_of(str(tmp_path / "x"))[0].credentials.header() == ""


def test_a_certificate_by_files_or_data(tmp_path: Path, authority: trustme.CA) -> None:
    own = authority.issue_cert("ann@example.com")
    own.private_key_pem.write_to_path(str(tmp_path / "own.key"))
    own.cert_chain_pems[0].write_to_path(str(tmp_path / "own.crt"))
    by_file = settings(found(tmp_path, user={"client-certificate": "own.crt", "client-key": str(tmp_path / "own.key")}))
    assert (by_file.certificate.file, by_file.key.file) == (str(tmp_path / "own.crt"), str(tmp_path / "own.key"))
    pair = {"client-certificate-data": data(own.cert_chain_pems[0]), "client-key-data": data(own.private_key_pem)}
    by_data = settings(found(tmp_path, user={**pair, "client-certificate": "missing"}))
    assert by_data.key.text == own.private_key_pem.bytes().decode()


# ---- what is checked


def test_the_authority_by_file_or_data(tmp_path: Path, authority: trustme.CA) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    by_file = settings(found(tmp_path, {"certificate-authority": "ca.crt"}))
    assert by_file.authority.file == by_file.authority_file == str(tmp_path / "ca.crt")
    text = data(authority.cert_pem)
    wrapped = "\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    by_data = settings(found(tmp_path, {"certificate-authority-data": wrapped, "certificate-authority": "missing"}))
    assert by_data.authority.text == authority.cert_pem.bytes().decode()
    assert by_data.verify
    assert settings(found(tmp_path)).authority is None


def test_no_check_or_another_name(tmp_path: Path) -> None:
    assert not settings(found(tmp_path, {"insecure-skip-tls-verify": True})).verify
    assert settings(found(tmp_path, {"insecure-skip-tls-verify": False})).verify
    assert settings(found(tmp_path, {"tls-server-name": "kubernetes"})).server_name == "kubernetes"
    assert found(tmp_path, {"server": "http://localhost:8001"}).tls is None


def test_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(tmp_path, {"proxy-url": "http://proxy:3128"}).proxy == "http://proxy:3128"
    monkeypatch.setenv("HTTPS_PROXY", "other:3128")
    assert found(tmp_path, {"proxy-url": "http://proxy:3128"}).proxy == "http://proxy:3128"
    assert found(tmp_path).proxy == "http://other:3128"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example", ("a.example", 443, "a.example:443", "")),
        ("https://A.example:6443/", ("a.example", 6443, "a.example:6443", "")),
        ("https://[2001:db8::1]:6443", ("2001:db8::1", 6443, "[2001:db8::1]:6443", "")),
        ("https://[fe80::1%25eth0]:6443", ("fe80::1", 6443, "[fe80::1]:6443", "")),
        ("http://localhost/k8s/clusters/c-1/", ("localhost", 80, "localhost:80", "/k8s/clusters/c-1")),
    ],
)
def test_an_address(tmp_path: Path, url: str, expected: tuple[str, int, str, str]) -> None:
    server = found(tmp_path, {"server": url})
    assert (server.host, server.port, server.authority, server.target) == expected
    assert server.host_header == expected[2].removesuffix(":443").removesuffix(":80")
    assert server.url == url.rstrip("/")


# ---- which one


def test_several_files_are_one_and_the_first_wins(tmp_path: Path) -> None:
    first, second, third = (tmp_path / name / "config" for name in ("one", "two", "three"))
    for file in (first, second, third):
        file.parent.mkdir()
        (file.parent / "token").write_text(f"of-{file.parent.name}")
    one = config(user={"tokenFile": "token"}, name="x")
    del one["current-context"], one["contexts"]
    first.write_text(json.dumps(one))
    two = config({"server": "https://two.example"}, {"tokenFile": "token"}, name="x")
    two["contexts"][0]["context"]["namespace"] = "team"
    second.write_text(yaml.safe_dump(two))
    third.write_text(json.dumps(config({"server": "https://three.example"}, {"token": "three"}, name="y")))
    server, namespace = server_of(f"{first}:{second}:{third}")
    assert (server.url, server.credentials.header(), namespace) == (SERVER, "Bearer of-one", "team")
    server, namespace = server_of(f"{third}:{second}:{first}")
    assert (server.url, server.credentials.header(), namespace) == ("https://three.example", "Bearer three", "default")


def test_the_default_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(NoConfigurationError, match=r"nor a kubeconfig \(the kubeconfig ~/.kube/config cannot be used"):
        connect()
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text(json.dumps(config(user={"token": "home"})))
    client = connect()
    assert (client.bearer_token(), client.namespace, client.in_pod) == ("home", "default", False)
    assert client.url == SERVER


@pytest.mark.parametrize("name", [name for name in KUBECONFIGS if name not in ("EKS", "GKE", "AKS")])
def test_what_tools_write_is_understood(name: str, tmp_path: Path, authority: trustme.CA) -> None:
    """Up to the certificates, which are none here."""
    (tmp_path / "config").write_text(KUBECONFIGS[name])
    own = {"OpenShift": "", "kubectl config view": "current-context is not set", "by hand": "secrets/token"}
    expected = own.get(name, r"No such file|no start line|PEM|certificate")
    if expected:
        with pytest.raises(NoConfigurationError, match=expected):
            server_of(str(tmp_path / "config"))
    else:
        server, namespace = server_of(str(tmp_path / "config"))
        assert (server.url, namespace) == ("https://api.train.example.com:6443", "team-a")


# ---- what is refused


@pytest.mark.parametrize(
    ("cluster", "user", "why"),
    [
        ({"server": ""}, {}, "server of cluster 'a' is ''"),
        ({"server": "api.example:6443"}, {}, "only http:// and https://"),
        ({"server": "ftp://api.example"}, {}, "only http:// and https://"),
        ({"server": "https://api.example:port"}, {}, "server of cluster 'a' is"),
        ({"server": "https://api example"}, {}, "characters that no URL can have"),
        ({"server": "https://api\x7f.example"}, {}, "characters that no URL can have"),
        ({"server": "https://api.example:0"}, {}, "only http:// and https://"),
        ({"server": "https://:6443"}, {}, "only http:// and https://"),
        ({"server": "https://é.example"}, {}, "characters that no URL can have"),
        ({"server": ["x"]}, {}, "server of cluster 'a' is no text"),
        ({"insecure-skip-tls-verify": "yes"}, {}, "neither true nor false"),
        ({"certificate-authority": "missing"}, {}, "No such file"),
        ({"certificate-authority-data": "%%%"}, {}, "certificate-authority-data of cluster 'a'"),
        ({"certificate-authority-data": "eA=="}, {}, "cannot be used: .+"),
        ({"proxy-url": "socks5://x:1"}, {}, "proxy-url of the kubeconfig is"),
        ({}, {"token": "a\nb"}, "characters that no HTTP header can have"),
        ({}, {"token": 3.5}, "token of user 'a' is no text"),
        ({}, {"tokenFile": "missing"}, "No such file"),
        ({}, {"client-certificate-data": "eA=="}, "only one of client-certificate and client-key"),
        ({}, {"client-key": "x"}, "only one of client-certificate and client-key"),
        ({}, {"token": "abc", "username": "ann"}, "a token and a username"),
        ({}, {"token": "abc", "as": "ann"}, "to act as another one"),
        ({}, {"token": "abc", "as-groups": ["x"]}, "to act as another one"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, cluster: dict[str, Any], user: dict[str, Any], why: str) -> None:
    file = tmp_path / "config"
    file.write_text(json.dumps(config(cluster, user)))
    with pytest.raises(NoConfigurationError, match=why) as raised:
        server_of(str(file))
    assert str(raised.value).startswith(f"the kubeconfig {file} cannot be used: ")
    assert "abc" not in str(raised.value)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"current-context": ""}, "current-context is not set"),
        ({"current-context": "b"}, "current-context is 'b', which is not in it"),
        ({"clusters": None}, "the cluster of context 'a' is 'a', which is not in it"),
        ({"users": []}, "the user of context 'a' is 'a', which is not in it"),
        ({"users": {}}, "the user of context 'a' is 'a'"),
        ({"users": {"a": 1}}, "users is no list"),
        ({"users": [{"user": {}}]}, "one of users has no name"),
        ({"users": ["a"]}, "one of users has no name"),
        ({"clusters": [{"name": "a", "cluster": "x"}]}, "cluster 'a' is no mapping"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    file = tmp_path / "config"
    file.write_text(json.dumps({**config(), **change}))
    with pytest.raises(NoConfigurationError, match=why):
        server_of(str(file))


# ---- the extra


WITH_ANCHOR = """\
apiVersion: v1
clusters: [{name: a, cluster: &c {server: "https://192.0.2.1:6443"}}]
users: [{name: a, user: {token: abc}}]
contexts: [{name: a, context: {cluster: a, user: a}}]
current-context: a
"""


def test_yaml_that_no_tool_writes_needs_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config"
    file.write_text(WITH_ANCHOR)
    assert server_of(str(file))[0].url == SERVER
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(NoConfigurationError, match=rf"line 2: flow style .* {INSTALL}"):
        server_of(str(file))


@pytest.mark.parametrize("user", [{"exec": {"command": "aws"}}, {"auth-provider": {"name": "oidc"}}])
def test_plug_ins_need_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: dict[str, Any]) -> None:
    file = tmp_path / "config"
    file.write_text(json.dumps(config(user=user)))
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    with pytest.raises(
        NoConfigurationError,
        match=r"context 'a' has a credential plug-in .* pip install 'kube-rendezvous\[kubeconfig\]'",
    ):
        server_of(str(file))


def test_a_plug_in_of_another_context_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    monkeypatch.setitem(sys.modules, "yaml", None)
    (tmp_path / "own").write_text(json.dumps(config(user={"token": "abc"})))
    for name in ("EKS", "GKE", "AKS"):
        (tmp_path / name).write_text(KUBECONFIGS[name])
    server, _ = server_of(":".join(str(tmp_path / name) for name in ("own", "EKS", "GKE", "AKS")))
    assert server.credentials.header() == "Bearer abc"


def test_a_plug_in_is_asked_again_when_its_token_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = Plugin(tmp_path)
    plugin.answer(1, "one")
    plugin.answer(2, "two")
    credentials = found_once(tmp_path, plugin)
    assert (credentials.header(), plugin.asked) == ("Bearer one", 1)
    assert credentials.refused("Bearer one")
    assert (credentials.header(), plugin.asked) == ("Bearer two", 2)
    assert not credentials.refused("Bearer two"), "not at once again: a plug-in is a program"
    assert plugin.asked == 2
    monkeypatch.setattr("rendezvous_handler.kube.extra._PAUSE_SECONDS", 0.0)
    assert not credentials.refused("Bearer two")
    assert plugin.asked == 3


def test_a_plug_in_is_asked_again_when_its_token_has_expired(tmp_path: Path) -> None:
    plugin = Plugin(tmp_path)
    plugin.answer(1, "one", lifetime=-1)
    plugin.answer(2, "two", lifetime=3600)
    credentials = found_once(tmp_path, plugin)
    assert credentials.header() == "Bearer two"
    assert credentials.header() == "Bearer two"
    assert plugin.asked == 2


def test_a_plug_in_that_gives_nothing_or_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(NoConfigurationError, match="has given no credentials, see the log"):
        found_once(tmp_path, Plugin(tmp_path / "nothing"))
    monkeypatch.setattr("rendezvous_handler.kube.extra._FIRST_SECONDS", 0.2)
    (tmp_path / "slow").mkdir()
    with pytest.raises(NoConfigurationError, match="credentials by a plug-in: no answer within"):
        found_once(tmp_path, Plugin(tmp_path / "slow", seconds=5))


def test_a_plug_in_that_hangs_takes_no_more_time_than_the_request_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The heartbeats may have one second, and the agent makes no other request meanwhile."""
    plugin = Plugin(tmp_path)
    plugin.answer(1, "one", lifetime=-1)
    credentials = found_once(tmp_path, plugin)
    plugin.takes(12)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        credentials.header(0.1)
    assert not credentials.refused("Bearer one", 0.1)
    client = Client(Server(SERVER, credentials), "team", in_pod=False)
    assert "the credentials cannot be read" in str(failure(lambda: get(client, 0.1)))
    monkeypatch.setattr("rendezvous_handler.kube.extra._SECONDS", 0.1)
    with pytest.raises(TimeoutError):
        credentials.header()
    assert time.monotonic() - began < LATE


def test_a_plug_in_that_gives_a_certificate(tmp_path: Path, authority: trustme.CA) -> None:
    own = authority.issue_cert("ann@example.com")
    certificate, key = own.cert_chain_pems[0].bytes().decode(), own.private_key_pem.bytes().decode()
    plugin = Plugin(tmp_path)
    plugin.answer(1, clientCertificateData=certificate, clientKeyData=key)
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(config(user=plugin.user)))
    server = server_of(str(file))[0]
    assert server.credentials.header() == ""
    assert Path(settings(server).certificate.file).read_text() == certificate
    assert Path(settings(server).key.file).read_text() == key


def found_once(tmp_path: Path, plugin: Plugin) -> Any:
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(config(user=plugin.user)))
    return server_of(str(file))[0].credentials
