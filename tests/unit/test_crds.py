"""The CRDs in crds/ say the same as the dataclasses of the API, and keep the conventions of Kubernetes APIs."""

import re
import typing
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from typing import Any

import pytest
import yaml
from tests.support.crd_schemas import (
    CRDS,
    NODES,
    ROOT,
    STRUCTURES,
    Schema,
    item_of,
    root_schema,
    version,
    without_none,
)
from tests.support.pages import CODE, rows, section

from rendezvous_api import names
from rendezvous_api.codec import decode, encode, json_name
from rendezvous_api.meta import Condition
from rendezvous_api.participant import Participant, ParticipantStatus
from rendezvous_api.rendezvous import Rendezvous, RendezvousStatus

KINDS = pytest.mark.parametrize("kind", CRDS, ids=lambda kind: kind.__name__)

WORD = "^[A-Z][A-Za-z0-9]*$"
JSON_TYPES = {str: "string", int: "integer", bool: "boolean"}
# The only values of a string that are listed in a schema: those of metav1.Condition never change.
ENUMS = {"Rendezvous.status.conditions[].status": ["True", "False", "Unknown"]}
# metav1.Condition requires more than the dataclass, which leaves these to whoever writes the status.
CONDITION_REQUIRED = {"type", "status", "reason", "message", "lastTransitionTime"}


FIELDS = [
    pytest.param(f"{path}.{json_name(field.name)}", cls, field, schema, id=f"{path}.{json_name(field.name)}")
    for path, cls, schema in STRUCTURES
    for field in fields(cls)
    if field.name != "metadata"
]
STRUCTURE_CASES = pytest.mark.parametrize(
    ("path", "cls", "schema"), [pytest.param(*found, id=found[0]) for found in STRUCTURES]
)
FIELD_CASES = pytest.mark.parametrize(("path", "cls", "field", "schema"), FIELDS)


def test_the_dataclasses_reach_into_every_corner_of_the_schemas() -> None:
    # Otherwise the comparisons below might pass by comparing little.
    compared = {path for path, _, _ in STRUCTURES}
    assert compared == {path for path, schema in NODES if schema["type"] == "object"}


@STRUCTURE_CASES
def test_fields_are_the_properties(path: str, cls: type[Any], schema: Schema) -> None:
    # The API server knows metadata by itself.
    assert {json_name(field.name) for field in fields(cls)} - {"metadata"} == set(schema["properties"]) - {"metadata"}


@FIELD_CASES
def test_type_of_a_field_is_that_of_its_property(path: str, cls: type[Any], field: Field[Any], schema: Schema) -> None:
    hint = without_none(typing.get_type_hints(cls)[field.name])
    found = schema["properties"][json_name(field.name)]
    if item := item_of(hint):
        assert found["type"] == "array"
        hint, found = item, found["items"]
    if is_dataclass(hint):
        assert found["type"] == "object"
    elif issubclass(hint, Enum):
        assert found["type"] == "string"
        assert "enum" not in found, "a handler or an operator of another release may know more words"
        assert (found["pattern"], found["maxLength"]) == (WORD, 64)
        assert [member for member in hint if not re.search(WORD, member.value)] == []
    else:
        assert found["type"] == JSON_TYPES[hint]
        assert found.get("enum") == ENUMS.get(path)


@FIELD_CASES
def test_defaults_are_equal(path: str, cls: type[Any], field: Field[Any], schema: Schema) -> None:
    default = field.default
    if is_dataclass(default) and not isinstance(default, type):
        # A group of the spec: it is there even if it is not given, so that the defaults of its fields are.
        assert default == type(default)()
        default = {} if encode(default) else None
    elif default in (MISSING, None, "", ()):
        default = None  # a field that is absent
    assert schema["properties"][json_name(field.name)].get("default") == default


@STRUCTURE_CASES
def test_required_are_the_fields_without_a_default(path: str, cls: type[Any], schema: Schema) -> None:
    required = {
        json_name(field.name)
        for field in fields(cls)
        if field.default is MISSING and field.default_factory is MISSING and field.name != "metadata"
    }
    assert set(schema.get("required", ())) == (CONDITION_REQUIRED if cls is Condition else required)


@KINDS
def test_names_are_those_of_the_constants(kind: type[Any]) -> None:
    kind_name, plural = {
        Rendezvous: (names.RENDEZVOUS_KIND, names.RENDEZVOUS_PLURAL),
        Participant: (names.PARTICIPANT_KIND, names.PARTICIPANT_PLURAL),
    }[kind]
    crd = CRDS[kind]
    assert crd["metadata"]["name"] == f"{plural}.{names.GROUP}"
    assert crd["spec"]["group"] == names.GROUP
    assert crd["spec"]["scope"] == "Namespaced"
    assert crd["spec"]["names"]["kind"] == kind_name
    assert crd["spec"]["names"]["plural"] == plural
    assert version(kind)["name"] == names.VERSION
    assert version(kind)["subresources"] == {"status": {}}


