"""The configuration of the operator: where it is found, and when its credentials are read again."""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from kubernetes.aio.config import incluster_config
from tests.support.certificates import WithoutIdentifiers
from tests.support.plugin import Plugin

from rendezvous_api.api_errors import NoConfigurationError
from rendezvous_operator.kube import login as module
from rendezvous_operator.kube.login import Access, Login

SERVER = "https://api.example:6443"


class Place:
    """What a process finds."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.now = 1000.0
        self._monkeypatch = monkeypatch
        self._kubeconfig = folder / "kubeconfig"
        for name in ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.lower(), raising=False)
        monkeypatch.setenv("KUBECONFIG", str(self._kubeconfig))
        monkeypatch.setenv("HOME", str(folder))

    def set(self, name: str, value: str) -> None:
        self._monkeypatch.setenv(name, value)

    def kubeconfig(self, user: Any, **cluster: Any) -> None:
        config = {
            "clusters": [{"name": "c", "cluster": {"server": SERVER, **cluster}}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        self._kubeconfig.write_text(json.dumps(config))

    def pod(self, token: str = "of-the-pod") -> None:
        """What kubelet gives to a container."""
        self.set("KUBERNETES_SERVICE_HOST", "10.96.0.1")
        self.set("KUBERNETES_SERVICE_PORT", "443")
        (self.folder / "token").write_text(token)
        (self.folder / "ca.crt").write_text("certificates")
        self._monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(self.folder / "token"))
        self._monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(self.folder / "ca.crt"))

    def play(self, scenario: Callable[[Login], Awaitable[None]]) -> None:
        async def whole() -> None:
            await scenario(Login(lambda: self.now))

        asyncio.run(whole())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


def access() -> Access:
    async def load() -> Access:
        return await Login().access()

    return asyncio.run(load())


def test_a_kubeconfig_that_is_named_wins_over_the_pod(place: Place) -> None:
    place.pod()
    assert access().server == "https://10.96.0.1:443"
    place.kubeconfig({"token": "of-the-kubeconfig"})
    assert (access().server, access().authorization) == (SERVER, "Bearer of-the-kubeconfig")
    place.set("KUBECONFIG", "/dev/null")
    assert access().authorization == "bearer of-the-pod"


def test_the_token_of_a_pod_is_read_again(place: Place) -> None:
    async def scenario(login: Login) -> None:
        assert (await login.access()).authorization == "bearer first"
        place.pod("second\n")
        assert (await login.access()).authorization == "bearer first"
        place.now += 61
        assert (await login.access()).authorization == "bearer second"

    place.pod("first")
    place.play(scenario)


def test_a_plugin_is_asked_again_before_its_token_expires(place: Place) -> None:
    plugin = Plugin(place.folder)
    plugin.answer(1, "first", 60)
    plugin.answer(2, "second")
    place.kubeconfig(plugin.user)

    async def scenario(login: Login) -> None:
        for _ in range(2):
            assert (await login.access()).authorization == "Bearer first"
        assert plugin.asked == 1
        place.now += 51
        assert (await login.access()).authorization == "Bearer second"
        place.now += 1_000_000
        await login.access()
        assert plugin.asked == 2, "it did not say when this one expires"

    place.play(scenario)


def test_a_plugin_whose_tokens_have_expired_is_not_asked_for_each_request(place: Place) -> None:
    plugin = Plugin(place.folder)
    plugin.answer(1, "old", -60)
    place.kubeconfig(plugin.user)

    async def scenario(login: Login) -> None:
        for _ in range(10):
            await login.access()
        assert plugin.asked == 1

    place.play(scenario)


def test_refused_credentials_are_read_again_once_for_all_requests_and_not_at_once_again(place: Place) -> None:
    plugin = Plugin(place.folder)
    plugin.answer(1, "first")
    plugin.answer(2, "second")
    place.kubeconfig(plugin.user)

    async def scenario(login: Login) -> None:
        await login.access()
        place.now += 1
        asked_at = place.now
        place.now += 1
        assert await asyncio.gather(*(login.refused(asked_at) for _ in range(5))) == [True] * 5
        assert (await login.access()).authorization == "Bearer second"
        assert plugin.asked == 2
        place.now += 1
        assert not await login.refused(place.now)
        assert plugin.asked == 2
        place.now += 5
        assert await login.refused(place.now)
        assert plugin.asked == 3

    place.play(scenario)


def test_a_plugin_that_fails_is_named_and_the_former_token_used_on(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    plugin = Plugin(place.folder)
    place.kubeconfig(plugin.user)
    with pytest.raises(NoConfigurationError, match=r"kubeconfig: its credential plug-in \(exec\) has given no cred"):
        access()
    plugin.answer(1, "first", 60)

    async def scenario(login: Login) -> None:
        assert (await login.access()).authorization == "Bearer first"
        (place.folder / "plugin").unlink()
        place.now += 51
        for _ in range(3):
            assert (await login.access()).authorization == "Bearer first"
        assert caplog.text.count("the credentials for the API server cannot be renewed") == 1

    place.play(scenario)


def test_the_wait_for_a_plugin_ends_and_it_is_not_started_once_more(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOAD_SECONDS", 0.2)
    plugin = Plugin(place.folder, seconds=0.7)
    plugin.answer(1, "first")
    place.kubeconfig(plugin.user)

    async def scenario(login: Login) -> None:
        for _ in range(2):
            with pytest.raises(NoConfigurationError, match=r"\(exec\) of the kubeconfig has not answered within 0.2 s"):
                await login.access()
        monkeypatch.setattr(module, "_LOAD_SECONDS", 60)
        assert (await login.access()).authorization == "Bearer first"
        assert plugin.asked == 1

    place.play(scenario)


def test_which_proxy(place: Place) -> None:
    place.kubeconfig({"token": "t"})
    assert access().proxy is None
    place.set("HTTPS_PROXY", "proxy:3128")
    assert access().proxy == "http://proxy:3128"
    place.set("NO_PROXY", "api.example")
    assert access().proxy is None
    # As for kubectl, NO_PROXY does not count for it.
    place.kubeconfig({"token": "t"}, **{"proxy-url": "http://own:3128"})
    assert access().proxy == "http://own:3128"
    place.kubeconfig({"token": "t"}, **{"proxy-url": "socks5://me:secret@own:1080"})
    with pytest.raises(NoConfigurationError) as caught:
        access()
    expected = "proxy-url of the kubeconfig is 'socks5://own:1080': only http:// and https:// with a host can be used"
    assert str(caught.value) == expected


@pytest.mark.parametrize("text", ["a: [", "text", "[]", "clusters: 3", "current-context: x"])
def test_a_file_that_is_no_kubeconfig_is_named(place: Place, text: str) -> None:
    (place.folder / "kubeconfig").write_text(text)
    with pytest.raises(NoConfigurationError, match=f"^no usable kubeconfig: {place.folder}/kubeconfig: "):
        access()


def test_no_configuration_at_all(place: Place) -> None:
    with pytest.raises(NoConfigurationError, match=r"^neither a service account of a pod \(Service host/port is not"):
        access()


def test_certificates_are_verified_as_kubectl_does(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    certificates = WithoutIdentifiers(place.folder, "api.example")
    make = ssl.create_default_context

    def strict(**options: Any) -> ssl.SSLContext:
        """As of Python 3.13."""
        context = make(**options)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)
    place.kubeconfig({"token": "t"}, **{"certificate-authority": str(certificates.authority)})
    context = access().tls()
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
    assert context.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_a_file_without_certificates_is_named(place: Place) -> None:
    (place.folder / "ca.crt").write_text("nothing")
    place.kubeconfig({"token": "t"}, **{"certificate-authority": str(place.folder / "ca.crt")})
    found = access()
    with pytest.raises(NoConfigurationError, match=f"the certificates for {SERVER} in {place.folder}/ca.crt: "):
        found.tls()
