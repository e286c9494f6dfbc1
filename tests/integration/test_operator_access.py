"""How the operator reaches the API server with its own requests and its watches: proxies, certificates, credentials."""

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.operator_support import Group, Operators
from tests.support.api import Json
from tests.support.certificates import WithoutIdentifiers
from tests.support.connect_proxy import ConnectProxy
from tests.support.plugin import Plugin
from tests.support.processes import Process
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_api.api_errors import UnreachableError
from rendezvous_controlplane import LocalControlPlane
from rendezvous_operator.kube.client import Client
from rendezvous_operator.kube.login import Login

BEHIND_A_PROXY = "https://kubernetes.default.svc:443"
"""A name in the certificate of the API server that this machine cannot resolve."""


class Kubeconfig:
    """A copy of the administrator's, to change."""

    def __init__(self, control_plane: LocalControlPlane, path: Path) -> None:
        self.path = path
        self._config = json.loads(control_plane.kubeconfig.read_text())
        self.admin_token: str = self._config["users"][0]["user"]["token"]

    def write(self, cluster: Json | None = None, user: Json | None = None) -> Path:
        """With these fields of the cluster, and of the user in place of the administrator's token."""
        self._config["clusters"][0]["cluster"].update(cluster or {})
        if user is not None:
            self._config["users"][0]["user"] = user
        self.path.write_text(json.dumps(self._config))
        return self.path


@pytest.fixture
def kubeconfig(control_plane: LocalControlPlane, tmp_path: Path) -> Kubeconfig:
    return Kubeconfig(control_plane, tmp_path / "kubeconfig")


@pytest.fixture
def proxy(control_plane: LocalControlPlane) -> Iterator[ConnectProxy]:
    with ConnectProxy(control_plane.port) as server:
        yield server


Serve = Callable[..., Process]


@pytest.fixture
def serve(operators: Operators, group: Group) -> Serve:
    """Start an operator, and form a round of what only its watches can show."""

    def start(kubeconfig: Path, **environment: str) -> Process:
        operator = operators.start("--namespace", group.namespace, kubeconfig=kubeconfig, environment=environment)
        wait_until(lambda: "all kinds are listed" in operator.log, f"the lists of {operator.log_path}")
        group.create()
        for node in ("a", "b"):
            group.join(node)
        group.wait_for_round(1)
        return operator

    return start


def test_a_proxy_of_the_kubeconfig_leads_lists_and_watches(
    serve: Serve, kubeconfig: Kubeconfig, proxy: ConnectProxy
) -> None:
    url = f"http://user:secret@{proxy.address}"
    log = serve(kubeconfig.write({"server": BEHIND_A_PROXY, "proxy-url": url})).log
    assert set(proxy.asked) == {"kubernetes.default.svc:443"}
    assert set(proxy.authorizations) == {"Basic " + base64.b64encode(b"user:secret").decode()}
    assert "secret" not in log


def test_a_proxy_of_the_environment_leads_lists_and_watches(
    serve: Serve, kubeconfig: Kubeconfig, proxy: ConnectProxy
) -> None:
    serve(kubeconfig.write({"server": BEHIND_A_PROXY}), HTTPS_PROXY=proxy.address, NO_PROXY="10.0.0.0/8,.cluster.local")
    assert set(proxy.asked) == {"kubernetes.default.svc:443"}


def test_no_proxy_of_the_environment_leads_to_this_machine(serve: Serve, kubeconfig: Kubeconfig) -> None:
    serve(kubeconfig.write(), HTTPS_PROXY="http://127.0.0.1:9", NO_PROXY="")


def test_the_name_in_the_certificate_may_be_another_one_for_lists_and_watches(
    serve: Serve, kubeconfig: Kubeconfig, control_plane: LocalControlPlane
) -> None:
    serve(kubeconfig.write({"server": f"https://localhost:{control_plane.port}", "tls-server-name": "kubernetes"}))


def test_certificates_without_key_identifiers_are_accepted(
    serve: Serve, kubeconfig: Kubeconfig, control_plane: LocalControlPlane, without_identifiers: WithoutIdentifiers
) -> None:
    authority = base64.b64encode(without_identifiers.authority.read_bytes()).decode()
    server = f"https://localhost:{control_plane.port}"
    serve(kubeconfig.write({"server": server, "certificate-authority-data": authority}))


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    return Plugin(tmp_path)


def test_a_plugin_is_asked_again_when_its_token_is_refused(
    serve: Serve, kubeconfig: Kubeconfig, plugin: Plugin
) -> None:
    plugin.answer(1, "expired-token")
    plugin.answer(2, kubeconfig.admin_token)
    serve(kubeconfig.write(user=plugin.user))
    assert plugin.asked == 2, "for all requests together"


def test_an_error_names_the_certificate_and_what_it_was_checked_against(
    kubeconfig: Kubeconfig, control_plane: LocalControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = f"https://localhost:{control_plane.port}"  # where the certificate is of another authority
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig.write({"server": server})))

    async def scenario() -> None:
        client = await Client.connect(Login())
        expected = rf"^the certificate of {server} is not accepted: .+\. It was checked against /"
        try:
            with pytest.raises(UnreachableError, match=expected):
                await client.list(names.RENDEZVOUS_KIND, None)
        finally:
            await client.close()

    asyncio.run(scenario())