@pytest.mark.parametrize(
    ("path", "bound", "value"),
    [
        ("Rendezvous.spec.minNodes", "maximum", names.MAX_NODES),
        ("Rendezvous.spec.maxNodes", "maximum", names.MAX_NODES),
        ("Rendezvous.spec.sizes.step", "maximum", names.MAX_NODES),
        ("Rendezvous.spec.sizes.list[]", "maximum", names.MAX_NODES),
        ("Rendezvous.spec.ranks.segmentSize", "maximum", names.MAX_NODES),
        ("Rendezvous.spec.ranks.keys", "maxItems", names.MAX_TOPOLOGY_KEYS),
        ("Rendezvous.status.topology.keys", "maxItems", names.MAX_TOPOLOGY_KEYS),
        ("Rendezvous.status.topology.domains", "maxItems", names.MAX_NODES),
        ("Rendezvous.status.topology.domains[].values", "maxItems", names.MAX_TOPOLOGY_KEYS),
        ("Rendezvous.status.nodes", "maximum", names.MAX_NODES),
        ("Rendezvous.status.participants", "maxItems", names.MAX_NODES),
        ("Rendezvous.status.participants[].rank", "maximum", names.MAX_NODES - 1),
        ("Rendezvous.status.spares", "maxItems", names.MAX_NODES),
        ("Rendezvous.status.history[].nodes", "maximum", names.MAX_NODES),
        ("RendezvousParticipant.status.rank", "maximum", names.MAX_NODES - 1),
        ("Rendezvous.status.closedRuns", "maxItems", names.MAX_CLOSED_RUNS),
        ("Rendezvous.status.refused", "maxItems", names.MAX_REFUSED),
        ("Rendezvous.status.heldOut", "maxItems", names.MAX_HELD_OUT),
        ("Rendezvous.status.heldOut[].message", "maxLength", names.MAX_MESSAGE_LENGTH),
        ("RendezvousParticipant.spec.checkIn.missing", "maxItems", names.MAX_MISSING),
        ("Rendezvous.status.history", "maxItems", names.MAX_HISTORY),
        ("Rendezvous.status.failures", "maxItems", names.MAX_FAILURES),
        ("Rendezvous.spec.restarts.perNode", "maximum", names.MAX_FAILURES - 1),
        ("Rendezvous.status.formation.missing", "maxItems", names.MAX_MISSING),
        ("Rendezvous.status.formation.message", "maxLength", names.MAX_MESSAGE_LENGTH),
        ("Rendezvous.status.formation.missing[].message", "maxLength", names.MAX_MESSAGE_LENGTH),
        ("Rendezvous.status.refused[].message", "maxLength", names.MAX_MESSAGE_LENGTH),
        ("Rendezvous.status.history[].message", "maxLength", names.MAX_MESSAGE_LENGTH),
        ("Rendezvous.status.conditions[].message", "maxLength", names.MAX_MESSAGE_LENGTH),
    ],
)
def test_bounds_are_the_constants(path: str, bound: str, value: int) -> None:
    schemas = {node_path.replace("Participant.", "RendezvousParticipant.", 1): schema for node_path, schema in NODES}
    assert schemas[path][bound] == value


def convention_problems(schema: Schema) -> list[str]:
    """What the conventions of Kubernetes APIs do not allow in this schema, not looking at those below it."""
    needed: tuple[str, ...] = ()
    problems = []
    match schema.get("type"):
        case "string":
            if not schema.keys() & {"maxLength", "enum", "format"}:
                problems.append("has none of maxLength, enum and format")
        case "integer":
            needed = ("minimum", "maximum", "format")
            if schema.get("format") not in ("int32", "int64"):
                problems.append("format is neither int32 nor int64")
        case "array":
            needed = ("maxItems", "x-kubernetes-list-type", "items")
        case "object":
            needed = ("properties",)
        case "boolean":
            pass
        case other:
            problems.append(f"type {other} is not allowed")
    problems += [f"has no {key}" for key in needed if key not in schema]
    problems += [
        f"{key} is not allowed" for key in ("nullable", "x-kubernetes-preserve-unknown-fields") if key in schema
    ]
    description = schema.get("description", "")
    if len(description.split()) < 3 or not description.endswith("."):
        problems.append("the description is not a sentence")
    for rule in schema.get("x-kubernetes-validations", ()):
        if missing := {"rule", "message", "fieldPath"} - rule.keys():
            problems.append(f"a rule has no {missing}")
        # Kubernetes 1.32 compiles the rules of a new CRD as 1.31 does, and that knows no two-variable comprehensions.
        if re.search(r"\.\w+\(\s*[a-z]\w*\s*,\s*[a-z]\w*\s*,", rule.get("rule", "")):
            problems.append("a rule has a two-variable comprehension")
    return problems


