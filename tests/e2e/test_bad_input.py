"""What a user reads who has made a mistake: a clear error that names the thing. See also the tests of the handler."""

import os
from pathlib import Path

import pytest
from tests.e2e.harness import Job
from tests.e2e.pods import Pods
from tests.support.fork_server import ForkServer
from tests.support.processes import TORCHRUN, Process

from rendezvous_api import names
from rendezvous_controlplane import ControlPlaneError


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        pytest.param(
            ["--rdzv-endpoint=Train_1"],
            {},
            ["ValueError", "--rdzv-endpoint 'Train_1' is no legal name: it must be NAME or NAMESPACE/NAME"],
            id="an endpoint that is no legal name",
        ),
        pytest.param(
            ["--rdzv-endpoint=train", "--rdzv-conf=join_timeout=soon"],
            {},
            ["ValueError", "--rdzv-conf join_timeout=soon: must be a positive integer"],
            id="an invalid value of rdzv-conf",
        ),
        pytest.param(
            ["--rdzv-endpoint=train"],
            {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"},
            [
                "RendezvousConnectionError",
                "this pod has no service-account token",
                "automountServiceAccountToken: true",
                "/var/run/secrets/kubernetes.io/serviceaccount/token is missing",
            ],
            id="no service-account token in the pod",
        ),
    ],
)
def test_torchrun_ends_at_once_and_says_why(
    torchrun_server: ForkServer, arguments: list[str], environment: dict[str, str], words: list[str], tmp_path: Path
) -> None:
    clean = {key: value for key, value in os.environ.items() if key not in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST")}
    command = [TORCHRUN, "--rdzv-backend=kubernetes", "--rdzv-id=run-1", *arguments, "none.py"]
    variables = {**clean, "HOME": str(tmp_path), **environment}
    agent = Process(command, tmp_path / "agent.log", variables, torchrun_server)
    assert agent.wait() == 1
    for word in words:
        assert word in agent.log


def test_the_join_timeout_says_who_is_missing_and_why_and_nodes_that_differ_are_one_warning(job: Job) -> None:
    job.create(2, 4, joinSeconds=5)
    pods = Pods(job)
    pods.create("train-1")
    waiting = {"waiting": {"reason": "ImagePullBackOff"}}
    container = {"name": "torchrun", "image": "none", "imageID": "", "ready": False, "restartCount": 0}
    pods.write_status("train-1", containerStatuses=[{**container, "state": waiting}])
    agent = job.agent("n0", nnodes="1:3")
    assert agent.wait() == 1
    assert (
        f"RendezvousTimeoutError: no round of {job.namespace}/{job.name} within the join timeout of 5 s. "
        "WaitingForNodes: 1 of at least 2 nodes; train-1 is Pending (ImagePullBackOff)"
    ) in agent.log
    assert agent.log.count("and the settings of this node differ; the Rendezvous wins") == 1
    assert "--nnodes=1:3, Rendezvous 2:4" in agent.log
    assert job.participant("n0")["spec"]["leaveReason"] == "TimedOut"
    # Nothing is lost: the object waits for the next try.
    status = job.status
    assert (status.round, status.closed_runs) == (0, ())


def test_another_rdzv_conf_makes_no_group_of_one(job: Job) -> None:
    """The option replaces that of the environment, so what injection sets is a variable of its own."""
    environment = {"RDZV_CREATE": "false", "PET_RDZV_CONF": "create=true,join_timeout=600"}
    agent = job.agent("n0", conf="join_timeout=3", environment=environment)
    assert agent.wait() == 1
    assert "RDZV_CREATE=false forbids to create it" in agent.log
    assert "within the join timeout of 3 s" in agent.log
    assert job.api.find(names.RENDEZVOUS_KIND, job.name) is None


def test_two_agents_with_one_node_id_and_the_first_one_ends_with_an_error(job: Job) -> None:
    job.create(1, 2)
    first = job.agent("n0")
    job.wait_for_training({"n0"}, timeout=90)
    incarnation = job.participant("n0")["spec"]["incarnation"]
    second = job.agent("n0")
    assert first.wait() == 1
    assert "RendezvousStateError: another agent has taken the name train.n0 of this one" in first.log
    assert "give each its own node_id in --rdzv-conf" in first.log
    assert incarnation != job.participant("n0")["spec"]["incarnation"]

    # The second one trains undisturbed.
    job.wait_for_training({"n0"}, since=job.journal.records("start")[-1].time, timeout=90)
    status = job.wait_for_round({"n0"}, after=1)
    assert [member.incarnation for member in status.participants] != [incarnation]
    job.stop_training()
    assert second.wait() == 0


def test_a_spec_that_contradicts_itself_is_refused_by_the_api_server(job: Job) -> None:
    with pytest.raises(ControlPlaneError, match="`minNodes` must be less than or equal to `maxNodes`"):
        job.create(4, 2)
    job.create(2, 4)
    with pytest.raises(ControlPlaneError, match="`minNodes` must be less than or equal to `maxNodes`"):
        job.patch({"spec": {"maxNodes": 1}})
    with pytest.raises(ControlPlaneError, match=r"spec\.timeouts\.joinSeconds"):
        job.patch({"spec": {"timeouts": {"joinSeconds": 0}}})
    spec = job.rendezvous.spec
    assert (spec.min_nodes, spec.max_nodes, spec.timeouts.join_seconds) == (2, 4, 600)
    assert names.LABEL_CREATED_BY not in job.rendezvous.metadata.labels
