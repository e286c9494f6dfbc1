"""With which values the chart is installed in the test cluster: each of its values is here, or in NOT_HERE."""

from typing import Any

Values = dict[str, Any]

COMBINATIONS: dict[str, Values] = {
    "defaults": {},
    "one replica that is replaced": {
        "replicaCount": 1,
        "strategy.type": "Recreate",
        "podDisruptionBudget.enabled": False,
        "topologySpreadConstraints": [],
        "image.pullPolicy": "IfNotPresent",
    },
    "network policy and flow control": {
        "networkPolicy.enabled": True,
        "networkPolicy.apiServerPorts": [6443],
        "networkPolicy.metricsFrom": [{"podSelector": {}}],
        "networkPolicy.ingress": [{"ports": [{"port": "http"}]}],
        "networkPolicy.egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}],
        "flowControl.enabled": True,
        "flowControl.nominalConcurrencyShares": 10,
        "flowControl.lendablePercent": 0,
        "flowControl.matchingPrecedence": 5000,
    },
    "no policies": {"admissionPolicy.enabled": False, "injection.enabled": False, "rbac.aggregate": False},
    "policies for some namespaces": {
        "admissionPolicy.validationActions": ["Warn"],
        "admissionPolicy.namespaceSelector": {"matchLabels": {"team": "a"}},
        "injection.enabled": True,
        "injection.maxRestarts": 7,
        "injection.restartsMax": 7,
        "injection.warnings": False,
        "injection.tolerationSeconds": 60,
        "injection.defaultTolerationSeconds": 200,
        "injection.parts.environment": False,
        "injection.parts.token": False,
        "injection.parts.shutdownTimeout": False,
        "injection.parts.restartInPlace": False,
        "injection.parts.tolerationSeconds": False,
        "injection.handler.method": "imageVolume",
        "injection.handler.image.registry": "registry.example.com",
        "injection.handler.image.repository": "kube-rendezvous-handler",
        "injection.handler.image.tag": "1",
        "injection.handler.image.digest": f"sha256:{'a' * 64}",
        "injection.handler.image.pullPolicy": "Always",
        "injection.namespaceSelector": {"matchLabels": {"team": "a"}},
    },
    "another name, port and log": {
        "fullnameOverride": "mine",
        "injection.handler.resources.requests": {"cpu": "50m"},
        "workers.bindTo": "namespace",
        "http.port": 9090,
        "log.format": "text",
        "log.verbose": True,
    },
    "as a part of another chart": {
        "nameOverride": "rdzv",
        "global.imageRegistry": "localhost",
        "global.imagePullSecrets": ["registry"],
        "image.registry": "registry.example.com",
        "image.repository": "kube-rendezvous-operator",
    },
    "faster election": {
        "leaderElection.leaseDurationSeconds": 6,
        "leaderElection.renewDeadlineSeconds": 4,
        "leaderElection.retryPeriodSeconds": 1,
        "podDisruptionBudget.maxUnavailable": "50%",
    },
    "as an administrator wants his pods": {
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"kubernetes.io/hostname": "node-b"},
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "podLabels": {"team": "a"},
        "podAnnotations": {"note": "b"},
        "commonLabels": {"cost-centre": "1"},
        "extraEnv": [{"name": "NOTE", "value": "c"}],
        "extraArgs": ["--verbose"],
        "envFrom": [{"secretRef": {"name": "proxy", "optional": True}}],
        "volumes": [{"name": "authority", "configMap": {"name": "kube-root-ca.crt"}}],
        "volumeMounts": [{"name": "authority", "mountPath": "/etc/authority", "readOnly": True}],
        "extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-note"}}],
        "startupProbe.failureThreshold": 60,
        "livenessProbe.periodSeconds": 5,
        "readinessProbe.successThreshold": 2,
        "deploymentAnnotations": {"note": "b"},
        "revisionHistoryLimit": 1,
        "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["proxy.example.com"]}],
        "dnsPolicy": "ClusterFirst",
        "dnsConfig": {"options": [{"name": "ndots", "value": "2"}]},
        "trainJobs.enabled": True,
        "recording.enabled": True,
        "recording.megabytes": 8,
        "recording.volume": {"emptyDir": {"medium": "Memory"}},
        "machines.enabled": True,
        "imagePullSecrets": [{"name": "registry"}],
        "serviceAccount.name": "rendezvous",
        "serviceAccount.annotations": {"note": "b"},
        "serviceAccount.labels": {"team": "a"},
        "serviceAccount.automount": False,
        "terminationGracePeriodSeconds": 10,
        "podSecurityContext.runAsUser": 12345,
        "podSecurityContext.runAsGroup": 12345,
        "securityContext.privileged": False,
        "resources.limits.memory": "512Mi",
        "monitoring.dashboard.enabled": True,
        "monitoring.dashboard.labels": {"dashboards": "1"},
        "monitoring.dashboard.annotations": {"folder": "Training"},
    },
}

