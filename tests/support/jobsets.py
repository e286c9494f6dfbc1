"""JobSets on an API server without their controller: of their kind it knows the name, and takes what it gets."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from rendezvous_controlplane import LocalControlPlane

Json = dict[str, Any]

PLURAL = "jobsets.jobset.x-k8s.io"
CRD: Json = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {
        "name": PLURAL,
        "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
    },
    "spec": {
        "group": "jobset.x-k8s.io",
        "scope": "Namespaced",
        "names": {"kind": "JobSet", "plural": "jobsets", "singular": "jobset"},
        "versions": [
            {
                "name": "v1alpha2",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


@contextlib.contextmanager
def known(plane: LocalControlPlane, crd: Json = CRD) -> Iterator[None]:
    """Meanwhile the API server knows JobSets."""
    plane.kubectl("apply", "-f", "-", input=json.dumps(crd))
    plane.kubectl("wait", "--for=condition=Established", "crd", PLURAL, "--timeout=30s")
    yield
    plane.kubectl("delete", "crd", PLURAL)
