"""Scenarios in which pods are in racks, and a rack is a replacement group."""

from dataclasses import replace
from typing import Any

from tests.unit.core.builders import now
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import HeldOutReason
from rendezvous_api.rendezvous import HeldOut

RACK = "example.com/rack"


def in_racks(*nodes: str, size: int = 2, min_nodes: int = 2, max_nodes: int = 4, **spec: Any) -> Scenario:
    """Pods of these names, each in the rack of its first letter; replacement groups are racks."""
    settings = {"group_key": RACK, "group_size": size, "last_call_seconds": 0, **spec}
    scenario = Scenario(min_nodes, max_nodes, **settings)
    labelled(scenario, *nodes)
    return scenario


def labelled(scenario: Scenario, *nodes: str) -> None:
    """Pods of these names, each in the rack of its first letter."""
    for name in nodes:
        scenario.pod(name, labels={RACK: name[0]})


def join_together(scenario: Scenario, *nodes: str) -> None:
    """They come in one moment, so that one decision sees all of them."""
    scenario.complete = False
    scenario.join_from_pods(*nodes)
    scenario.complete = True
    scenario.settle()


def training(*nodes: str, spares: tuple[str, ...] = (), **spec: Any) -> Scenario:
    """A round of the first nodes runs, and the others wait."""
    scenario = in_racks(*nodes, *spares, **spec)
    join_together(scenario, *nodes)
    assert scenario.group == [*nodes]
    join_together(scenario, *spares)
    assert not scenario.asks
    return scenario


def lose(scenario: Scenario, *nodes: str) -> None:
    """These members are lost with their pods, and all others join again."""
    scenario.pod_gone(*nodes)
    scenario.all_join_again()


def message(scenario: Scenario) -> str:
    """What people read of it."""
    return scenario.condition("Running").message


def held_out(scenario: Scenario, name: str) -> None:
    """From now on, for 30 s."""
    until = now(scenario.clock).clock_time(scenario.clock + 30)
    entry = HeldOut(name, HeldOutReason.CRASH_LOOP, "it fails", until, 1)
    scenario.status = replace(scenario.status, held_out=(entry,))
