"""What the back end without operator does before it asks the API server for anything."""

import pickle
import subprocess
import sys
from datetime import datetime, timezone
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import yaml
from torch.distributed.elastic.rendezvous import RendezvousParameters, dynamic_rendezvous

from rendezvous_handler import plugin
from rendezvous_handler.agent.identity import BoundPod
from rendezvous_handler.kube import errors
from rendezvous_handler.operatorless.backend import create_backend
from rendezvous_handler.operatorless.config_map import CONFIG_MAP_BYTES, Owner, config_map_name, owner_of

ROOT = Path(__file__).parents[2]


def test_the_entry_point_imports_neither_torch_nor_kubernetes() -> None:
    code = (
        "import sys, rendezvous_handler.plugin as plugin; plugin.get_dynamic_creator();"
        "print([name for name in ('torch', 'kubernetes', 'urllib3') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_it_is_registered() -> None:
    found = {point.name: point.load() for point in entry_points(group="torchrun.handlers")}
    assert found["kubernetes-dynamic"] is plugin.get_dynamic_creator
    assert plugin.get_dynamic_creator() is plugin.get_dynamic_creator() is plugin.create_dynamic_handler


def test_the_role_is_the_one_that_errors_and_documentation_ask_for() -> None:
    objects = {
        item["kind"]: item for item in yaml.safe_load_all((ROOT / "examples/without-operator-rbac.yaml").read_text())
    }
    (rule,) = objects["Role"]["rules"]
    assert (
        f"apiGroups {rule['apiGroups']}: {rule['resources'][0]} {', '.join(rule['verbs'])}" in errors._CONFIG_MAP_ROLE
    )
    page = (ROOT / "docs/without-operator.md").read_text()
    assert yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0]) == objects["Role"]
    account = objects["ServiceAccount"]["metadata"]["name"]
    assert objects["RoleBinding"]["roleRef"]["name"] == objects["Role"]["metadata"]["name"]
    assert objects["RoleBinding"]["subjects"][0]["name"] == account
    assert f"serviceAccountName: {account}\n" in page


def test_each_run_has_config_maps_of_its_own() -> None:
    assert config_map_name("train", "state", "run-1") == "train.state.run-1"
    assert config_map_name("train", "store", "none") == "train.store.none"
    ids = ["run-1", "Run-1", "run_1", "run 1", "run-1.", ".", "", "/", "ü", "r" * 300, "r" * 301]
    made = [config_map_name("train", "state", run_id) for run_id in ids]
    assert len(set(made)) == len(ids)
    for name in made:
        assert len(name) <= 253
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")
        assert name[0].isalnum()
        assert name[-1].isalnum()
        assert ".." not in name


def test_a_pod_owns_only_what_is_in_its_namespace() -> None:
    pod = BoundPod("team", "w-0", "uid-of-w-0", None)
    assert owner_of(pod, "team") == Owner("Pod", "w-0", "uid-of-w-0")
    assert owner_of(pod, "other") is None
    assert owner_of(None, "team") is None


def state_of(nodes: int) -> bytes:
    """What torch would write when so many nodes are members."""
    state = dynamic_rendezvous._RendezvousState()
    state.complete = True
    for number in range(nodes):
        address = f"long-name-of-a-training-job-worker-{number}.long-name-of-a-service.some-namespace.svc.cluster.local"
        node = dynamic_rendezvous._NodeDesc(address, 4_000_000 + number, 0)
        state.participants[node] = number
        state.last_heartbeats[node] = datetime.now(timezone.utc)
    return pickle.dumps(state)


def test_the_state_of_500_nodes_fits_into_a_config_map() -> None:
    # About 150 bytes for each node with an address as long as that. It is stored as it is, not as base64.
    assert len(state_of(500)) < CONFIG_MAP_BYTES / 10
    assert len(state_of(5000)) < CONFIG_MAP_BYTES


@pytest.mark.parametrize(
    ("endpoint", "run_id", "conf", "message"),
    [
        ("10.0.0.1:29400", "r", {}, "--rdzv-endpoint '10.0.0.1:29400' is no legal name"),
        ("", "none", {}, "--rdzv-endpoint is empty, and --rdzv-id cannot stand in for it"),
        ("train", "r", {"read_timeout": "0"}, "--rdzv-conf read_timeout=0: must be a positive integer"),
        ("train", "r", {"join_timeout": "soon"}, "--rdzv-conf join_timeout=soon: must be a positive integer"),
        ("train", "", {}, "The run id must be a non-empty string."),
    ],
)
def test_wrong_parameters_are_named(
    endpoint: str, run_id: str, conf: dict[str, str], message: str, kubeconfig_to_nowhere: None
) -> None:
    parameters = RendezvousParameters("kubernetes-dynamic", endpoint, run_id, 1, 2, **conf)
    with pytest.raises(ValueError, match=f"^{message}"):
        create_backend(parameters)


@pytest.fixture
def kubeconfig_to_nowhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path_factory.mktemp("kube") / "config"
    path.write_text(
        "{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}],"
        " clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}], users: [{name: u, user: {token: t}}]}"
    )
    monkeypatch.setenv("KUBECONFIG", str(path))
