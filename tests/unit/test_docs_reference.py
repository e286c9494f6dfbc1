"""The reference has everything that there is."""

import ast
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hack import generate_reference
from tests.support.pages import CODE, ROOT, read, rows, section

from rendezvous_api import names, reasons
from rendezvous_handler import settings

PRODUCT = [ROOT / "api", ROOT / "operator", ROOT / "handler"]


def test_the_generated_parts_are_up_to_date() -> None:
    text = read("docs/reference.md")
    assert generate_reference.with_generated_parts(text) == text, "run hack/generate_reference.py"


def test_an_outdated_reference_is_noticed() -> None:
    text = read("docs/reference.md")
    outdated = text.replace("| `minNodes` |", "| `minimumNodes` |")
    assert outdated != text
    assert generate_reference.with_generated_parts(outdated) == text
    with pytest.raises(ValueError, match="rendezvous spec"):
        generate_reference.with_generated_parts(
            text.replace("generated: rendezvous spec", "generated: rendezvous specs")
        )


def schema_fields(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, child in schema.get("properties", {}).items():
        yield path + name
        inner = child.get("items", child)
        yield from schema_fields(inner, f"{path}{name}{'[]' if 'items' in child else ''}.")


@pytest.mark.parametrize("kind", ["Rendezvous", "RendezvousParticipant"])
@pytest.mark.parametrize("part", ["spec", "status"])
def test_every_field_is_in_the_reference(kind: str, part: str) -> None:
    crd = yaml.safe_load(read(f"crds/{kind.lower()}.yaml"))
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][part]
    table = rows(section("docs/reference.md", f"### {kind} {part}"))
    assert [row[0] for row in table] == [f"`{field}`" for field in schema_fields(schema)]
    assert all(row[1] and row[3] for row in table)


def conf_keys() -> set[str]:
    """What the handler looks up in --rdzv-conf."""
    tree = ast.parse(read("handler/rendezvous_handler/settings.py"))
    looked_up = {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "config.get"
        and isinstance(node.args[0], ast.Constant)
    }
    return {str(key) for key in looked_up} | set(settings._DEFAULTS)


def test_every_key_of_rdzv_conf_is_in_the_reference_with_its_default() -> None:
    table = {row[0].strip("`"): row[1] for row in rows(section("docs/reference.md", "### --rdzv-conf"))}
    assert set(table) == conf_keys()
    assert {"node_id", "store_port", "create"} < set(table)
    for key, default in settings._DEFAULTS.items():
        assert table[key] == f"`{default}`"


def test_every_label_and_annotation_is_in_the_reference() -> None:
    listed = "\n".join(row[0] for row in rows(section("docs/reference.md", "## Labels and annotations")))
    used = {constant for constant in vars(names) if constant.startswith(("LABEL_", "ANNOTATION_"))}
    sources = "\n".join(path.read_text() for folder in PRODUCT[1:] for path in folder.rglob("*.py"))
    for constant in sorted(used):
        if f"names.{constant}" in sources:
            assert f"`{getattr(names, constant)}`" in listed


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("### Why a round ended", {*reasons.RoundEndReason}),
        ("### Why an agent may not join", {*reasons.RefusalReason}),
        ("### Why a node is held out", {*reasons.HeldOutReason}),
        ("### State", {*reasons.State}),
        ("### Why a run is closed", {*reasons.ClosedReason}),
    ],
)
def test_every_reason_is_in_its_table(heading: str, expected: set[reasons.Reason]) -> None:
    listed = {row[0] for row in rows(section("docs/reference.md", heading))}
    assert {f"`{reason}`" for reason in expected} <= listed
    known = {f"`{reason}`" for group in reasons.Reason.__subclasses__() for reason in group}
    assert {row for row in listed if CODE.fullmatch(row)} <= known


def test_every_reason_is_mentioned() -> None:
    text = section("docs/reference.md", "## Reasons")
    for group in reasons.Reason.__subclasses__():
        for reason in group:
            assert f"`{reason}`" in text, f"{group.__name__} {reason}"


def test_failures_are_marked_as_such() -> None:
    table = {row[0].strip("`"): row[1] for row in rows(section("docs/reference.md", "### Why a round ended"))}
    assert {reason for reason, counts in table.items() if counts == "yes"} == {str(found) for found in reasons.FAILURES}


def test_events_are_those_that_are_sent() -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "operator").rglob("*.py"))
    sent = {reasons.EventReason[name] for name in re.findall(r"EventReason\.([A-Z_]+)", sources)}
    listed = {row[0].strip("`") for row in rows(section("docs/reference.md", "### Events"))}
    assert listed == {str(reason) for reason in sent}
