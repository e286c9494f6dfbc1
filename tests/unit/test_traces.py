"""Requests are counted in the API server's own terms."""

import pytest
from yarl import URL

from rendezvous_operator.traces import request_of


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/apis/rdzv.dev/v1alpha1/rendezvous?limit=500", ("list", "rendezvous")),
        ("GET", "/apis/rdzv.dev/v1alpha1/namespaces/a/rendezvous", ("list", "rendezvous")),
        ("GET", "/apis/rdzv.dev/v1alpha1/namespaces/a/rendezvous/train", ("get", "rendezvous")),
        ("PUT", "/apis/rdzv.dev/v1alpha1/namespaces/a/rendezvous/train/status", ("update", "rendezvous/status")),
        ("GET", "/api/v1/pods?labelSelector=x&watch=true", ("watch", "pods")),
        ("GET", "/api/v1/namespaces/a/pods?watch=true", ("watch", "pods")),
        ("GET", "/api/v1/namespaces/a/pods/pods", ("get", "pods")),
        ("POST", "/apis/events.k8s.io/v1/namespaces/a/events", ("create", "events")),
        ("PATCH", "/apis/events.k8s.io/v1/namespaces/a/events/train.1", ("patch", "events")),
        (
            "DELETE",
            "/apis/rdzv.dev/v1alpha1/namespaces/a/rendezvousparticipants/x",
            ("delete", "rendezvousparticipants"),
        ),
        ("GET", "/k8s/clusters/c-1/api/v1/pods", ("list", "pods")),
        ("GET", "/apis/rdzv.dev/v1alpha1", ("get", "")),
        ("GET", "/api", ("get", "")),
    ],
)
def test_a_request_has_a_verb_and_a_resource(method: str, path: str, expected: tuple[str, str]) -> None:
    assert request_of(method, URL(f"https://10.96.0.1:443{path}")) == expected
