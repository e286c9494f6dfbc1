"""docs/checkpoints.md and docs/restart-budgets.md say what torch, the CRDs, the code and the examples do."""

import dataclasses
import inspect
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.pages import CODE, ROOT, name_of, read, rows, section
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing.api import PContext
from torch.distributed.run import get_args_parser

from kube_rendezvous_cli.simulator import spec
from rendezvous_api import names, reasons
from rendezvous_api.codec import json_name
from rendezvous_api.rendezvous_spec import Restarts
from rendezvous_api.restart_budget import Count
from rendezvous_handler.join import errors
from rendezvous_operator.core.words import budget_is_spent

CHECKPOINTS, BUDGETS = "docs/checkpoints.md", "docs/restart-budgets.md"
_TEST = re.compile(r"\[(?P<name>test_\w+)\]\((?P<path>[^)]+)\)")


class Workers:
    """In the place of an agent's workers: notes how they are stopped."""

    def close(self, *arguments: Any, **named: Any) -> None:
        bound = inspect.signature(PContext.close).bind(None, *arguments, **named)
        bound.apply_defaults()
        self.death_sig, self.seconds = bound.arguments["death_sig"] or signal.SIGTERM, bound.arguments["timeout"]


def test_torch_gives_workers_30_seconds_when_a_group_forms_again_whatever_its_option_says() -> None:
    agent, workers = object.__new__(LocalElasticAgent), Workers()
    vars(agent).update(_worker_watchdog=None, _health_check_server=None, _shutdown_timeout=7, _pcontext=workers)
    agent._stop_workers(None)
    assert (workers.death_sig, workers.seconds) == (signal.SIGTERM, 30)
    text = section(CHECKPOINTS, "## What a new round does to workers")
    assert "SIGTERM, and 30 s later SIGKILL" in text
    assert "`--shutdown-timeout` (30 s)" in text
    ends = inspect.signature(LocalElasticAgent.__init__).parameters.get("shutdown_timeout")
    assert ends is None or ends.default == 30


HANGS = """
import importlib.util, sys, threading, unittest.mock
for name in sys.argv[2:]:
    sys.modules[name] = unittest.mock.MagicMock()
spec = importlib.util.spec_from_file_location("train", sys.argv[1])
train = importlib.util.module_from_spec(spec)
spec.loader.exec_module(train)
train.SECONDS_FOR_A_STEP = 0.2
train.End()
print("hangs", flush=True)
lock = threading.Lock()
lock.acquire()
lock.acquire()
"""


def test_a_worker_that_hangs_when_it_is_asked_to_end_ends_by_itself() -> None:
    """The class of the example, without torch."""
    script = ROOT / "examples" / "checkpoints" / "train.py"
    imported = re.findall(r"^(?:from|import) (torch[\w.]*)", script.read_text(), flags=re.MULTILINE)
    command = [sys.executable, "-c", HANGS, str(script), *imported]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"hangs\n"
        worker.terminate()
        try:
            assert worker.wait(30) == 1
        finally:
            worker.kill()


def test_the_group_waits_longer_for_a_member_than_torch_does_for_its_workers() -> None:
    crd = yaml.safe_load(read("crds/rendezvous.yaml"))
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    seconds = spec["timeouts"]["properties"]["reentrySeconds"]["default"]
    assert f"`timeouts.reentrySeconds` ({seconds} s)" in read(CHECKPOINTS)
    assert seconds > 30


def budget(row: str) -> list[str]:
    """What the table has about torchrun, the Rendezvous and the Job."""
    (found,) = [cells[1:] for cells in rows(section(BUDGETS, "## The three budgets")) if cells[0] == row]
    return found


def test_what_counts_in_the_budget_of_the_group_is_what_the_code_counts() -> None:
    counts, does_not = ({*CODE.findall(budget(row)[1])} for row in ("What counts", "What does not count"))
    assert counts == {str(reason) for reason in reasons.FAILURES}
    ends = {row[0].strip("`"): row[2] for row in rows(section("docs/protocol/restarts.md", "## The end of a round"))}
    assert counts | does_not == {*ends}
    assert does_not == {reason for reason, failure in ends.items() if failure == "no"}


def test_the_limits_of_the_group_are_those_of_the_spec_and_the_example_has_each() -> None:
    text = section(BUDGETS, "## The limits of the group")
    limits = [json_name(field.name) for field in dataclasses.fields(Restarts)]
    assert [row[0].strip("`") for row in rows(text)] == limits
    example = yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0])
    assert [*example["spec"]["restarts"]] == limits
    restarts = spec.read(example["spec"]).restarts
    assert restarts.per_node is not None
    one_too_many = Count("perNode", restarts.per_node, (), restarts.per_node + 1, of="train.train-2")
    assert f"`{budget_is_spent(restarts, one_too_many)}`" in " ".join(text.split())
    judged = rows(section("docs/protocol/restarts.md", "## Restart budget"))
    assert [row[0].strip("`") for row in judged] == [limit for limit in limits if limit != "windowSeconds"]


def test_defaults_and_ends_are_those_of_the_code() -> None:
    assert budget("Default")[0] == str(get_args_parser().parse_args(["train.py"]).max_restarts)
    torchrun, group, _ = budget("Exit code")
    assert group == f"{errors.BUDGET_IS_SPENT}, of all nodes"
    ends = {row[2]: row[0] for row in rows(section("docs/exit-codes.md", "## Every end"))}
    assert torchrun.startswith(ends["Its workers failed, and `--max-restarts` is used up"])
    assert f"`{reasons.ClosedReason.RESTART_BUDGET_EXHAUSTED}`" in budget("One failure too many")[1]
    assert f"`{reasons.RoundEndReason.MEMBER_FAILED}`" in budget("What continues after that")[0]


@pytest.mark.parametrize("page", [BUDGETS, "docs/account.md"])
def test_the_tests_that_are_named_exist(page: str) -> None:
    found = _TEST.findall(read(page))
    assert found
    for name, path in found:
        assert f"def {name}(" in read(Path("docs") / path), f"{path} has no {name}"


def test_the_advice_is_what_chart_and_examples_do() -> None:
    text = section(BUDGETS, "## How to set them")
    injected = yaml.safe_load(read("charts/kube-rendezvous/values.yaml"))["injection"]["maxRestarts"]
    assert f"`--max-restarts={injected}`" in text
    assert "(../examples/job.yaml)" in text
    group = yaml.safe_load(read("examples/rendezvous.yaml"))["spec"]["restarts"]["max"]
    job = yaml.safe_load(read("examples/job.yaml"))["spec"]
    assert job["backoffLimit"] >= group
    assert [rule["action"] for rule in job["podFailurePolicy"]["rules"]] == ["Ignore", "FailJob"]


SCRIPTS = sorted(ROOT.glob("examples/*/train.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=name_of)
def test_an_example_of_a_script_is_on_the_page(script: Path) -> None:
    assert f"(../{name_of(script)})" in read(CHECKPOINTS)
    assert f"]({script.relative_to(ROOT / 'examples')})" in read("examples/README.md")
    assert names.GROUP not in script.read_text(encoding="utf-8"), "it is a script for any torchrun"
