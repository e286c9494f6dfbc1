"""Scenarios for the tests of `kubectl rdzv simulate`."""

from typing import Any

from kube_rendezvous_cli.simulator import scenario
from kube_rendezvous_cli.simulator.play import Play

Json = dict[str, Any]


def item(**fields: Any) -> Json:
    """A scenario with these fields."""
    kinds = {"apiVersion": "rdzv.dev/v1alpha1", "kind": "Scenario"}
    return {**kinds, "spec": {"minNodes": 2, "maxNodes": 3}, "nodes": 3, **fields}


def played(*events: Json, **fields: Any) -> Play:
    """What is played when these events happen."""
    return scenario.play(scenario.read(item(events=[*events], **fields)))


def told(play: Play, *whats: str) -> list[tuple[float, str]]:
    """When the operator has told these reasons or states."""
    return [(entry.at, entry.what) for entry in play.record if entry.what in whats]
