#!/usr/bin/env python3
"""Write the parts of charts/kube-rendezvous that follow from something else.

- templates/crds/*.yaml, from crds/: what the chart adds are labels and the annotation that keeps them at an uninstall
- the table of values in README.md, and the descriptions in values.schema.json, from the comments in values.yaml

Run it after a change in crds/ or values.yaml. With --check nothing is written, and the exit code is 1 if something
would be.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from hack import generated
from hack.generated import ROOT

CHART = ROOT / "charts" / "kube-rendezvous"
CRDS = ROOT / "crds"

_KEY = re.compile(r"^(?P<indent> *)(?P<key>\w+):")
_COMMENT = re.compile(r"^ *# ?(?P<text>.*)$")
_METADATA = re.compile(r"(?<=^metadata:\n)  name: (?P<name>\S+)\n", re.MULTILINE)

_OPENING = "{{"
_CRD_METADATA = """\
  name: {name}
  labels:
    {{{{- include "kube-rendezvous.labels" . | nindent 4 }}}}
  {{{{- if .Values.crds.keep }}}}
  annotations:
    helm.sh/resource-policy: keep
  {{{{- end }}}}
"""


def generated_files() -> dict[Path, str]:
    """Path and text of every file that is generated, whole or in part."""
    values = documented_values((CHART / "values.yaml").read_text(encoding="utf-8"))
    readme, schema = CHART / "README.md", CHART / "values.schema.json"
    templates = {
        CHART / "templates" / "crds" / path.name: crd_template(path.name, path.read_text(encoding="utf-8"))
        for path in sorted(CRDS.glob("*.yaml"))
    }
    return {
        **templates,
        **generated.with_parts({readme: readme.read_text(encoding="utf-8")}, {"values": table_of(values)}),
        schema: with_descriptions(schema.read_text(encoding="utf-8"), values),
    }


# ---- CRDs


def crd_template(name: str, text: str) -> str:
    """The Helm template of a CRD.

    Raises:
        ValueError: the text has no `metadata.name` in the place where it is looked for.
    """
    # In a template, two opening braces stand for themselves only as a string.
    escaped = text.replace(_OPENING, '{{ "{{" }}')
    filled, found = _METADATA.subn(lambda match: _CRD_METADATA.format(name=match["name"]), escaped)
    if found != 1:
        raise ValueError(f"{name}: `metadata:` must be followed by `name:`, once")
    note = f"{{{{- /* Generated from crds/{name} by hack/generate_chart.py. */}}}}\n"
    return f"{note}{{{{- if .Values.crds.enabled }}}}\n{filled}{{{{- end }}}}\n"


# ---- values


@dataclass(frozen=True)
class Value:
    """One value that a user may set."""

    path: str
    """With dots, as after `--set`."""
    default: Any
    description: str


def documented_values(text: str) -> list[Value]:
    """The values that have a comment `# -- ...` above them, in the order of the file."""
    defaults = yaml.safe_load(text)
    return [
        Value(".".join(path), _lookup(defaults, path), " ".join(" ".join(comment).split()))
        for path, comment in _commented_keys(text)
    ]


def _commented_keys(text: str) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    path: list[str] = []
    comment: list[str] = []
    for line in text.splitlines():
        if match := _COMMENT.match(line):
            said = match["text"]
            comment = [said.removeprefix("-- ")] if said.startswith("-- ") else [*comment, said] if comment else []
        elif match := _KEY.match(line):
            path = [*path[: len(match["indent"]) // 2], match["key"]]
            if comment:
                yield tuple(path), comment
            comment = []
        else:
            comment = []


def _lookup(values: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        values = values[key]
    return values


def table_of(values: list[Value]) -> str:
    """The table of values in the README."""
    rows = [(f"`{value.path}`", f"`{json.dumps(value.default)}`", value.description) for value in values]
    return generated.table(("Value", "Default", "Meaning"), rows)


def with_descriptions(schema: str, values: list[Value]) -> str:
    """The schema with the comments as descriptions, which editors show."""
    document = json.loads(schema)
    for value in values:
        node = document
        for key in value.path.split("."):
            node = node["properties"][key]
        node["description"] = value.description
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(generated.main("hack/generate_chart.py", __doc__, generated_files))
