"""Ranks by the racks of machines, and rounds of whole segments, with real agents (rule "topology ranks")."""

import json
import time
from collections.abc import Mapping

import pytest
from tests.e2e.harness import Job, rounds
from tests.e2e.pods import Pods
from tests.support.processes import start_operator
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_api.reasons import RoundEndReason
from rendezvous_controlplane import LocalControlPlane

RACKS = {"p-0": "a", "p-1": "b", "p-2": "a", "p-3": "b", "p-4": "b", "p-5": "c"}


@pytest.fixture(scope="module")
def control_plane(own_control_plane: LocalControlPlane) -> LocalControlPlane:
    """One whose machines are those of this file."""
    return own_control_plane


def create_machines(control_plane: LocalControlPlane, racks: Mapping[str, str]) -> None:
    """One for each pod; see `Pods.create`."""
    for pod, rack in racks.items():
        metadata = {"name": f"node-of-{pod}", "labels": {"rack": rack}}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": metadata}
        control_plane.kubectl("create", "-f", "-", input=json.dumps(node))


def test_whole_segments_train_and_a_lost_member_is_replaced_from_its_own_rack(quiet_job: Job) -> None:
    job = quiet_job
    create_machines(job.control_plane, RACKS)
    job.processes.append(start_operator(job.kubeconfig, job.folder / "operator.log", "--machines"))
    ranks = {"policy": "Topology", "keys": ["rack"], "segmentSize": 2}
    job.create(2, 4, ranks=ranks, lastCallSeconds=600)
    pods = Pods(job)
    uids = {name: pods.create(name) for name in RACKS}
    for name in ("p-5", "p-4", "p-0", "p-1"):
        pods.agent(name, uids[name])
    # The pods of p-2 and p-3 are known, and not there yet.
    wait_until(lambda: job.status.formation is not None and job.status.formation.joined == 4, "four nodes")
    assert job.status.round == 0
    for name in ("p-2", "p-3"):
        pods.agent(name, uids[name])
    status = wait_until(lambda: found if (found := job.status).round else None, "a round", 120)
    racks = [RACKS[member.name.removeprefix(f"{job.name}.")] for member in status.participants]
    assert racks in (["a", "a", "b", "b"], ["b", "b", "a", "a"])
    members = {*job.ranks()}
    job.wait_for_training(members)
    wait_until(lambda: len(job.status.spares) == 2, "the spares")
    (spare,) = (name for name in ("p-1", "p-3", "p-4") if name not in members)
    assert {*job.status.spares} == {f"{job.name}.{spare}", f"{job.name}.p-5"}, (
        "one of rack b, and the only one of rack c"
    )

    before = job.ranks()
    lost = next(name for name in members if RACKS[name] == "b")
    job.agents[lost].kill()
    pods.write_status(lost, phase="Failed")
    everyone = members - {lost} | {spare}
    status = job.wait_for_round(everyone, after=1)
    job.wait_for_training(everyone, since=time.time())
    assert job.ranks() == {spare if name == lost else name: rank for name, rank in before.items()}
    assert rounds(status) == [(4, RoundEndReason.MEMBER_LOST), (4, None)]
    assert status.topology is not None
    assert {(domain.values, domain.nodes) for domain in status.topology.domains} == {(("a",), 2), (("b",), 2)}

    job.stop_training()
    assert {name: job.agents[name].wait() for name in everyone} == dict.fromkeys(everyone, 0)
    job.journal.assert_no_split()


def test_ranks_stay_when_machines_cannot_be_read_any_more(quiet_job: Job) -> None:
    """Their machines are gone from the API server, and another operator leads. The agents train on."""
    job = quiet_job
    racks = {f"q-{number}": rack for number, rack in enumerate("abab")}
    create_machines(job.control_plane, racks)
    first = start_operator(job.kubeconfig, job.folder / "operator.log", "--machines")
    job.processes.append(first)
    job.create(4, 4, ranks={"policy": "Topology", "keys": ["rack"]})
    pods = Pods(job)
    for name in racks:
        pods.agent(name, pods.create(name))
    job.wait_for_round({*racks})
    job.wait_for_training({*racks})
    assert job.ranks() == {"q-0": 0, "q-2": 1, "q-1": 2, "q-3": 3}

    for name in racks:
        job.control_plane.kubectl("delete", "node", f"node-of-{name}")
    first.kill()
    second = start_operator(job.kubeconfig, job.folder / "second-operator.log", "--machines")
    job.processes.append(second)
    wait_until(lambda: "decisions begin" in second.log, "the second operator", 60)
    job.crash("q-1")
    job.wait_for_round({*racks}, after=1)
    job.wait_for_training({*racks}, since=time.time())
    assert job.ranks() == {"q-0": 0, "q-2": 1, "q-1": 2, "q-3": 3}
    running = job.status.condition(names.CONDITION_RUNNING)
    assert running is not None
    assert "not in the order of machines" not in running.message
