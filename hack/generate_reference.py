#!/usr/bin/env python3
"""Write the parts of docs/reference.md that follow from the CRDs: fields, columns and what the API server refuses.

A generated part stands between two comments of docs/reference.md, `<!-- begin generated: NAME -->` and
`<!-- end generated -->`; everything else in there is written by hand. Run it after a change in crds/. With --check
nothing is written, and the exit code is 1 if something would be.
"""

import argparse
import difflib
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference.md"
CRDS = ("rendezvous", "rendezvousparticipant")

Schema = dict[str, Any]

_PART = re.compile(
    r"<!-- begin generated: (?P<name>[a-z ]+) -->\n.*?<!-- end generated -->",
    re.DOTALL,
)


def main() -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=sys.modules[__name__].__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the file is not up to date")
    check = parser.parse_args().check
    before = REFERENCE.read_text(encoding="utf-8")
    after = with_generated_parts(before)
    if before == after:
        return 0
    if not check:
        REFERENCE.write_text(after, encoding="utf-8")
        return 0
    name = str(REFERENCE.relative_to(ROOT))
    sys.stdout.writelines(
        difflib.unified_diff(before.splitlines(True), after.splitlines(True), name, f"{name}, generated")
    )
    print(f"error: {name} is not up to date: run hack/generate_reference.py", file=sys.stderr)
    return 1


def with_generated_parts(text: str) -> str:
    """The text with every generated part made anew.

    Raises:
        ValueError: a part is missing, unknown, or there twice.
    """
    parts = generated_parts()
    names = [match["name"] for match in _PART.finditer(text)]
    if sorted(names) != sorted(parts):
        raise ValueError(f"{REFERENCE.name} has the generated parts {sorted(names)}; it must have {sorted(parts)}")
    return _PART.sub(lambda match: _part(match["name"], parts[match["name"]]), text)


def _part(name: str, text: str) -> str:
    return f"<!-- begin generated: {name} -->\n\n{text}\n\n<!-- end generated -->"


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
    return _table(("Field", "Type", "Default", "Meaning"), rows)


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
    return _table(("Column", "From", "Shown", "Meaning"), rows)


def _validations(schema: Schema) -> str:
    return "\n".join(f"- {_sentence(rule['message'])}" for rule in _rules(schema))


def _rules(schema: Schema) -> Iterator[Schema]:
    yield from schema.get("x-kubernetes-validations", ())
    for child in schema.get("properties", {}).values():
        yield from _rules(child)


def _sentence(message: str) -> str:
    return message[0].upper() + message[1:] + "."


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *(tuple(_cell(cell) for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
