"""The health checks run in a process, with a deadline: whatever a check does, the agent goes on."""

import os
import time
from pathlib import Path

import pytest
from tests.support.waiting import wait_until
from tests.unit.checks_of_tests import MODULE

from kube_rendezvous import health
from rendezvous_handler.health import names
from rendezvous_handler.health.run import HealthRun


def outcome(*checks: str, seconds: float = 30.0) -> str | None:
    """What a run of these checks of the tests finds."""
    run = HealthRun([check if check in names.READY else f"{MODULE}:{check}" for check in checks], seconds)
    wait_until(lambda: run.over, "the run to end", seconds + 10)
    return run.found if run.found is None else run.found.replace(f"{MODULE}:", "")


@pytest.fixture
def pids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIDS_OF_CHECK", str(tmp_path / "pids"))
    return tmp_path / "pids"


def all_are_gone(pids: Path) -> bool:
    """A zombie is gone, too: its parent, which has to wait for it, may be any."""

    def is_gone(pid: str) -> bool:
        try:
            return " Z " in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        except OSError:
            return True

    return all(is_gone(pid) for pid in pids.read_text(encoding="utf-8").split())


def test_all_succeed(capfd: pytest.CaptureFixture[str]) -> None:
    assert outcome("is_well", "is_well") is None
    assert capfd.readouterr().out.count("this check has looked") == 2


def test_what_a_check_has_printed_last_is_not_lost(capfd: pytest.CaptureFixture[str]) -> None:
    """The process is ended only when it has written it, and not as soon as it has told that all is well."""
    assert outcome("is_well_and_slow") is None
    assert "this check has looked slowly" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("check", "found"),
    [
        ("finds", "finds: the disk is broken"),
        ("finds_much", "finds_much: " + "x" * 5000),
        ("finds_nothing_to_say", "finds_nothing_to_say: it has failed, and does not say why"),
        ("answers_true", "answers_true: it has returned True; a check must return None, or a text, or raise"),
        ("raises", "raises: OSError: no such device"),
        ("exits", "exits: SystemExit: not today"),
        ("ends_its_process", "ends_its_process: its process has ended with exit code 7"),
        ("is_killed", "is_killed: its process has ended with signal 9"),
        ("Scratch.is_full", "Scratch.is_full: it is full"),
        ("missing", f"missing: AttributeError: module '{MODULE}' has no attribute 'missing'"),
    ],
)
def test_a_check_fails(check: str, found: str) -> None:
    answer = outcome("is_well", check, "is_well")
    assert answer is not None
    whole = f"{MODULE}:{answer}"
    if len(whole) < 1024:
        assert answer == found
    else:
        assert (len(whole), whole[-4:]) == (1024, "x...")


def test_a_module_that_is_missing_is_a_failure() -> None:
    run = HealthRun(["no_such_module:check"], 30)
    wait_until(lambda: run.over, "the run to end", 30)
    assert run.found == "no_such_module:check: ModuleNotFoundError: No module named 'no_such_module'"


def test_after_a_failure_no_other_check_runs(capfd: pytest.CaptureFixture[str]) -> None:
    assert outcome("raises", "is_well")
    out, error = capfd.readouterr()
    assert "this check has looked" not in out
    assert "Traceback" in error


def test_one_that_hangs_is_ended_with_all_that_it_has_started(pids: Path) -> None:
    start = time.monotonic()
    assert outcome("is_well", "hangs", seconds=3) == "hangs: has not ended within 3 s"
    assert time.monotonic() - start < 6
    wait_until(lambda: all_are_gone(pids), "the processes to end", 10)


def test_it_can_be_stopped(pids: Path) -> None:
    run = HealthRun([f"{MODULE}:hangs"], 60)
    wait_until(lambda: pids.exists() and pids.read_text(encoding="utf-8"), "the check to begin", 30)
    assert run.running == f"{MODULE}:hangs"
    run.stop()
    wait_until(lambda: run.over and all_are_gone(pids), "the processes to end", 10)


def test_what_a_check_leaves_behind_keeps_nobody_waiting(pids: Path) -> None:
    start = time.monotonic()
    assert outcome("leaves_a_process_behind", seconds=30) is None
    assert time.monotonic() - start < 15
    wait_until(lambda: all_are_gone(pids), "the process to end", 10)


def test_a_process_that_cannot_be_started_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/no/such/python")
    told: list[bool] = []
    run = HealthRun(["gpus"], 5, lambda: told.append(True))
    assert (run.over, told) == (True, [True])
    assert run.found == "the health checks cannot be started: [Errno 2] No such file or directory: '/no/such/python'"


def test_it_tells_when_it_has_ended() -> None:
    told: list[int] = []
    run = HealthRun([f"{MODULE}:is_well"], 30, lambda: told.append(os.getpid()))
    wait_until(lambda: told, "to be told", 30)
    assert run.over


def test_the_names_of_checks() -> None:
    assert names.parse("gpus+disk + own.checks:nic.link") == ("gpus", "disk", "own.checks:nic.link")
    assert names.parse("") == names.parse("none") == ()
    assert names.place_of("gpus") == ("kube_rendezvous.health", "gpus")
    assert names.place_of("own.checks:nic.link") == ("own.checks", "nic.link")
    for wrong in ("gpu", "gpus+", "a:b:c", "own.checks:", "os;x", "1a:b"):
        with pytest.raises(ValueError, match=r"must be one of allreduce, disk, gpus, nvhcd, or MODULE:FUNCTION"):
            names.parse(wrong)


def test_the_ready_made_checks_are_those_that_are_public() -> None:
    assert sorted(names.READY) == sorted(health.__all__)
    assert health.__name__ == names.MODULE
