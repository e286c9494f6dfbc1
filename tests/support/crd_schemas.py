"""The CRDs in crds/ beside the dataclasses of the API, for the tests that compare them."""

import re
import types
import typing
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import yaml

from rendezvous_api.codec import json_name
from rendezvous_api.participant import Participant
from rendezvous_api.rendezvous import Rendezvous

ROOT = Path(__file__).parents[2]
Schema = dict[str, Any]

CRDS: dict[type[Any], Schema] = {
    Rendezvous: yaml.safe_load((ROOT / "crds" / "rendezvous.yaml").read_text()),
    Participant: yaml.safe_load((ROOT / "crds" / "rendezvousparticipant.yaml").read_text()),
}


def version(kind: type[Any]) -> Schema:
    (only,) = CRDS[kind]["spec"]["versions"]
    return typing.cast(Schema, only)


def root_schema(kind: type[Any]) -> Schema:
    return typing.cast(Schema, version(kind)["schema"]["openAPIV3Schema"])


def without_none(hint: Any) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        (hint,) = (argument for argument in typing.get_args(hint) if argument is not type(None))
    return hint


def item_of(hint: Any) -> Any:
    return typing.get_args(hint)[0] if typing.get_origin(hint) is tuple else None


def structures(path: str, cls: type[Any], schema: Schema) -> Iterator[tuple[str, type[Any], Schema]]:
    """Every dataclass of the API with its path and the schema that stands for it."""
    yield path, cls, schema
    for field_name, hint in typing.get_type_hints(cls).items():
        inner, name = without_none(hint), json_name(field_name)
        if is_dataclass(inner) and name != "metadata":
            yield from structures(f"{path}.{name}", typing.cast(type[Any], inner), schema["properties"][name])
        elif is_dataclass(item := item_of(inner)):
            yield from structures(f"{path}.{name}[]", typing.cast(type[Any], item), schema["properties"][name]["items"])


STRUCTURES = [found for kind in CRDS for found in structures(kind.__name__, kind, root_schema(kind))]


def nodes(path: str, schema: Schema) -> Iterator[tuple[str, Schema]]:
    """Every schema below `schema`, itself included, but for object metadata."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        if name != "metadata":
            yield from nodes(f"{path}.{name}", child)
    if "items" in schema:
        yield from nodes(f"{path}[]", schema["items"])


NODES = [found for kind in CRDS for found in nodes(kind.__name__, root_schema(kind))]
SPEC_FIELDS = {
    path.removeprefix("Rendezvous.spec."): schema for path, schema in NODES if path.startswith("Rendezvous.spec.")
}


def misfits(path: str, schema: Schema, value: Any) -> Iterator[str]:
    """What the API server would refuse in a value, as far as lengths, numbers, patterns and required fields go."""
    if schema["type"] == "object":
        yield from (f"{path}.{name} is missing" for name in schema.get("required", ()) if name not in value)
        for name, child in value.items():
            yield from misfits(f"{path}.{name}", schema["properties"][name], child)
    elif schema["type"] == "array":
        if len(value) > schema["maxItems"]:
            yield f"{path} has {len(value)} items"
        for item in value:
            yield from misfits(f"{path}[]", schema["items"], item)
    elif schema["type"] == "integer" and not schema["minimum"] <= value <= schema["maximum"]:
        yield f"{path} is {value}"
    elif schema["type"] == "string":
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
            yield f"{path} has {len(value)} characters: {value}"
        elif not re.search(schema.get("pattern", ""), value):
            yield f"{path} is {value!r}"


def greatest(schema: Schema) -> Any:
    """The greatest value that a schema accepts: each number, string and list at its bound."""
    if schema["type"] == "object":
        return {name: greatest(child) for name, child in schema["properties"].items()}
    if schema["type"] == "array":
        return [greatest(schema["items"])] * schema["maxItems"]
    if schema["type"] == "integer":
        return schema["maximum"]
    if schema["type"] == "boolean":
        return True
    if schema.get("format") == "date-time":
        return "2030-01-01T00:00:00.000000Z"
    # The first one is an --rdzv-id that looks like the launch of a workload.
    fillers = ("a/2" + "/" * schema["maxLength"], "a" * schema["maxLength"], "A" * schema["maxLength"])
    return next(text for text in (filler[: schema["maxLength"]] for filler in fillers) if _fits(schema, text))


def _fits(schema: Schema, text: str) -> bool:
    return re.search(schema.get("pattern", ""), text) is not None
