"""Where a pod finds the API server, and what is said when it cannot."""

from pathlib import Path

import pytest
import trustme

from rendezvous_api.api_errors import NoConfigurationError
from rendezvous_handler.kube.kubeconfig import connect


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, authority: trustme.CA) -> Path:
    """What kubelet mounts into a container, which has no other configuration."""
    monkeypatch.setattr("rendezvous_handler.kube.kubeconfig._SERVICE_ACCOUNT", tmp_path)
    for name in ("HTTPS_PROXY", "https_proxy", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "192.0.2.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    (tmp_path / "token").write_text("abc\n")
    (tmp_path / "namespace").write_text("team\n")
    (tmp_path / "ca.crt").write_bytes(authority.cert_pem.bytes())
    return tmp_path


@pytest.mark.parametrize(
    ("host", "url"), [("192.0.2.1", "https://192.0.2.1:443"), ("2001:db8::1", "https://[2001:db8::1]:443")]
)
def test_a_pod(mounted: Path, host: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    client = connect()
    assert (client.url, client.bearer_token(), client.namespace, client.in_pod) == (url, "abc", "team", True)
    tls = client._transport._server.tls
    assert tls is not None
    assert tls.settings.authority_file == str(mounted / "ca.crt")


def test_a_kubeconfig_counts_more(mounted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (mounted / "config").write_text("{}")
    monkeypatch.setenv("KUBECONFIG", str(mounted / "config"))
    with pytest.raises(NoConfigurationError, match="config cannot be used: current-context is not set"):
        connect()


@pytest.mark.parametrize("name", ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"])
def test_what_is_no_pod(mounted: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(
        NoConfigurationError, match=r"neither that of a pod \(KUBERNETES_SERVICE_HOST .* nor a kubeconfig \("
    ):
        connect()


def test_a_pod_without_a_token_is_told_what_to_set(mounted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (mounted / "token").unlink()
    with pytest.raises(NoConfigurationError, match="automountServiceAccountToken: true"):
        connect()
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    with pytest.raises(NoConfigurationError, match=r"^no configuration for the Kubernetes API"):
        connect()


def test_a_pod_whose_namespace_is_not_known(mounted: Path) -> None:
    (mounted / "namespace").unlink()
    with pytest.raises(NoConfigurationError, match="the namespace of this pod is not known"):
        connect()
