"""The ResourceQuota of docs/security.md, which bounds the number of objects in a namespace."""

from collections.abc import Callable
from functools import partial

import pytest
import yaml
from tests.support import objects
from tests.support.api import Api, Json
from tests.support.pages import fences, read
from tests.support.waiting import wait_until

from rendezvous_controlplane import ControlPlaneError, LocalControlPlane

MOST = 2
(QUOTA,) = [
    block for block in map(yaml.safe_load, fences(read("docs/security.md"), "yaml")) if block["kind"] == "ResourceQuota"
]
KINDS: dict[str, Callable[[str], Json]] = {
    "count/rendezvous.rdzv.dev": partial(objects.rendezvous, minNodes=1, maxNodes=2),
    "count/rendezvousparticipants.rdzv.dev": objects.participant,
}


def test_the_page_counts_both_kinds() -> None:
    assert QUOTA["spec"]["hard"].keys() == KINDS.keys()


@pytest.mark.parametrize("counted", KINDS)
def test_a_quota_bounds_the_number_of_objects(control_plane: LocalControlPlane, namespace: str, counted: str) -> None:
    api = Api(control_plane, namespace)
    make = KINDS[counted]
    hard = {counted: str(MOST)}
    api.create({**QUOTA, "spec": {"hard": hard}})

    def is_refused() -> str:
        try:
            api.create(make("another"), dry_run=True)
        except ControlPlaneError as error:
            if "exceeded quota" not in str(error):
                raise
            return str(error)
        return ""

    # Here is no controller that counts what is there; what is created is counted by the API server itself.
    count = partial(api.patch, "ResourceQuota", QUOTA["metadata"]["name"], subresource="status")
    count({"status": {"hard": hard, "used": hard}})
    wait_until(is_refused, "the quota to hold")
    count({"status": {"hard": hard, "used": {counted: "0"}}})
    wait_until(lambda: not is_refused(), "the quota to be free again")
    for number in range(MOST):
        api.create(make(f"n{number}"))
    said = (
        f"exceeded quota: {QUOTA['metadata']['name']}, requested: {counted}=1, used: {counted}=2, limited: {counted}=2"
    )
    assert said in wait_until(is_refused, "the quota to be used up")
