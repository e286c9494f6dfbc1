"""Specs of a Rendezvous from settings with short names: a test says only what matters to it.

A setting has the name of its field: ``last_call_seconds=0`` is ``timeouts.lastCallSeconds``. Where two groups have a
field of one name, or the name alone would say too little, the name of the group stands before it:
``heartbeat_interval_seconds``, ``scale_up_interval_seconds``, ``max_restarts``, ``restarts_per_node``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from rendezvous_api.codec import json_name
from rendezvous_api.rendezvous_spec import RendezvousSpec

_GROUPS = ("timeouts", "scale_up", "heartbeat", "restarts", "nodes")
_OWN_NAMES = {
    ("scale_up", "interval_seconds"): "scale_up_interval_seconds",
    ("heartbeat", "interval_seconds"): "heartbeat_interval_seconds",
    ("heartbeat", "peers_interval_seconds"): "heartbeat_peers_interval_seconds",
    ("restarts", "max"): "max_restarts",
    ("restarts", "window_seconds"): "restarts_window_seconds",
    ("restarts", "per_node"): "restarts_per_node",
    ("restarts", "per_reason"): "restarts_per_reason",
    ("nodes", "mode"): "group_mode",
}


def _settings() -> Iterator[tuple[str, tuple[str, str]]]:
    defaults = RendezvousSpec(1, 1)
    for group in _GROUPS:
        assert is_dataclass(getattr(defaults, group))
        for field in fields(getattr(defaults, group)):
            place = (group, field.name)
            yield _OWN_NAMES.get(place, field.name), place


_PLACES = dict(_settings())
_JSON_PLACES = {json_name(name): (json_name(group), json_name(field)) for name, (group, field) in _PLACES.items()}


def changed(spec: RendezvousSpec, **settings: Any) -> RendezvousSpec:
    """The spec with these settings."""
    for name, value in settings.items():
        if name in _PLACES:
            group, field = _PLACES[name]
            spec = replace(spec, **{group: replace(getattr(spec, group), **{field: value})})
        else:
            spec = replace(spec, **{name: value})
    return spec


def spec_of(min_nodes: int, max_nodes: int, **settings: Any) -> RendezvousSpec:
    """A spec with these settings, and the defaults for all others."""
    return changed(RendezvousSpec(min_nodes, max_nodes), **settings)


def in_groups(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same in JSON: ``{"lastCallSeconds": 0}`` becomes ``{"timeouts": {"lastCallSeconds": 0}}``."""
    spec: dict[str, Any] = {}
    for name, value in settings.items():
        if name in _JSON_PLACES:
            group, field = _JSON_PLACES[name]
            spec[group] = {**spec.get(group, {}), field: value}
        else:
            spec[name] = value
    return spec