@pytest.mark.parametrize(("path", "schema"), [pytest.param(*found, id=found[0]) for found in NODES])
def test_schema_keeps_the_conventions(path: str, schema: Schema) -> None:
    assert convention_problems(schema) == []


WELL = {"type": "string", "maxLength": 3, "description": "Three characters only."}


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({**WELL, "description": "Three characters only"}, "the description is not a sentence"),
        ({"type": "string", "maxLength": 3}, "the description is not a sentence"),
        ({"type": "string", "description": "Of any length."}, "has none of maxLength, enum and format"),
        ({**WELL, "type": "integer", "minimum": 0, "format": "int32"}, "has no maximum"),
        ({**WELL, "type": "number"}, "type number is not allowed"),
        ({**WELL, "type": "array", "items": WELL, "maxItems": 1}, "has no x-kubernetes-list-type"),
        ({**WELL, "nullable": True}, "nullable is not allowed"),
        ({**WELL, "x-kubernetes-validations": [{"rule": "true", "message": "no"}]}, "a rule has no {'fieldPath'}"),
        (
            {**WELL, "x-kubernetes-validations": [{"rule": "self.all(i, p, p == i)", "message": "", "fieldPath": ""}]},
            "a rule has a two-variable comprehension",
        ),
    ],
)
def test_breach_of_a_convention_is_found(schema: Schema, problem: str) -> None:
    assert convention_problems(schema) == [problem]


def resolve(kind: type[Any], json_path: str) -> Schema:
    """The schema that a printer column or a selectable field points at."""
    schema = root_schema(kind)
    for name in re.sub(r"\[[^]]*\]", "", json_path).split(".")[1:]:
        schema = schema.get("items", schema)["properties"][name]
    return schema


@KINDS
def test_columns_show_fields_of_the_schema(kind: type[Any]) -> None:
    for column in version(kind)["additionalPrinterColumns"]:
        if column["jsonPath"] == ".metadata.creationTimestamp":
            continue
        schema = resolve(kind, column["jsonPath"])
        expected = "date" if schema.get("format") == "date-time" else schema["type"]
        assert column["type"] == expected, column["name"]
        assert column["description"].endswith("."), column["name"]
    assert version(kind)["additionalPrinterColumns"][-1]["name"] == "Age"


def test_participants_can_be_selected_by_their_rendezvous() -> None:
    selectable = version(Participant)["selectableFields"]
    assert [resolve(Participant, field["jsonPath"])["type"] for field in selectable] == ["string"]
    assert selectable == [{"jsonPath": ".spec.rendezvousName"}]


EXAMPLES = [
    pytest.param(document, id=f"{path.relative_to(ROOT / 'examples')}:{document['metadata']['name']}")
    for path in sorted((ROOT / "examples").rglob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
    if document and document["kind"] == names.RENDEZVOUS_KIND
]


def test_there_is_an_example() -> None:
    assert EXAMPLES


def is_part(part: Any, whole: Any) -> bool:
    """Whether all that stands in `part` stands in `whole`, too."""
    if not isinstance(part, dict):
        return bool(part == whole)
    return isinstance(whole, dict) and all(name in whole and is_part(part[name], whole[name]) for name in part)


@pytest.mark.parametrize("document", EXAMPLES)
def test_example_is_a_rendezvous(document: Schema) -> None:
    assert document["apiVersion"] == names.API_VERSION
    decoded = decode(Rendezvous, document)
    assert decoded.status == RendezvousStatus()
    # Decoding ignores what it does not know, so a misspelt field shows only here.
    assert is_part(document["spec"], encode(decoded.spec))
    assert decoded.spec.min_nodes <= decoded.spec.max_nodes


def test_a_heartbeat_of_its_own_is_what_the_schema_wants() -> None:
    heartbeat = encode(ParticipantStatus(incarnation="abcd1234", attempt=1))
    properties = root_schema(Participant)["properties"]["status"]["properties"]
    assert heartbeat.keys() <= properties.keys()
    assert re.fullmatch(properties["incarnation"]["pattern"], heartbeat["incarnation"])


def test_reserved_names_are_free() -> None:
    """What the page on versions reserves has no meaning yet."""
    schemas = dict(NODES)
    reserved = [row for row in rows(section("docs/versions.md", "## Reserved names")) if row[0].startswith("`")]
    assert len(reserved) == 2
    for where, names_there in reserved:
        properties = schemas[f"Rendezvous.{where.strip('`')}"]["properties"]
        found = CODE.findall(names_there)
        assert found
        assert [name for name in found if name in properties] == []
