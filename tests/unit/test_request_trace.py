"""Requests are counted in the API server's own terms."""

import pytest
from yarl import URL

from rendezvous_operator.kube.request_trace import request_of


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/apis/rdzv.dev/v1alpha1/rendezvous?limit=500", ("list", "rendezvous", "")),
        ("GET", "/apis/rdzv.dev/v1alpha1/namespaces/a/rendezvous", ("list", "rendezvous", "a")),
        ("GET", "/apis/rdzv.dev/v1alpha1/namespaces/a/rendezvous/train", ("get", "rendezvous", "a")),
        ("PUT", "/apis/rdzv.dev/v1alpha1/namespaces/a/rendezvous/train/status", ("update", "rendezvous/status", "a")),
        ("GET", "/api/v1/pods?labelSelector=x&watch=true", ("watch", "pods", "")),
        ("GET", "/api/v1/namespaces/a/pods?watch=true", ("watch", "pods", "a")),
        ("GET", "/api/v1/namespaces/a/pods/pods", ("get", "pods", "a")),
        ("POST", "/apis/events.k8s.io/v1/namespaces/a/events", ("create", "events", "a")),
        ("PATCH", "/apis/events.k8s.io/v1/namespaces/a/events/train.1", ("patch", "events", "a")),
        (
            "DELETE",
            "/apis/rdzv.dev/v1alpha1/namespaces/a/rendezvousparticipants/x",
            ("delete", "rendezvousparticipants", "a"),
        ),
        ("GET", "/k8s/clusters/c-1/api/v1/pods", ("list", "pods", "")),
        ("GET", "/apis/rdzv.dev/v1alpha1", ("get", "", "")),
        ("GET", "/api", ("get", "", "")),
    ],
)
def test_a_request_has_a_verb_a_resource_and_a_namespace(
    method: str, path: str, expected: tuple[str, str, str]
) -> None:
    assert request_of(method, URL(f"https://10.96.0.1:443{path}")) == expected
