"""Whatever an agent may write, the status that follows is one that the API server accepts.

Else one agent could keep the operator from writing the status of its Rendezvous, for all nodes.
"""

from collections.abc import Mapping
from typing import Any

import pytest
from tests.support.crd_schemas import greatest, misfits, root_schema
from tests.unit.core.builders import NAME, UID, now
from tests.unit.core.worlds import Scenario

from rendezvous_api.codec import decode, encode
from rendezvous_api.participant import Participant
from rendezvous_api.reasons import AttemptReason, LeaveReason
from rendezvous_api.rendezvous import Rendezvous, RendezvousStatus
from rendezvous_operator.core.run_names import launch_of, name_of
from rendezvous_operator.core.world import Pod

JOB = "5f0c2f9e-6d0b-4c8c-8f4e-0d7f3b1c2a10"
SPEC = root_schema(Participant)["properties"]["spec"]
STATUS = root_schema(Rendezvous)["properties"]["status"]
TAKES_PART = {
    "rendezvousName": NAME,
    "rendezvousUID": UID,
    "attemptReason": "Start",
    "state": "Joined",
    "leaveReason": None,
    "closeRequested": None,
    # Further attempts have the next number and, in these tests, the next port.
    "attempt": 2**31 - 20,
    "storePort": 65535 - 20,
}
WAYS: Mapping[str, Mapping[str, Any]] = {
    "an id": {},
    "a launch of its pod": {"runID": None, "lastRunID": None},
    "its last round": {"runID": None, "lastRunID": f"{JOB}/999999999"},
    "a last round that nobody knows": {"runID": None, "launch": None},
    "no workload": {"runID": None, "podName": None, "podUID": None},
}
"""From what the run of an agent follows."""


class Judged(Scenario):
    """Each status is compared with the schema."""

    def __init__(self, min_nodes: int, max_nodes: int, **spec: Any) -> None:
        super().__init__(min_nodes, max_nodes, **spec)
        self.shown: set[str] = set()
        """The fields that some status had."""

    def written(self, before: RendezvousStatus) -> None:
        status = encode(self.status)
        assert list(misfits("status", STATUS, status)) == []
        self.shown |= {*status}

    def appear(self, *letters: str, **spec: Any) -> list[str]:
        """Agents join that have written these fields, and all others at the greatest value that the schema accepts."""
        found = []
        for letter in letters:
            in_pod = {"podName": letter * 253, "podUID": letter * 128}
            written = {**greatest(SPEC), **TAKES_PART, **in_pod, **spec}
            written = {field: value for field, value in written.items() if value is not None}
            assert list(misfits("spec", SPEC, written)) == []
            if uid := written.get("podUID"):
                self.pods[uid] = Pod(uid, written["podName"], workload=JOB, owner_uid=JOB)
            name = f"{NAME}.{letter}".ljust(253, letter)
            metadata = {"name": name, "resourceVersion": "7", "creationTimestamp": now(self.clock).timestamp}
            self._put(decode(Participant, {"metadata": metadata, "spec": written}))
            found.append(name)
        self.settle()
        return found


@pytest.mark.parametrize("way", WAYS)
def test_the_status_that_follows_from_the_greatest_values_fits(way: str) -> None:
    scenario = Judged(2, 4, last_call_seconds=0, replacement_seconds=60)
    scenario.complete = False
    members = scenario.appear("a", "b", "c", "d", **WAYS[way])
    scenario.complete = True
    scenario.settle()
    spares = scenario.appear("e", **WAYS[way])
    scenario.appear("x", runID="x" * 253, podName=None, podUID=None)
    assert (scenario.group, scenario.status.spares, len(scenario.refused)) == (members, (*spares,), 1)
    said = scenario.seen[members[0]].object.spec.check_in
    for _ in range(2):
        scenario.meets = False
        scenario.request_restart(f"after round {scenario.status.round}")
        scenario.all_join_again()
        scenario.after(61)
        scenario.fail_to_check_in(scenario.group[-1])
        scenario.meets = True
        scenario.after(700)
    liar = scenario.group[0]
    scenario.reenter(liar, reason=AttemptReason.CHECK_IN_FAILED, check_ins={liar: said} if said else {})
    scenario.after(700)
    scenario.silent(scenario.group[0])
    scenario.after(700)
    scenario.leave(scenario.group[0], reason=LeaveReason.SUCCEEDED)
    scenario.after(100)
    everything = {"participants", "spares", "refused", "heldOut", "closedRuns", "history", "failures", "formation"}
    assert scenario.shown >= everything


def test_the_run_of_the_greatest_launch_is_a_launch_of_its_workload() -> None:
    launch = greatest(SPEC)["launch"]
    assert launch_of(name_of(JOB, launch), JOB) == launch
