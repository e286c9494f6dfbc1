"""`kubectl rdzv doctor` and `kubectl rdzv inject` on a real API server."""

import json
from pathlib import Path

import pytest
import yaml
from tests.integration.cli_support import ROOT, Done, Rdzv
from tests.integration.operator_support import Group
from tests.support import objects
from tests.support.api import Json
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_controlplane import LocalControlPlane

pytestmark = pytest.mark.xdist_group("kubectl rdzv")

JOB = ROOT / "examples" / "label" / "job.yaml"
IMAGE = "--image=registry.example.com/operator:1"


@pytest.fixture
def rdzv(control_plane: LocalControlPlane, namespace: str, tmp_path: Path) -> Rdzv:
    return Rdzv(control_plane, namespace, tmp_path)


def findings(done: Done) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for finding in done.value:
        found.setdefault(finding["subject"], []).append(finding)
    return found


def test_the_doctor_finds_what_is_planted(rdzv: Rdzv, group: Group, control_plane: LocalControlPlane) -> None:
    """No operator, an account without rights, a label in the wrong place, a quota that is used up, a closed network."""
    group.create()
    labels = {names.LABEL_RENDEZVOUS: "train"}
    pod = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "none"}]}}}
    group.api.create(
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "wrong", "labels": labels}, "spec": pod}
    )
    group.api.create(objects.pod("train-0", metadata={"labels": labels}, serviceAccountName="trainer"))
    group.api.create(objects.pod("lost-0", metadata={"labels": {names.LABEL_RENDEZVOUS: "trian"}}))
    closed: Json = {"podSelector": {"matchLabels": labels}, "policyTypes": ["Ingress"]}
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "closed"},
        "spec": closed,
    }
    control_plane.kubectl("-n", group.namespace, "create", "-f", "-", input=json.dumps(policy))
    done = rdzv("doctor", "-o", "json")
    assert done.code == 3, done
    found = findings(done)
    assert found["CRDs"][0]["level"] == "ok"
    assert found["Kubernetes"][0]["level"] == "ok"
    assert "no Deployment of the operator" in found["operator"][0]["says"]
    (rights,) = [each for each in found["rights"] if "/trainer " in each["says"]]
    assert rights["level"] == "problem"
    assert "may not join: it has none of the rights of an agent" in rights["says"]
    assert f"--serviceaccount={group.namespace}:trainer" in rights["remedy"]
    said = [each["says"] for each in found["label"]]
    assert any("Job/wrong: the label" in each for each in said)
    assert any("lost-0 waits for the Rendezvous 'trian'" in each for each in said)
    assert "closed lets no pod of the group reach train-0" in found["NetworkPolicy"][0]["says"]
    group.api.grant("agents", objects.AGENT_RULES, group.api.create_account("trainer"))

    def may_join() -> bool:
        told = findings(rdzv("doctor", "--account=trainer", "--output=json"))["rights"]
        return [each["level"] for each in told] == ["ok"]

    wait_until(may_join, "the role to count")
    # It is a warning until the group is there for so long that an operator, wherever it runs, would have reacted to it.
    wait_until(lambda: "problem  operator: no Deployment" in rdzv("doctor").out, "the group to be late")
    last = rdzv("doctor").out.splitlines()[-1]
    assert last.endswith(("warning", "warnings"))


def test_what_the_doctor_may_not_see_it_says(rdzv: Rdzv) -> None:
    done = rdzv("doctor", "--as=nobody", "-o", "json")
    assert done.code == 0
    found = findings(done)
    assert "forbidden" in found["crds"][0]["says"]
    assert "forbidden" in found["rights"][0]["says"]
    assert {each["level"] for each in found["rights"]} == {"unknown"}


def test_a_manifest_is_injected_and_can_be_applied(
    rdzv: Rdzv, group: Group, control_plane: LocalControlPlane, tmp_path: Path
) -> None:
    done = rdzv("inject", "-f", str(JOB), IMAGE)
    assert (done.code, done.err) == (0, "Job/train: injected\n")
    pod = yaml.safe_load(done.out)["spec"]["template"]
    assert pod["spec"]["initContainers"][0]["image"] == "registry.example.com/operator:1"
    assert pod["metadata"]["annotations"]["rdzv.dev/nnodes"] == "2:4"
    assert pod["spec"]["containers"][0]["restartPolicy"] == "Never"
    in_namespace = ("-n", group.namespace, "apply", "--dry-run=server", "-f", "-")
    assert control_plane.kubectl(*in_namespace, input=done.out) == "job.batch/train created (server dry run)\n"
    again = rdzv("inject", "-f", "-", IMAGE, "-o", "json", stdin=done.out)
    assert again.value["items"] == [yaml.safe_load(done.out)], "what was injected stays"
    older = rdzv("inject", "-f", str(JOB), IMAGE, "--kube-version=1.34", "--without=toleration-seconds")
    assert "restart-in-place is left out: it needs Kubernetes 1.35, and the version is 1.34" in older.err
    assert "restartPolicyRules" not in older.out
    assert "tolerations" not in older.out
    both = tmp_path / "both.yaml"
    both.write_text("kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\n---\n" + JOB.read_text())
    passed = rdzv("inject", "-f", str(both), IMAGE)
    assert [item["kind"] for item in yaml.safe_load_all(passed.out)] == ["ConfigMap", "Job"]
    assert "ConfigMap/a: no pod template with the label, unchanged" in passed.err


def test_a_manifest_that_cannot_be_read_is_said(rdzv: Rdzv, tmp_path: Path) -> None:
    missing = rdzv("inject", "-f", "no-such-file.yaml", IMAGE)
    assert (missing.code, "no-such-file.yaml" in missing.err) == (1, True)
    bad = tmp_path / "bad.yaml"
    bad.write_text("a: [1\n")
    assert "error converting YAML" in rdzv("inject", "-f", str(bad), IMAGE).err
    no_image = rdzv("inject", "-f", str(JOB))
    assert no_image.code == 2
    assert "the image of the operator is not known: give --image" in no_image.err
