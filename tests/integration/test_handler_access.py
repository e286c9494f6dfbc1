"""How an agent reaches the API server: proxies, certificates, and which configuration it takes."""

import base64
import ssl
from pathlib import Path

import pytest
from tests.integration.access_support import BEHIND_A_PROXY, Kubeconfig
from tests.support.certificates import WithoutIdentifiers
from tests.support.connect_proxy import ConnectProxy

from rendezvous_api.access import verify_as_kubectl
from rendezvous_api.api_errors import NoConfigurationError, UnreachableError
from rendezvous_controlplane import LocalControlPlane
from rendezvous_handler.kube.client import Client
from rendezvous_handler.kube.kubeconfig import connect


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def strict_first(context: ssl.SSLContext) -> None:
    """What `ssl.create_default_context` sets as of Python 3.13, and then the rules of kubectl."""
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    verify_as_kubectl(context)


def answers(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch, **environment: str) -> Client:
    """A client of that configuration, once it has had an answer."""
    for name, value in {"KUBECONFIG": str(kubeconfig), **environment}.items():
        monkeypatch.setenv(name, value)
    client = connect()
    client.list_rendezvous("default", "train", 10.0)
    return client


def test_a_proxy_of_the_environment(
    kubeconfig: Kubeconfig, proxy: ConnectProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = kubeconfig.write({"server": BEHIND_A_PROXY})
    answers(path, monkeypatch, HTTPS_PROXY=proxy.address, NO_PROXY="10.0.0.0/8")
    assert set(proxy.asked) == {"kubernetes.default.svc:443"}


def test_a_proxy_of_the_kubeconfig(
    kubeconfig: Kubeconfig, proxy: ConnectProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for kubectl, NO_PROXY does not count for it, and it wins over the environment."""
    path = kubeconfig.write({"server": BEHIND_A_PROXY, "proxy-url": f"http://{proxy.address}"})
    answers(path, monkeypatch, HTTPS_PROXY="http://127.0.0.1:9", NO_PROXY="*")
    assert set(proxy.asked) == {"kubernetes.default.svc:443"}


def test_no_proxy_of_the_environment_leads_to_this_machine(
    kubeconfig: Kubeconfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(kubeconfig.write(), monkeypatch, HTTPS_PROXY="http://127.0.0.1:9")


def test_certificates_without_key_identifiers_are_accepted(
    kubeconfig: Kubeconfig,
    control_plane: LocalControlPlane,
    without_identifiers: WithoutIdentifiers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rendezvous_handler.kube.tls.verify_as_kubectl", strict_first)
    authority = base64.b64encode(without_identifiers.authority.read_bytes()).decode()
    server = f"https://localhost:{control_plane.port}"
    answers(kubeconfig.write({"server": server, "certificate-authority-data": authority}), monkeypatch)


def test_an_error_names_the_certificate_and_what_it_was_checked_against(
    kubeconfig: Kubeconfig, control_plane: LocalControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = f"https://localhost:{control_plane.port}"  # where the certificate is of another authority
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig.write({"server": server})))
    client = connect()
    expected = rf"^the certificate of {server} is not accepted: .+\. It was checked against certificate-authority-data"
    with pytest.raises(UnreachableError, match=expected) as caught:
        client.list_rendezvous("default", "train", 10.0)
    assert caught.value.not_carried_out
    assert client.contact.state == "is not trusted"
    assert client.contact.cause == str(caught.value)


@pytest.mark.parametrize("text", ["a: [", "text", "[]", "clusters: 3"])
def test_a_file_that_is_no_kubeconfig_is_named(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(file))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")  # what is named counts, also in a pod
    with pytest.raises(NoConfigurationError, match=f"^the kubeconfig {file} cannot be used: "):
        connect()
