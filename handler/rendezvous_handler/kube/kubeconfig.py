"""Where the API server is and who asks: a kubeconfig, or the service account of a pod."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from kubernetes import client, config

from rendezvous_api.access import kubeconfig_files, namespace_of_pod, proxy_to_use
from rendezvous_api.api_errors import NoConfigurationError
from rendezvous_handler.kube.client import Client

_TOKEN_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/token"


def connect() -> Client:
    """Find the API server as kubectl does: by ``KUBECONFIG``, the service account of a pod, ``~/.kube/config``.

    Other than with kubectl the service account comes before ``~/.kube/config``, which may be in an image, or in a home
    that many pods share. Makes no request.

    Raises:
        NoConfigurationError: there is none of them; the message says what was looked for.
    """
    configuration = client.Configuration()
    configuration.proxy = None  # what is there after loading comes from the kubeconfig
    files = kubeconfig_files(os.environ)
    in_cluster_problem = ""
    if files is None:
        try:
            config.load_incluster_config(client_configuration=configuration)
        except (config.ConfigException, OSError) as error:
            in_cluster_problem = str(error)
        else:
            return Client(_with_proxy(configuration), _namespace_of_pod(), in_pod=True)
    try:
        config.load_kube_config(config_file=files, client_configuration=configuration)
        _, context = config.list_kube_config_contexts(config_file=files)
        namespace = context["context"].get("namespace") or "default"
    except Exception as error:  # noqa: BLE001 - what the package raises for a file that is no kubeconfig is not documented
        problem = str(error) or type(error).__name__
        if files is not None:
            raise NoConfigurationError(f"the kubeconfig {files} cannot be used: {problem}") from None
        raise NoConfigurationError(_no_configuration(in_cluster_problem, problem)) from None
    return Client(_with_proxy(configuration), namespace, in_pod=False)


def _with_proxy(configuration: Any) -> Any:
    """Proxies as kubectl has them; what the package does differs from release to release."""
    configuration.proxy = proxy_to_use(str(configuration.host), configuration.proxy, os.environ)
    configuration.no_proxy = None  # it has been looked at, and does not count for a proxy of the kubeconfig
    return configuration


def _no_configuration(in_cluster_problem: str, kubeconfig_problem: str) -> str:
    if os.environ.get("KUBERNETES_SERVICE_HOST") and not os.path.exists(_TOKEN_FILE):
        return (
            "this pod has no service-account token, so its agent cannot use the Kubernetes API: set "
            "automountServiceAccountToken: true in the pod (or in its ServiceAccount) and give that ServiceAccount the "
            f"Role of an agent ({_TOKEN_FILE} is missing, and there is no kubeconfig: {kubeconfig_problem})"
        )
    return (
        "no configuration for the Kubernetes API: neither that of a pod "
        f"({in_cluster_problem}) nor a kubeconfig ({kubeconfig_problem})"
    )


def _namespace_of_pod() -> str:
    try:
        return namespace_of_pod(Path(_TOKEN_FILE).with_name("namespace"))
    except OSError as error:
        raise NoConfigurationError(
            f"the namespace of this pod is not known: {error}, and the token in {_TOKEN_FILE} is none of a service "
            "account"
        ) from None