OWN_RIGHTS: Values = {"serviceAccount.create": False, "serviceAccount.name": "own", "rbac.create": False}
"""The operator's account and its roles are made by somebody else."""

PROMETHEUS_OPERATOR: Values = {
    "monitoring.podMonitor.enabled": True,
    "monitoring.podMonitor.labels": {"prometheus": "main"},
    "monitoring.podMonitor.annotations": {"note": "b"},
    "monitoring.podMonitor.interval": "15s",
    "monitoring.podMonitor.scrapeTimeout": "5s",
    "monitoring.podMonitor.relabelings": [{"action": "labeldrop", "regex": "pod_template_hash"}],
    "monitoring.podMonitor.metricRelabelings": [{"action": "labeldrop", "regex": "unused"}],
    "monitoring.prometheusRule.enabled": True,
    "monitoring.prometheusRule.labels": {"prometheus": "main"},
    "monitoring.prometheusRule.annotations": {"note": "b"},
}

SERVICE_MONITOR: Values = {
    **{
        path.replace("podMonitor", "serviceMonitor"): value
        for path, value in PROMETHEUS_OPERATOR.items()
        if "podMonitor" in path
    },
    "monitoring.service.enabled": True,
    "monitoring.service.labels": {"team": "a"},
    "monitoring.service.annotations": {"note": "b"},
    "monitoring.prometheusRule.enabled": True,
    "monitoring.prometheusRule.ruleLabels": {"team": "a"},
    "monitoring.prometheusRule.alerts": {"KubeRendezvousWaiting": {"threshold": 1800}},
}
"""The other kind of monitor, and alerts that are not as they are in the file."""


def of_image(image: str) -> Values:
    """An image that is on the nodes already, by its tag."""
    repository, _, tag = image.rpartition(":")
    return {"image.repository": repository, "image.tag": tag, "image.pullPolicy": "Never"}


def by_digest(digest: str) -> Values:
    """The same image by its digest."""
    return {"image.digest": digest}


def one_namespace(namespace: str) -> Values:
    """No rights but in this one, where whatever pod has no account of its own may join."""
    return {
        "watchNamespace": namespace,
        "workers.namespaces": [namespace],
        "workers.serviceAccount.name": "default",
        "workers.serviceAccount.create": False,
    }


BESIDE_ANOTHER: Values = {"crds.enabled": False, "workers.clusterRole.create": False, "test.timeoutSeconds": 60}
"""As all of these are installed: the CRDs and the ClusterRole of agents are those of another release."""

ALL = (
    *COMBINATIONS.values(),
    OWN_RIGHTS,
    PROMETHEUS_OPERATOR,
    SERVICE_MONITOR,
    of_image("r:1"),
    by_digest(""),
    one_namespace(""),
    BESIDE_ANOTHER,
)
NOT_HERE = {
    "crds.keep": "without it the CRDs of the whole cluster go: tests/chart has an API server for that",
    "workers.serviceAccount.annotations": "the account is that of every pod of its namespace, which has no other here",
    "workers.serviceAccount.labels": "as its annotations",
    "monitoring.podMonitor.namespace": "there is no namespace of a Prometheus",
    "monitoring.serviceMonitor.namespace": "there is no namespace of a Prometheus",
    "monitoring.prometheusRule.namespace": "there is no namespace of a Prometheus",
    "extraContainers": "the nodes have no image for one",
    "runtimeClassName": "there is one runtime, and no RuntimeClass",
    "hostUsers": "whether a pod can have users of its own depends on the kernel and its file systems",
    "http.address": "there is but one, as pods have no IPv6 addresses",
}
"""Which of them are not, and why."""
