"""docs/bad-machines.md says what the operator does."""

import pytest
from tests.support.pages import CODE, read, rows, section

from rendezvous_api.reasons import ClosedReason, EventReason
from rendezvous_operator.core import marks
from rendezvous_operator.core.machines import LOOK_AGAIN_SECONDS
from rendezvous_operator.core.select import bad_machines, failing_nodes
from rendezvous_operator.kube.client import MOST_SINGLE_READS
from rendezvous_operator.reconcile.machines import LIST_AGAIN_SECONDS, TIMEOUT_SECONDS

PAGE = "docs/bad-machines.md"


def test_the_table_has_the_known_marks() -> None:
    named = {name for row in rows(section(PAGE, "## The marks")) for name in CODE.findall(row[0])}
    known = {*marks.KNOWN_LABELS, *marks.KNOWN_CONDITIONS, *(taint.replace("*", "...") for taint in marks.KNOWN_TAINTS)}
    assert known <= named
    others = {"spec.unschedulable", "rdzv.dev/exclude", "false"}
    others |= {"health: Unhealthy", "status.containerStatuses[].allocatedResourcesStatus"}
    assert named - known == others


@pytest.mark.parametrize(
    "said",
    [
        f"each {LOOK_AGAIN_SECONDS:.0f} s while a round is being formed",
        f"each {bad_machines.RARELY_SECONDS:.0f} s while a round runs and nodes wait",
        f"If more than {MOST_SINGLE_READS} machines must be read, they are listed, at most once in "
        f"{LIST_AGAIN_SECONDS:.0f} s",
        f"with a limit of {TIMEOUT_SECONDS:.0f} s for the answer",
        f"It lasts for {failing_nodes.FIRST_SECONDS // 60} minutes after its last failure",
        f"`{ClosedReason.TOO_FEW_ELIGIBLE}`",
        f"Event `{EventReason.NODE_PASSED_OVER}`",
    ],
)
def test_numbers_and_names(said: str) -> None:
    assert said in " ".join(read(PAGE).split())


def test_the_longest_time_is_a_day() -> None:
    assert failing_nodes.LONGEST_SECONDS == 24 * 3600
    assert "up to one day" in read(PAGE)
