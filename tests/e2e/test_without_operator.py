"""Real torchrun agents with --rdzv-backend=kubernetes-dynamic: no operator runs, and no CRD is used."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.harness import Job
from tests.support.fork_server import ForkServer
from tests.support.operatorless import agent_kubeconfig
from tests.support.processes import Process

from rendezvous_api import names
from rendezvous_controlplane import LocalControlPlane

OWN_STORE = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
"""Without it a node that joins a running job ends it: see docs/without-operator.md."""

MakeJob = Callable[..., Job]


@pytest.fixture
def make_job(
    control_plane: LocalControlPlane, torchrun_server: ForkServer, namespace: str, tmp_path: Path
) -> Iterator[MakeJob]:
    """Makes a job whose agents may do what the documented Role allows, or what the rules say."""
    made: list[Job] = []

    def job(rules: list[dict[str, Any]] | None = None) -> Job:
        kubeconfig = agent_kubeconfig(control_plane, namespace, tmp_path, rules)
        made.append(Job(control_plane, namespace, tmp_path, kubeconfig, torchrun_server))
        return made[-1]

    yield job
    for each in made:
        each.end()


def start(job: Job, node: str, nnodes: str, conf: str = "last_call_timeout=2", **options: Any) -> Process:
    options.setdefault("together", not options.get("collectives"))
    return job.agent(node, nnodes=nnodes, conf=conf, arguments=["--rdzv-backend=kubernetes-dynamic"], **options)


def exit_codes(agents: list[Process]) -> list[int]:
    codes = [agent.wait() for agent in agents]
    assert codes == [0] * len(agents), "\n".join(agent.log[-3000:] for agent in agents)
    return codes


@pytest.mark.parametrize("environment", [{}, OWN_STORE], ids=["shared-store", "own-store"])
def test_two_nodes_train_and_end(make_job: MakeJob, environment: dict[str, str]) -> None:
    job = make_job()
    options: dict[str, Any] = {"environment": environment, "workers": 2, "collectives": environment == {}}
    agents = [start(job, node, "2", **options) for node in ("n0", "n1")]
    job.wait_for_training({"n0", "n1"})
    job.stop_training()
    assert exit_codes(agents) == [0, 0]
    # Rank assignment over KubernetesStore: ranks 0 to 3, two on each node.
    started = job.journal.records("start")
    assert sorted(record.rank for record in started) == [0, 1, 2, 3]
    assert {record.world for record in started} == {4}
    # The exit barrier: who was done first has waited for the other.
    assert not [agent.log for agent in agents if "Error waiting on exit barrier" in agent.log]
    maps = job.api.list("ConfigMap", label=f"{names.LABEL_RENDEZVOUS}={job.name}")
    assert [item["metadata"]["name"] for item in maps] == ["train.state.run-1", "train.store.run-1"]
    assert "torchelastic_2fagent_2fterminal_5fstate_2flast_5fmember" in "".join(maps[1]["binaryData"])
    assert job.api.list(names.RENDEZVOUS_KIND) == job.api.list(names.PARTICIPANT_KIND) == []
    # The run is closed for good; the same name with another id is another run.
    late = start(job, "n2", "1")
    assert late.wait() == 1
    assert "RendezvousClosedError" in late.log
    assert exit_codes([start(job, "n3", "1", run_id="run-2", environment=environment)]) == [0]


def test_a_node_joins_a_running_job_whose_run_id_is_no_name(make_job: MakeJob) -> None:
    job = make_job()
    run_id = "实验" * 25 + ": model=gpt2-xl,optimizer.lr=3e-4"  # torch makes a folder of that name
    agents = [start(job, "n0", "1:2", environment=OWN_STORE, run_id=run_id)]
    job.wait_for_training({"n0"})
    agents.append(start(job, "n1", "1:2", environment=OWN_STORE, run_id=run_id))
    job.wait_for_training({"n0", "n1"})
    assert {record.restarts for record in job.journal.records("start")} == {0}
    job.stop_training()
    assert exit_codes(agents) == [0, 0]
    job.journal.assert_no_split()


def test_workers_that_fail_are_restarted(make_job: MakeJob) -> None:
    job = make_job()
    agents = [start(job, node, "2", environment=OWN_STORE) for node in ("n0", "n1")]
    first = job.wait_for_training({"n0", "n1"})
    job.crash("n1")
    job.wait_for_training({"n0", "n1"}, since=max(record.time for record in first) + 2)
    assert [record.node for record in job.journal.records("crash")] == ["n1"]
    assert len({record.master for record in job.journal.records("start")}) == 2
    job.stop_training()
    assert exit_codes(agents) == [0, 0]


@pytest.mark.parametrize("missing", ["get", "create"])
def test_a_missing_permission_ends_the_agent_and_is_named(make_job: MakeJob, missing: str) -> None:
    verbs = [verb for verb in ("get", "create", "patch") if verb != missing]
    job = make_job([{"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs}])
    agent = start(job, "n0", "1")
    assert agent.wait() == 1
    expected = f"RendezvousConnectionError: cannot {missing} configmaps in namespace {job.namespace}: configmaps "
    assert expected in agent.log
    assert "apiGroups ['']: configmaps get, create, patch" in agent.log
