#!/usr/bin/env python3
"""Write what the API server accepts in the spec of a Rendezvous, for `kubectl rdzv simulate`, which asks no server.

It is the schema of crds/rendezvous.yaml without its descriptions. With --check nothing is written, and the exit code is
1 if something would be.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from hack import generated
from hack.generated import ROOT

SCHEMA = ROOT / "cli" / "kube_rendezvous_cli" / "simulator" / "spec_schema.json"

Json = dict[str, Any]


def generated_files() -> dict[Path, str]:
    """The schema as it must be."""
    (version,) = yaml.safe_load((ROOT / "crds" / "rendezvous.yaml").read_text(encoding="utf-8"))["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return {SCHEMA: json.dumps(_without_descriptions(spec), indent=1) + "\n"}


def _without_descriptions(schema: Json) -> Json:
    kept = {key: value for key, value in schema.items() if key != "description"}
    if "properties" in schema:
        kept["properties"] = {name: _without_descriptions(inner) for name, inner in schema["properties"].items()}
    if "items" in schema:
        kept["items"] = _without_descriptions(schema["items"])
    return kept


if __name__ == "__main__":
    sys.exit(generated.main("hack/generate_spec_schema.py", __doc__, generated_files))
