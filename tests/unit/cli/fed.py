"""Watches of the objects of a played group, without kubectl."""

from typing import Any

from tests.unit.cli.played import Played

from kube_rendezvous_cli.dashboard.live import WHAT
from kube_rendezvous_cli.follow import Listed, Seen, Watches
from kube_rendezvous_cli.kubectl import Kubectl
from rendezvous_api import names

Json = dict[str, Any]


def listed(scenario: Played) -> dict[str, list[Json]]:
    """Its objects by kind, as kubectl lists them."""
    rendezvous, participants, pods = scenario.objects()
    for pod in pods:
        pod["metadata"] |= {"namespace": "team-a", "labels": {names.LABEL_RENDEZVOUS: "train"}}
    found = {"rendezvous": [rendezvous], "participants": participants, "pods": pods}
    for items in found.values():
        for item in items:
            item["metadata"] |= {"namespace": "team-a", "uid": f"uid-of-{item['metadata']['name']}"}
    return found


class Fed(Watches):
    """What kubectl would have shown is given to it."""

    def __init__(self, scenario: Played) -> None:
        super().__init__(Kubectl(), dict.fromkeys(WHAT, ()))
        self.feed(*(Listed(kind, items) for kind, items in listed(scenario).items()))

    def feed(self, *news: Listed | Seen) -> None:
        for each in news:
            self._queue.put(each)
