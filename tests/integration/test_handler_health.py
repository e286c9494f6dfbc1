"""A node whose health check fails, against a real API server; the test plays the operator."""

from pathlib import Path

import pytest
from tests.integration.handler_support import Nodes, PlayedOperator
from tests.support import health_checks as checks
from tests.support.waiting import wait_until
from torch.distributed.elastic.rendezvous import RendezvousError

from rendezvous_api import names

FOUND = f"{checks.NAME}: no GPU"
NODE = "a"


@pytest.fixture
def sick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that makes the check fail; it is there."""
    monkeypatch.setenv(checks.FOLDER, str(tmp_path))
    monkeypatch.setenv("TEST_NODE", NODE)
    file = checks.sick(tmp_path, NODE)
    file.write_text("no GPU", encoding="utf-8")
    return file


def stays_out(operator: PlayedOperator, attempt: int) -> None:
    """Wait until the node has said so with this attempt."""

    def said() -> bool:
        spec = operator.participants().get(f"train.{NODE}", {}).get("spec", {})
        return (spec.get("attempt"), spec.get("state"), spec.get("unhealthy")) == (attempt, "Left", FOUND)

    wait_until(said, f"attempt {attempt} to stay out", 30)
    assert operator.participant(f"train.{NODE}")["spec"]["leaveReason"] == "Terminated"


def is_repaired(operator: PlayedOperator, sick: Path) -> None:
    """The check succeeds, and a person has it run now."""
    sick.unlink()
    body = {"metadata": {"annotations": {names.ANNOTATION_RETRY_AT: "now"}}}
    operator.api.patch_namespaced_custom_object(*operator._rendezvous, operator.name, body)


def test_it_says_so_and_joins_when_its_check_succeeds(operator: PlayedOperator, nodes: Nodes, sick: Path) -> None:
    operator.create()
    node = nodes.node(NODE, health_check=checks.NAME).join()
    stays_out(operator, 1)
    is_repaired(operator, sick)
    members = operator.joined({"train.a": 2})
    assert members["train.a"]["spec"].keys().isdisjoint({"unhealthy", "leaveReason"})
    operator.publish(members)
    node.returned()

    # The workers have stopped, and the device is broken.
    sick.write_text("no GPU", encoding="utf-8")
    operator.write(waitingNodes=1)
    wait_until(lambda: node.handler.num_nodes_waiting() > 0, "the call to join again")
    node.join()
    stays_out(operator, 3)
    spec = operator.participant("train.a")["spec"]
    assert spec["lastRunID"] == "none"
    assert node.waits()


def test_a_program_that_may_not_try_again_gets_torchs_error(operator: PlayedOperator, nodes: Nodes, sick: Path) -> None:
    operator.create()
    node = nodes.node(NODE, health_check=checks.NAME, health_retry_timeout=0).join()
    error = node.raised()
    assert type(error) is RendezvousError
    assert str(error).startswith(f"this node is unhealthy: {FOUND}. Its health checks have failed for 0 s")
    node.handler.shutdown()
    stays_out(operator, 1)
    assert sick.exists()


def test_shutdown_ends_a_join_whose_checks_run(
    operator: PlayedOperator, nodes: Nodes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A thread of the program shuts the handler down."""
    monkeypatch.setenv(checks.FOLDER, str(tmp_path))
    operator.create()
    node = nodes.node(NODE, health_check=checks.HANGS).join()
    wait_until((tmp_path / "hangs").exists, "the check to begin", 30)
    node.handler.shutdown()
    assert "was shut down" in str(node.raised())
    assert operator.participants() == {}
