"""How the operator reaches the API server with its own requests and its watches: proxies, certificates, credentials."""

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.integration.access_support import BEHIND_A_PROXY, Kubeconfig
from tests.integration.operator_support import Group, Operators
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
