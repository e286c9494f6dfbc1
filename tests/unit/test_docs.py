"""The pages fit together, and their manifests and the examples fit the CRDs."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomllib
import yaml
from tests.support.pages import CODE, DOCS, LINK, ROOT, anchors, fences, name_of, prose, read, rows, section

from rendezvous_api import names
from rendezvous_api.codec import decode
from rendezvous_api.rendezvous import Rendezvous
from rendezvous_handler.kube import errors

EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


def leads_somewhere(source: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    goal = (source.parent / path).resolve() if path else source
    if not (goal.is_relative_to(ROOT) and goal.exists()):
        return False
    return not anchor or anchor in anchors(goal.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", DOCS, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = [match["target"] for match in LINK.finditer(prose(page.read_text(encoding="utf-8")))]
    inside = [target for target in targets if "://" not in target]
    assert [target for target in inside if not leads_somewhere(page, target)] == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    """The pages of the protocol by way of their overview, all others at once."""
    targets = {match["target"] for match in LINK.finditer(read("README.md"))}
    assert "docs/how-it-works.md" in targets
    overview = LINK.finditer(read("docs/how-it-works.md"))
    targets |= {f"docs/{match['target'].partition('#')[0]}" for match in overview}
    assert targets >= {name_of(path) for path in DOCS if path.name != "README.md"}


@pytest.mark.parametrize("path", DOCS, ids=name_of)
def test_make_targets_exist(path: Path) -> None:
    # In code only: "to make a group" is no command.
    text = path.read_text(encoding="utf-8")
    code = "\n".join([*fences(text, "sh"), *CODE.findall(prose(text))])
    targets = " ".join(re.findall(r"^([a-z0-9 -]+):", read("Makefile"), flags=re.MULTILINE)).split()
    assert set(re.findall(r"^make ([a-z0-9-]+)", code, flags=re.MULTILINE)) <= set(targets)


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
    label = "app.kubernetes.io/part-of"
    assert f"-l {label}={labels[label]}" in read("handler/rendezvous_handler/join/report.py")


# ---- the quick start, and the numbers on the first page


def test_the_commands_of_the_quick_start_fit_the_examples() -> None:
    """Docker and kind are not here; that the chart and the script work is seen in tests/cluster."""
    build, install, train, _ = fences(section("docs/quick-start.md", "## On kind, without GPUs"), "sh")
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    images = re.findall(r" -t (\S+) ", build)
    assert [(ROOT / path).is_file() for path in re.findall(r" -f (\S+) ", build)] == [True]
    (loaded,) = re.findall(r"^kind load docker-image (.+)$", build, flags=re.MULTILINE)
    assert loaded.split() == images
    assert f"image.repository={images[0].removesuffix(f':{version}')} " in install
    (job,) = re.findall(r"^kubectl apply -f (\S+)$", train, flags=re.MULTILINE)
    volume, found = yaml.safe_load_all(read(job))
    assert volume["spec"]["accessModes"] == ["ReadWriteOnce"]
    pod = found["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert container["image"] == images[1]
    assert "kube" not in build.partition("<<")[2].partition("\nEND\n")[0], "the image has nothing of this project"
    page = section("docs/quick-start.md", "## On kind, without GPUs")
    for kind in ("labels", "annotations"):
        ((key, value),) = pod["metadata"][kind].items()
        assert f"`{key}: {value}`" in page.replace('"', "")
    (name, source) = re.findall(r"create configmap (\S+) --from-file=(\S+)", train)[0]
    assert name == pod["spec"]["volumes"][0]["configMap"]["name"]
    assert f"/app/{(ROOT / source).name}" in container["command"]
    (account,) = re.findall(r"workers.namespaces=\{(\S+)\}", install)
    assert f"create namespace {account}" in install
    assert f"--namespace={account}" in train


def test_the_first_job_of_the_readme_is_that_of_its_commands() -> None:
    (commands,) = fences(section("README.md", "## Three commands"), "sh")
    (path,) = re.findall(r"^kubectl apply -f (\S+)$", commands, flags=re.MULTILINE)
    (job,) = fences(section("README.md", "## Three commands"), "yaml")
    assert read(path).endswith(f"\n{job}")
    lines = commands.replace("\\\n", "").splitlines()
    assert [line.split()[:2] for line in lines] == [["helm", "install"], ["kubectl", "apply"], ["kubectl", "get"]]


def test_the_recording_shows_what_was_printed() -> None:
    """That the picture is drawn from the record, `make check` sees."""
    header, *events = map(json.loads, read("docs/images/recording.cast").splitlines())
    shown = "".join(text for _, _, text in events)
    assert (header["version"], {kind for _, kind, _ in events}) == (2, {"o"})
    assert [moment for moment, _, _ in events] == sorted(moment for moment, _, _ in events)
    rounds = re.findall(r"digits +Running +run-1 +(\d+) +(\d)/2-4", shown)
    assert [*dict.fromkeys(rounds)] == [("1", "3"), ("2", "2")], "a round of three nodes, and then one of two"
    killed, resumed = re.search(r"epoch (\d+) of \d+: loss", shown), re.search(r"begins with epoch (\d+) of", shown)
    assert killed is not None
    assert resumed is not None
    assert int(resumed[1]) > int(killed[1]) > 0, "it continues from a checkpoint"


def test_output_of_pods_in_the_quick_start_is_that_of_a_stage() -> None:
    for block in fences(read("docs/quick-start.md"), "console"):
        assert block in read("docs/stages.md")


def test_the_image_of_the_digits_has_what_it_copies() -> None:
    text = read("examples/digits/Containerfile")
    copied = {name for line in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE) for name in line.split()}
    let_through = {line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")}
    assert copied <= let_through
    project = tomllib.loads(read("pyproject.toml"))
    needed = {path.partition("/")[0] for path in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]}
    assert copied == {*needed, "pyproject.toml", "README.md", *project["project"]["license-files"]}


def test_the_times_in_the_readme_are_those_of_the_benchmarks_for_both_forms_of_c10d() -> None:
    measured = {cells[0]: cells for cells in rows(section("docs/benchmarks.md", "### All join at once"))}
    said = [cells for cells in rows(read("README.md")) if re.fullmatch(r"\d+ nodes", cells[0])]
    assert len(said) == 2
    for nodes, ours, shipped, stubbed in said:
        row = measured[nodes.removesuffix(" nodes")]
        for number, cell in ((ours, row[1]), (shipped, row[3]), (stubbed, row[4])):
            assert cell.partition(" (")[0] == number.removesuffix(" s") or cell == number, (nodes, cell)


def test_the_licence_is_whole() -> None:
    text = read("LICENSE")
    assert text.strip().startswith("Apache License\n")
    assert "END OF TERMS AND CONDITIONS" in text
    assert len(text.split()) == 1581
