"""The descriptions in the CRDs explain each setting, each reason and each name of torch."""

import typing
from collections.abc import Iterator
from enum import Enum
from typing import Any

import pytest
from tests.support.crd_schemas import NODES, SPEC_FIELDS, STRUCTURES, Schema, without_none

from rendezvous_api import names
from rendezvous_api.codec import json_name
from rendezvous_api.reasons import FAILURES, ConditionReason, RoundEndReason

SETTINGS = {
    name: schema
    for name, schema in SPEC_FIELDS.items()
    if schema["type"] != "object" and not name.startswith(("sizes.", "ranks.")) and not name.endswith("[]")
}


@pytest.mark.parametrize("name", SETTINGS)
def test_description_of_a_setting_says_its_unit_its_default_and_what_zero_means(name: str) -> None:
    schema = SETTINGS[name]
    description = schema["description"]
    assert len(description) > 100
    assert ("in seconds" in description) == ("Seconds" in name)
    assert ("With 0 " in description) == (schema.get("minimum") == 0)
    if "default" in schema:
        assert description.endswith(f"Defaults to {str(schema['default']).lower()}.")
    else:
        assert "Defaults to" not in description


def words_of_fields() -> Iterator[Any]:
    """Every field that has one of the words of an enumeration, with these words."""
    for path, cls, schema in STRUCTURES:
        for name, hint in typing.get_type_hints(cls).items():
            inner = without_none(hint)
            if isinstance(inner, type) and issubclass(inner, Enum):
                found = schema["properties"][json_name(name)]
                words = FAILURES if path.endswith("failures[]") else {*inner}
                yield pytest.param(found, words, id=f"{path}.{json_name(name)}")
    (history,) = (schema for path, _, schema in STRUCTURES if path == "Rendezvous.status.history[]")
    # Or the reason why the run was closed, which is explained with the closed runs.
    yield pytest.param(history["properties"]["reason"], {*RoundEndReason}, id="Rendezvous.status.history[].reason")


@pytest.mark.parametrize(("schema", "words"), [*words_of_fields()])
def test_description_of_an_enumeration_explains_every_value(schema: Schema, words: set[Enum]) -> None:
    assert [word.value for word in words if word.value not in schema["description"]] == []


def test_every_condition_and_every_reason_of_one_is_explained() -> None:
    conditions = dict(NODES)["Rendezvous.status.conditions"]
    types_of_conditions = [value for name, value in vars(names).items() if name.startswith("CONDITION_")]
    assert len(types_of_conditions) == 7
    assert [name for name in types_of_conditions if name not in conditions["description"]] == []
    reason = conditions["items"]["properties"]["reason"]["description"]
    assert [word for word in ConditionReason if word not in reason] == []
    assert "`formation.reason`" in reason
    assert "`closedRuns[].reason`" in reason


@pytest.mark.parametrize(
    "name",
    {
        "timeouts.joinSeconds": "join_timeout",
        "timeouts.lastCallSeconds": "last_call_timeout",
        "heartbeat.intervalSeconds": "keep_alive_interval",
        "heartbeat.maxMissed": "keep_alive_max_attempt",
        "runID": "torchrun --rdzv-id",
        "minNodes": "torchrun --nnodes",
        "maxNodes": "torchrun --nnodes",
    }.items(),
    ids=lambda item: str(item[0]),
)
def test_description_names_what_torch_calls_it(name: tuple[str, str]) -> None:
    assert f"`{name[1]}" in SPEC_FIELDS[name[0]]["description"]
