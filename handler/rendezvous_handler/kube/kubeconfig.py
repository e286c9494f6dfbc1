"""Where the API server is and who asks: a kubeconfig, or the service account of a pod."""

from __future__ import annotations

import os
from pathlib import Path

from rendezvous_api.access import kubeconfig_files, namespace_of_pod, proxy_to_use
from rendezvous_api.api_errors import NoConfigurationError
from rendezvous_handler.kube.client import Client
from rendezvous_handler.kube.credentials import TokenFile
from rendezvous_handler.kube.kubeconfig_files import server_of
from rendezvous_handler.kube.server import Server
from rendezvous_handler.kube.tls import Pem, Tls, TlsSettings

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_DEFAULT_KUBECONFIG = "~/.kube/config"


def connect() -> Client:
    """Find the API server as kubectl does: by ``KUBECONFIG``, the service account of a pod, ``~/.kube/config``.

    Other than with kubectl the service account comes before ``~/.kube/config``, which may be in an image, or in a home
    that many pods share. Makes no request.

    Raises:
        NoConfigurationError: there is none of them; the message says what was looked for.
    """
    files = kubeconfig_files(os.environ)
    if files is not None:
        return Client(*server_of(files), in_pod=False)
    try:
        server = _server_of_pod()
    except (OSError, ValueError) as error:
        in_pod_problem = str(error)
    else:
        return Client(server, _namespace_of_pod(), in_pod=True)
    try:
        return Client(*server_of(os.environ.get("KUBECONFIG") or _DEFAULT_KUBECONFIG), in_pod=False)
    except NoConfigurationError as error:
        raise NoConfigurationError(_no_configuration(in_pod_problem, str(error))) from None


def _server_of_pod() -> Server:
    """As ``rest.InClusterConfig`` of client-go finds it.

    Raises:
        OSError: token or authority cannot be read.
        ValueError: this is no pod, or these have nothing in them.
    """
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        raise ValueError("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set")
    credentials = TokenFile(_SERVICE_ACCOUNT / "token")
    credentials.header()
    url = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    tls = Tls(TlsSettings(authority=Pem(file=str(_SERVICE_ACCOUNT / "ca.crt"))))
    return Server(url, credentials, tls, proxy_to_use(url, None, os.environ))


def _no_configuration(in_pod_problem: str, kubeconfig_problem: str) -> str:
    token = _SERVICE_ACCOUNT / "token"
    if os.environ.get("KUBERNETES_SERVICE_HOST") and not token.exists():
        return (
            "this pod has no service-account token, so its agent cannot use the Kubernetes API: set "
            "automountServiceAccountToken: true in the pod (or in its ServiceAccount) and give that ServiceAccount the "
            f"Role of an agent ({token} is missing, and there is no kubeconfig: {kubeconfig_problem})"
        )
    return (
        "no configuration for the Kubernetes API: neither that of a pod "
        f"({in_pod_problem}) nor a kubeconfig ({kubeconfig_problem})"
    )


def _namespace_of_pod() -> str:
    try:
        return namespace_of_pod(_SERVICE_ACCOUNT / "namespace")
    except OSError as error:
        raise NoConfigurationError(
            f"the namespace of this pod is not known: {error}, and the token in {_SERVICE_ACCOUNT / 'token'} is none "
            "of a service account"
        ) from None
