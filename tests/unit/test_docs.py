"""The documentation says what the code does, as far as a program can tell."""

import ast
import importlib.util
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from rendezvous_api import names, reasons
from rendezvous_api.codec import decode
from rendezvous_api.rendezvous import Rendezvous
from rendezvous_handler import errors, settings
from rendezvous_operator.core.end.rules import END_RULES

ROOT = Path(__file__).parents[2]
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
PRODUCT = [ROOT / "api", ROOT / "operator", ROOT / "handler"]

_FENCE = re.compile(r"^(?P<indent> *)```(?P<kind>[a-z]*)\n(?P<body>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ (?P<text>.+)$", re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")
_PLACEHOLDER = re.compile(r"\.\.\.|\b[A-Z][A-Z/]*\b(?::PORT)?|\b\d+\b")
_PERCENT = re.compile(r"%(?:\.\d+)?[sdfrg]")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def read(path: str | Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def fences(text: str, kind: str) -> list[str]:
    return [match["body"] for match in _FENCE.finditer(text) if match["kind"] == kind]


def prose(text: str) -> str:
    return _FENCE.sub("", text)


def section(path: str, heading: str) -> str:
    """The text below a heading, up to the next one of the same or a higher level."""
    level = heading.split(" ")[0]
    after = read(path).partition(f"\n{heading}\n")[2]
    assert after, f"{path} has no heading {heading!r}"
    return re.split(rf"^#{{1,{len(level)}}} ", after, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of all tables, without their headers."""
    cells = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in text.splitlines() if line[:1] == "|"
    ]
    rules = [number for number, row in enumerate(cells) if all(set(cell) <= {"-"} for cell in row)]
    headers = {number - 1 for number in rules} | set(rules)
    return [row for number, row in enumerate(cells) if number not in headers]


# ---- links


def anchors(text: str) -> set[str]:
    """What GitHub makes of the headings of a file."""
    found = (re.sub(r"[^\w\- ]", "", match["text"].lower()) for match in _HEADING.finditer(prose(text)))
    return {heading.replace(" ", "-") for heading in found}


def links() -> Iterator[Any]:
    for path in DOCS:
        for match in _LINK.finditer(prose(path.read_text(encoding="utf-8"))):
            if "://" not in match["target"]:
                yield pytest.param(path, match["target"], id=f"{name_of(path)}->{match['target']}")


@pytest.mark.parametrize(("source", "target"), list(links()))
def test_a_link_leads_somewhere(source: Path, target: str) -> None:
    path, _, anchor = target.partition("#")
    goal = (source.parent / path).resolve() if path else source
    assert goal.is_relative_to(ROOT)
    assert goal.exists()
    if anchor:
        assert anchor in anchors(goal.read_text(encoding="utf-8"))


def test_every_page_can_be_reached_from_the_readme() -> None:
    targets = {match["target"] for match in _LINK.finditer(read("README.md"))}
    assert targets >= {name_of(path) for path in DOCS if path.name != "README.md"}


@pytest.mark.parametrize("path", DOCS, ids=name_of)
def test_make_targets_exist(path: Path) -> None:
    # In code only: "to make a group" is no command.
    text = path.read_text(encoding="utf-8")
    code = "\n".join([*fences(text, "sh"), *_CODE.findall(prose(text))])
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), flags=re.MULTILINE))
    assert set(re.findall(r"^make ([a-z-]+)", code, flags=re.MULTILINE)) <= targets


# ---- the reference


@cache
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_reference", ROOT / "hack" / "generate_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_parts_are_up_to_date() -> None:
    text = read("docs/reference.md")
    assert generator().with_generated_parts(text) == text, "run hack/generate_reference.py"


def test_an_outdated_reference_is_noticed() -> None:
    text = read("docs/reference.md")
    outdated = text.replace("| `minNodes` |", "| `minimumNodes` |")
    assert outdated != text
    assert generator().with_generated_parts(outdated) == text
    with pytest.raises(ValueError, match="rendezvous spec"):
        generator().with_generated_parts(text.replace("generated: rendezvous spec", "generated: rendezvous specs"))


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
        ("### Condition Ready", {*reasons.FormationReason} - {reasons.FormationReason.GATHERING}),
        ("### Condition Closed", {*reasons.ClosedReason} - {reasons.ClosedReason.ABANDONED}),
    ],
)
def test_every_reason_is_in_its_table(heading: str, expected: set[reasons.Reason]) -> None:
    listed = {row[0] for row in rows(section("docs/reference.md", heading))}
    assert {f"`{reason}`" for reason in expected} <= listed
    known = {f"`{reason}`" for group in reasons.Reason.__subclasses__() for reason in group}
    assert {row for row in listed if _CODE.fullmatch(row)} <= known


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


# ---- the rules


CORE = ROOT / "operator" / "rendezvous_operator" / "core"
RULE_NAME = re.compile(r'[Rr]ules? (?:are )?"[^"]+"(?:(?:, | and )"[^"]+")*')


def rule_sections() -> dict[str, str]:
    """Below "The rules": the name of each rule, and its text."""
    _, *sections = re.split(r"^### ", section("docs/how-it-works.md", "## The rules"), flags=re.MULTILINE)
    return {name.lower(): text for name, _, text in (each.partition("\n") for each in sections)}


def code_of(text: str) -> list[Path]:
    """The source files that a text has links to."""
    targets = [match["target"] for match in _LINK.finditer(text) if match["target"].endswith(".py")]
    return [(ROOT / "docs" / target).resolve() for target in targets]


def its_test(path: Path) -> Path:
    """The test file that belongs to a source file."""
    if not path.is_relative_to(CORE):
        return ROOT / "tests" / "unit" / f"test_{path.parent.name.removeprefix('rendezvous_')}_{path.stem}.py"
    name = f"{path.parent.name}_rules" if path.stem == "rules" else {"facts": "timers"}.get(path.stem, path.stem)
    return ROOT / "tests" / "unit" / "core" / f"test_{name}.py"


@pytest.mark.parametrize("rule", rule_sections())
def test_a_rule_has_its_files_and_tests(rule: str) -> None:
    files = code_of(rule_sections()[rule])
    assert files
    assert [name_of(path) for path in files if not path.is_file()] == []
    assert [name_of(its_test(path)) for path in files if not its_test(path).is_file()] == []


@pytest.mark.parametrize("rule", sorted({*rule_sections()} - {"the end of a round", "check-in", "outages", "scale-up"}))
def test_a_file_names_the_rule_that_it_is_for(rule: str) -> None:
    files = code_of(rule_sections()[rule])
    packages = {path.with_name("__init__.py") for path in files}
    assert any(f'"{rule}"' in path.read_text(encoding="utf-8") for path in [*files, *packages])


def test_code_and_tests_name_no_rule_that_the_page_does_not_have() -> None:
    found = set()
    for folder in [*PRODUCT, ROOT / "tests"]:
        for path in folder.rglob("*.py"):
            for phrase in RULE_NAME.findall(path.read_text(encoding="utf-8")):
                found |= set(re.findall(r'"([^"]+)"', phrase))
    assert {"exclusivity", "last call"} < found
    assert found <= {*rule_sections()}


def test_the_ends_of_a_round_are_those_of_the_code_in_their_order() -> None:
    table = rows(rule_sections()["the end of a round"])
    said = [(row[0].strip("`"), row[2] == "yes", code_of(row[3])) for row in table]
    known = []
    for rule in END_RULES:
        (name,) = re.findall(r"RoundEndReason\.([A-Z_]+)", inspect.getsource(rule))
        reason = reasons.RoundEndReason[name]
        known.append((str(reason), reason in reasons.FAILURES, [Path(inspect.getfile(rule)).resolve()]))
    assert said == known


def test_the_reference_has_them_in_the_same_order() -> None:
    listed = [row[0].strip("`") for row in rows(section("docs/reference.md", "### Why a round ended"))]
    in_table = [row[0].strip("`") for row in rows(rule_sections()["the end of a round"])]
    assert listed[: len(in_table)] == in_table


# ---- YAML


def manifests() -> Iterator[Any]:
    for path in DOCS:
        for number, block in enumerate(fences(path.read_text(encoding="utf-8"), "yaml")):
            yield pytest.param(block, id=f"{name_of(path)}-{number}")
    for path in EXAMPLES:
        yield pytest.param(path.read_text(encoding="utf-8"), id=name_of(path))


def check_against(schema: dict[str, Any], value: Any, path: str) -> None:
    """No field that the CRD does not know, no number outside of its bounds."""
    if schema["type"] == "object":
        unknown = set(value) - set(schema["properties"])
        assert not unknown, f"{path}: {unknown}"
        for name, child in value.items():
            check_against(schema["properties"][name], child, f"{path}.{name}")
    elif schema["type"] == "integer":
        assert schema["minimum"] <= value <= schema["maximum"], path


@pytest.mark.parametrize("text", list(manifests()))
def test_manifests_are_objects_that_the_project_understands(text: str) -> None:
    objects = list(yaml.safe_load_all(text))
    assert objects
    crd = yaml.safe_load(read("crds/rendezvous.yaml"))
    spec_schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    for item in objects:
        assert {"apiVersion", "kind", "metadata"} <= set(item)
        if item["kind"] == names.RENDEZVOUS_KIND:
            assert item["apiVersion"] == names.API_VERSION
            decoded = decode(Rendezvous, item)
            assert decoded.spec.min_nodes <= decoded.spec.max_nodes
            check_against(spec_schema, item["spec"], "spec")


def objects_of(*paths: str) -> dict[str, dict[str, Any]]:
    return {item["kind"]: item for path in paths for item in yaml.safe_load_all(read(path))}


def test_the_job_fits_its_rendezvous_and_its_service_account() -> None:
    found = objects_of("examples/job.yaml", "examples/rendezvous.yaml", "examples/agent-rbac.yaml")
    pod = found["Job"]["spec"]["template"]
    rendezvous = found["Rendezvous"]
    (container,) = pod["spec"]["containers"]
    assert pod["metadata"]["labels"][names.LABEL_RENDEZVOUS] == rendezvous["metadata"]["name"]
    assert f"--rdzv-endpoint={rendezvous['metadata']['name']}" in container["args"]
    spec = rendezvous["spec"]
    assert f"--nnodes={spec['minNodes']}:{spec['maxNodes']}" in container["args"]
    assert found["Job"]["spec"]["completions"] == found["Job"]["spec"]["parallelism"] == spec["maxNodes"]
    assert pod["spec"]["serviceAccountName"] == found["ServiceAccount"]["metadata"]["name"]
    assert found["RoleBinding"]["roleRef"]["name"] == found["Role"]["metadata"]["name"]
    assert found["RoleBinding"]["subjects"][0]["name"] == found["ServiceAccount"]["metadata"]["name"]


def test_the_role_of_an_agent_is_the_one_that_its_errors_ask_for() -> None:
    rules = objects_of("examples/agent-rbac.yaml")["Role"]["rules"]
    assert {group for rule in rules for group in rule["apiGroups"]} == {names.GROUP}
    said = "; ".join(f"{', '.join(rule['resources'])} {', '.join(rule['verbs'])}" for rule in rules)
    assert said in errors._ROLE


def test_the_operator_runs_as_the_account_that_has_the_role() -> None:
    found = objects_of("examples/operator-rbac.yaml", "examples/operator.yaml")
    deployment, account = found["Deployment"], found["ServiceAccount"]["metadata"]
    assert deployment["spec"]["template"]["spec"]["serviceAccountName"] == account["name"]
    assert deployment["metadata"]["namespace"] == account["namespace"]
    assert found["ClusterRoleBinding"]["subjects"][0]["name"] == account["name"]
    # It is what the agents tell the user to look for.
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert f"-l app.kubernetes.io/name={labels['app.kubernetes.io/name']}" in read(
        "handler/rendezvous_handler/waiting.py"
    )


# ---- messages


def pieces(node: ast.expr) -> list[str] | None:
    """The constant parts of a string in the source, between what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _PERCENT.split(node.value)
    if isinstance(node, ast.JoinedStr):
        found = [""]
        for value in node.values:
            inner = pieces(value) if isinstance(value, ast.Constant) else ["", ""]
            assert inner is not None
            found[-1] += inner[0]
            found += inner[1:]
        return found
    return None


@cache
def said_by_the_code() -> tuple[tuple[str, ...], ...]:
    """Every string of the product, as its constant parts."""
    found = set()
    for folder in PRODUCT:
        for path in folder.rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            inside = {value for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for value in node.values}
            for node in ast.walk(tree):
                if isinstance(node, ast.expr) and node not in inside and (parts := pieces(node)):
                    found.add(tuple(parts))
    return tuple(found)


def comes_from_the_code(message: str) -> bool:
    """Whether the message begins with a string of the code, of at least 16 characters, with its gaps filled."""
    for first, *others in said_by_the_code():
        # A gap at the beginning is a name.
        pattern = ".*?".join(map(re.escape, [first, *others])) if first else r"\S+" + ".*?".join(map(re.escape, others))
        if len(first) + sum(map(len, others)) >= 16 and re.match(pattern, message):
            return True
    return False


def quoted_messages() -> Iterator[Any]:
    for number, block in enumerate(fences(read("docs/troubleshooting.md"), "text")):
        yield pytest.param(block.strip(), id=f"{number}-{block[:40].strip()}")


@pytest.mark.parametrize("message", list(quoted_messages()))
def test_a_message_in_troubleshooting_comes_from_the_code(message: str) -> None:
    assert "\n" not in message
    assert comes_from_the_code(message)
    _, refused, answer = message.partition(" does not take this node: ")
    assert not refused or comes_from_the_code(answer), "that is what the operator says"


@pytest.mark.parametrize("heading", ["### Of an agent", "### Of the operator"])
def test_log_lines_come_from_the_code(heading: str) -> None:
    text = "\0".join("\0".join(parts) for parts in said_by_the_code())
    lines = [line for row in rows(section("docs/reference.md", heading)) for line in _CODE.findall(row[0])]
    fragments = [part.strip(" :().,") for line in lines for part in _PLACEHOLDER.split(line)]
    said = [fragment for fragment in fragments if len(fragment) >= 8]
    assert len(said) >= 6
    assert [fragment for fragment in said if fragment not in text] == []


def test_a_message_that_nobody_says_is_noticed() -> None:
    assert comes_from_the_code("--rdzv-conf join_timeout=0: must be a positive integer")
    assert not comes_from_the_code("--rdzv-conf join_timeout=0: must be a negative integer")


def test_the_licence_is_whole() -> None:
    text = read("LICENSE")
    assert text.strip().startswith("Apache License\n")
    assert "END OF TERMS AND CONDITIONS" in text
    assert len(text.split()) == 1581
