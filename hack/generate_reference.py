#!/usr/bin/env python3
"""Write the parts of docs/reference.md that follow from the CRDs: fields, columns and what the API server refuses.

A generated part stands between two comments of docs/reference.md, `<!-- begin generated: NAME -->` and
`<!-- end generated -->`; everything else in there is written by hand. Run it after a change in crds/. With --check
nothing is written, and the exit code is 1 if something would be.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from hack import generated
from hack.generated import ROOT

REFERENCE = ROOT / "docs" / "reference.md"
CRDS = ("rendezvous", "rendezvousparticipant")

Schema = dict[str, Any]


def generated_files() -> dict[Path, str]:
    """The page as it must be."""
    return {REFERENCE: with_generated_parts(REFERENCE.read_text(encoding="utf-8"))}


def with_generated_parts(text: str) -> str:
    """The text of the page with every generated part made again; see `generated.with_parts`."""
    return generated.with_parts({REFERENCE: text}, generated_parts())[REFERENCE]


def generated_parts() -> dict[str, str]:
    """Name of each part, and its text."""
    parts = {}
    for name in CRDS:
        crd = yaml.safe_load((ROOT / "crds" / f"{name}.yaml").read_text(encoding="utf-8"))
        (version,) = crd["spec"]["versions"]
        schema = version["schema"]["openAPIV3Schema"]
        for part in ("spec", "status"):
            parts[f"{name} {part}"] = _fields(schema["properties"][part])
        parts[f"{name} columns"] = _columns(version["additionalPrinterColumns"])
        parts[f"{name} validations"] = _validations(schema)
    return parts


def _fields(schema: Schema) -> str:
    rows = [
        (f"`{path}`", _type(field), "required" if required else _default(field), field["description"])
        for path, field, required in _walk("", schema)
    ]
    return generated.table(("Field", "Type", "Default", "Meaning"), rows)


def _walk(path: str, schema: Schema) -> Iterator[tuple[str, Schema, bool]]:
    """All fields below an object, each with its path; an item of a list is no field of its own."""
    for name, field in schema.get("properties", {}).items():
        here = f"{path}{name}"
        yield here, field, name in schema.get("required", ())
        inner, suffix = (field["items"], "[]") if field["type"] == "array" else (field, "")
        yield from _walk(f"{here}{suffix}.", inner)


def _type(field: Schema) -> str:
    if field["type"] == "array":
        return f"list of {_plural(field['items'])}, at most {field['maxItems']}"
    if "enum" in field:
        return "one of " + ", ".join(f"`{value}`" for value in field["enum"])
    if field["type"] == "integer":
        return f"integer, {field['minimum']} to {field['maximum']}"
    if "format" in field:
        return "time (RFC 3339)"
    if "maxLength" in field:
        low, high = field.get("minLength", 0), field["maxLength"]
        return f"string, {high} characters" if low == high else f"string, at most {high} characters"
    return str(field["type"])


def _plural(items: Schema) -> str:
    return f"{items['type']}s"


def _default(field: Schema) -> str:
    if "default" not in field:
        return ""
    value = field["default"]
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _columns(columns: list[Schema]) -> str:
    rows = []
    for column in columns:
        wide = "only with `-o wide`" if column.get("priority") else ""
        rows.append((column["name"].upper(), f"`{column['jsonPath']}`", wide, column.get("description", "")))
    return generated.table(("Column", "From", "Shown", "Meaning"), rows)


def _validations(schema: Schema) -> str:
    return "\n".join(f"- {_sentence(rule['message'])}" for rule in _rules(schema))


def _rules(schema: Schema) -> Iterator[Schema]:
    yield from schema.get("x-kubernetes-validations", ())
    for child in schema.get("properties", {}).values():
        yield from _rules(child)


def _sentence(message: str) -> str:
    return message[0].upper() + message[1:] + "."


if __name__ == "__main__":
    sys.exit(generated.main("hack/generate_reference.py", __doc__, generated_files))
