"""Where the API server is and who asks: the service account of a pod, else the kubeconfig."""

from __future__ import annotations

import os

from kubernetes import client, config

from rendezvous_api.api_errors import NoConfigurationError
from rendezvous_handler.kube.client import Client

_TOKEN_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/token"


def connect() -> Client:
    """Find the API server as kubectl does, the service account of a pod first. Makes no request.

    Raises:
        NoConfigurationError: there is neither; the message says what was looked for.
    """
    configuration = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException as error:
        in_cluster_problem = str(error)
    else:
        return Client(configuration, _namespace_of_pod(), in_pod=True)
    file = os.environ.get("KUBECONFIG") or None  # empty is as good as none, also for kubectl
    try:
        config.load_kube_config(config_file=file, client_configuration=configuration)
        _, context = config.list_kube_config_contexts(config_file=file)
    except (config.ConfigException, OSError) as error:
        raise NoConfigurationError(_no_configuration(in_cluster_problem, str(error))) from None
    return Client(configuration, context["context"].get("namespace") or "default", in_pod=False)


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
    with open(os.path.join(os.path.dirname(_TOKEN_FILE), "namespace"), encoding="utf-8") as file:
        return file.read().strip()
