"""Rule "launches": the name of a run says which launch of which workload it is."""

import pytest

from rendezvous_api.reasons import ClosedReason
from rendezvous_api.rendezvous import ClosedRun
from rendezvous_operator.core.run_names import last_launch, launch_of, name_of, name_of_id, remembered, without_earlier

JOB = "5f0c2f9e-6d0b-4c8c-8f4e-0d7f3b1c2a10"
WELL, FAILED = ClosedReason.RUN_SUCCEEDED, ClosedReason.RUN_FAILED


@pytest.mark.parametrize(
    ("run", "workload", "launch"),
    [
        ("job", "job", 0),
        ("job/2", "job", 1),
        ("job/17", "job", 16),
        ("job/1", "job", 0),
        ("job/02", "job", None),
        ("job/", "job", None),
        ("job/x", "job", None),
        ("job2", "job", None),
        ("other", "job", None),
        (None, "job", None),
        ("job", None, None),
    ],
)
def test_the_name_of_a_run_says_which_launch_it_is(run: str | None, workload: str | None, launch: int | None) -> None:
    assert launch_of(run, workload) == launch


def test_names_and_launches_belong_together() -> None:
    assert [name_of("job", launch) for launch in range(3)] == ["job", "job/2", "job/3"]
    assert all(launch_of(name_of("job", launch), "job") == launch for launch in range(100))


def closed(*run_ids: str, reason: ClosedReason = ClosedReason.RUN_SUCCEEDED) -> tuple[ClosedRun, ...]:
    return tuple(ClosedRun(run_id, reason) for run_id in run_ids)


def test_the_last_launch_among_some_runs() -> None:
    assert last_launch("job", ("job/3", "job", "other")) == 2
    assert last_launch("job", ("other", "job/2", "job")) == 1
    assert last_launch("job", ("other",)) is None
    assert last_launch(None, ("other",)) is None


@pytest.mark.parametrize(
    ("closes", "how", "before", "kept"),
    [
        (f"{JOB}/3", WELL, closed(JOB, "x", f"{JOB}/2"), closed("x")),
        ("none/2", WELL, closed("none"), ()),
        (f"{JOB}/2", WELL, closed(JOB, reason=FAILED), closed(JOB, reason=FAILED)),
        (f"{JOB}/2", FAILED, closed(JOB), closed(JOB)),
        (f"{JOB}/2", FAILED, closed(JOB, reason=FAILED), closed(JOB, reason=FAILED)),
        ("exp/3", WELL, closed("exp", "exp/2"), closed("exp", "exp/2")),
    ],
)
def test_a_later_launch_stands_for_the_earlier_ones_of_its_workload(
    closes: str, how: ClosedReason, before: tuple[ClosedRun, ...], kept: tuple[ClosedRun, ...]
) -> None:
    assert without_earlier(before, ClosedRun(closes, how)) == kept


def test_the_last_hundred_closed_runs_are_remembered_and_abandoned_ones_are_forgotten_first() -> None:
    succeeded = closed(*(f"run-{n}" for n in range(100)))
    assert remembered(succeeded) == succeeded
    assert remembered((*succeeded, *closed("new"))) == (*succeeded[1:], *closed("new"))
    abandoned = closed("gone", reason=ClosedReason.ABANDONED)
    assert remembered((*succeeded, *abandoned)) == (*succeeded[1:], *abandoned), "it is the newest one"
    numbered = closed("none/2", reason=ClosedReason.ABANDONED)
    assert remembered((*numbered, *succeeded[2:], *abandoned, *closed("new"))) == (
        *numbered,
        *succeeded[2:],
        *closed("new"),
    )
    # Whoever may join could otherwise make many of them, so that the ends of other runs are forgotten.
    claimed = closed("a/2/", f"{JOB}/9", reason=ClosedReason.ABANDONED)
    assert remembered((*claimed, *succeeded[1:], *closed("new"))) == (*succeeded[1:], *closed("new"))


def test_no_id_of_a_user_is_the_name_of_a_launch() -> None:
    unchanged = ["exp", "exp/x", "a/b", "exp/2x", "exp/0", "2030/01/29", "x" * 64 + "/2"]
    assert [name_of_id(given) for given in unchanged] == unchanged
    ids = ["exp", "exp/1", "exp/2", "exp/2/", "exp/2//", "exp/2/1", "exp/12"]
    assert len({name_of_id(given) for given in ids}) == len(ids)
    launches = {name_of("exp", launch) for launch in range(20)}
    assert launches.isdisjoint(name_of_id(given) for given in ids[1:])
