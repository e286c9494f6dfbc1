"""The jobs of docs/coming-from-c10d-or-etcd.md: run as they stand there, before and after they were moved.

The c10d job after it was moved runs the page's script, which imports torch in each of four workers. The others run one
that exchanges nothing.
"""

import os
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from tests.e2e.harness import Job
from tests.support.fork_server import ForkServer
from tests.support.pages import blocks
from tests.support.ports import free_port
from tests.support.processes import TORCHRUN, Process
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_api.reasons import ClosedReason

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "coming-from-c10d-or-etcd.md").read_text()
NODES = ("n0", "n1")
C10D, ETCD = "A c10d job", "An etcd-v2 job"


def command(heading: str, *, after: bool) -> str:
    before_and_after = blocks(PAGE, heading, "sh")
    assert len(before_and_after) == 2
    return before_and_after[after].strip()


def run(job: Job, line: str, environment: Mapping[str, str]) -> list[Process]:
    """Run a command line on two nodes, in a folder of its own with the script of the page."""
    folder = job.folder / "job"
    folder.mkdir()
    (script,) = blocks(PAGE, "Moving a job", "python")
    (folder / "train.py").write_text(script)
    variables = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        # What the pods of a cluster have without being told: an address at which the others reach them.
        "PET_LOCAL_ADDR": "127.0.0.1",
        **environment,
    }
    return [job.program(node, ["bash", "-c", f"cd {folder} && exec {line}"], variables) for node in NODES]


def run_without_torch(job: Job, server: ForkServer, line: str, environment: Mapping[str, str]) -> list[Process]:
    """Run it with a script that ends as that of the page, and exchanges nothing."""
    script = job.folder / "train.py"
    script.write_text(
        'import os\nprint("done: weight 20 on rank", os.environ["RANK"], "of", os.environ["WORLD_SIZE"])\n'
    )
    words = shlex.split(line)
    assert (words[0], words[-2:]) == ("torchrun", ["train.py", "20"])
    command = [TORCHRUN, *words[1:-2], str(script), "20"]
    variables = {"PET_LOCAL_ADDR": "127.0.0.1", **environment}
    return [job.program(node, command, variables, server) for node in NODES]


def assert_trained(processes: list[Process]) -> None:
    codes = [process.wait(150) for process in processes]
    logs = "\n".join(process.log for process in processes)
    assert codes == [0, 0], logs
    done = re.findall(r"done: weight (\d+) on rank (\d) of (\d)", logs)
    assert sorted(done) == [("20", str(rank), "4") for rank in range(4)], logs


@pytest.fixture
def as_agent(job: Job) -> dict[str, str]:
    """What a pod with the service account of the page may do; its namespace is that of the job."""
    job.api.create_all(yaml.safe_load_all((ROOT / "examples" / "agent-rbac.yaml").read_text()))
    token = job.api.token("rendezvous-agent")
    return {"KUBECONFIG": str(job.api.kubeconfig(token, job.folder / "agent.kubeconfig"))}


@pytest.fixture
def alone(quiet_job: Job) -> Job:
    """A job that must not find the API server."""
    return quiet_job


def test_the_c10d_job_before(alone: Job, torchrun_server: ForkServer) -> None:
    line = command(C10D, after=False)
    here = line.replace("train-0.train:29400", f"localhost:{free_port()}")
    assert here != line
    assert_trained(run_without_torch(alone, torchrun_server, here, {"KUBECONFIG": "/nowhere"}))


def test_the_c10d_job_after(job: Job, as_agent: dict[str, str]) -> None:
    assert_trained(run(job, command(C10D, after=True), as_agent))
    rendezvous = job.rendezvous
    assert rendezvous.metadata.labels[names.LABEL_CREATED_BY] == names.CREATED_BY_AGENT
    spec = rendezvous.spec
    assert (spec.min_nodes, spec.max_nodes) == (2, 4)
    assert (spec.timeouts.join_seconds, spec.timeouts.last_call_seconds) == (300, 5)
    wait_until(lambda: job.status.closed_reason("job-17") is ClosedReason.RUN_SUCCEEDED, "the run to be closed")


@pytest.mark.parametrize("only_two_flags", [False, True], ids=["as on the page", "with etcd's keys left in"])
def test_the_etcd_job_after(
    job: Job, as_agent: dict[str, str], torchrun_server: ForkServer, only_two_flags: bool
) -> None:
    (manifest,) = blocks(PAGE, ETCD, "yaml")
    job.control_plane.kubectl("-n", job.namespace, "apply", "--filename=-", input=manifest)
    job.name = "etcd-job"
    line = command(ETCD, after=True)
    if only_two_flags:
        left = re.sub(r"--rdzv-backend=\S+", "--rdzv-backend=kubernetes", command(ETCD, after=False))
        line = re.sub(r"--rdzv-endpoint=\S+", "--rdzv-endpoint=etcd-job", left)
        assert "ssl_cert_key=" in line
    processes = run_without_torch(job, torchrun_server, line, as_agent)
    assert_trained(processes)
    rendezvous = job.rendezvous
    assert names.LABEL_CREATED_BY not in rendezvous.metadata.labels
    wait_until(lambda: job.status.closed_reason("job-17") is ClosedReason.RUN_SUCCEEDED, "the run to be closed")
    assert not any("and the settings of this node differ" in process.log for process in processes)


@pytest.mark.parametrize(("heading", "backend"), [(C10D, "c10d"), (ETCD, "etcd-v2")])
def test_nothing_but_the_page_says_has_changed(heading: str, backend: str) -> None:
    """Both command lines as torchrun itself reads them."""
    from torch.distributed.run import config_from_args, parse_args  # takes seconds, in each worker of pytest

    (before, script, arguments), (after, same_script, same_arguments) = (
        config_from_args(parse_args(shlex.split(command(heading, after=after))[1:])) for after in (False, True)
    )
    assert (before.rdzv_backend, after.rdzv_backend) == (backend, "kubernetes")
    assert (script, arguments) == (same_script, same_arguments)
    changed = {name for name, value in vars(before).items() if value != getattr(after, name)}
    conf = {"rdzv_configs"} if heading == ETCD else set()
    assert changed - {"logs_specs"} == {"rdzv_backend", "rdzv_endpoint", "max_restarts"} | conf
