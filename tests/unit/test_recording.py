"""The files of a recording: bounded, private, readable whatever happens, and never in the way of a decision."""

import json
import logging
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.recording_support import MEBIBYTE, decisions_of, lost_and_replaced, write

from kube_rendezvous_cli.replay.files import Decided
from kube_rendezvous_cli.replay.files import Recording as Read
from rendezvous_api.backoff import Backoff
from rendezvous_operator.core.recorded import DecisionFailed, Recorded
from rendezvous_operator.reconcile import recording as module
from rendezvous_operator.reconcile.recording import MOST_QUEUED, Files, Recording

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def decisions() -> list[Recorded]:
    return decisions_of(lost_and_replaced)


def read(folder: Path) -> list[Decided]:
    recording = Read(folder)
    found = list(recording.decisions())
    assert recording.problems == []
    return found


def sizes(folder: Path) -> list[int]:
    return [path.stat().st_size for path in sorted(folder.iterdir())]


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_what_is_read_is_what_was_recorded(tmp_path: Path, decisions: list[Recorded]) -> None:
    folder = tmp_path / "a" / "b"
    recording = Recording(folder, 8, "0.1.0")
    recording.start()
    for decision in decisions:
        recording.note(decision)
    recording.stop(30)
    assert [found.recorded for found in read(folder)] == decisions
    assert [found.number for found in read(folder)] == list(range(1, len(decisions) + 1))


def test_only_the_user_of_the_operator_may_read_it(tmp_path: Path, decisions: list[Recorded]) -> None:
    before = os.umask(0)
    try:
        write(tmp_path / "kept", decisions[0])
    finally:
        os.umask(before)
    (path,) = (tmp_path / "kept").iterdir()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_oldest_files_go_before_all_together_are_too_large(tmp_path: Path, decisions: list[Recorded]) -> None:
    most = 400_000
    files = Files(tmp_path, most, "0.1.0")
    (tmp_path / "of-a-user.txt").write_text("kept")
    (tmp_path / "decisions-20200101T000000.000000Z.jsonl").write_text("x" * 100_000)
    written = 0
    while written < 40 * len(decisions):
        files.write(decisions[written % len(decisions)], 0)
        written += 1
        assert sum(sizes(tmp_path)) <= most + 4
    files.close()
    assert (tmp_path / "of-a-user.txt").exists()
    assert sum(sizes(tmp_path)) > most / 2
    assert 4 <= len(sizes(tmp_path)) <= module.PARTS + 2
    found = [decided.recorded for decided in read(tmp_path)]
    assert len(found) < written, "some are gone"
    expected = [decisions[number % len(decisions)] for number in range(written)]
    assert found == expected[-len(found) :], "and these are the oldest"


def test_a_restart_goes_on_in_another_file(tmp_path: Path, decisions: list[Recorded]) -> None:
    write(tmp_path, *decisions[:3])
    write(tmp_path, *decisions[3:], release="0.2.0")
    assert [found.recorded for found in read(tmp_path)] == decisions
    assert {found.release for found in read(tmp_path)} == {"0.1.0", "0.2.0"}
    assert len(sizes(tmp_path)) == 2


def test_a_decision_that_is_larger_than_all_that_may_be_kept_is_left_out(
    tmp_path: Path, decisions: list[Recorded]
) -> None:
    with pytest.raises(OSError, match=r"a decision of .* bytes is larger than --record-megabytes allows"):
        Files(tmp_path, 500, "0.1.0").write(decisions[0], 0)
    assert sizes(tmp_path) == []


def test_a_file_that_was_cut_anywhere_is_read_up_to_there(tmp_path: Path, decisions: list[Recorded]) -> None:
    write(tmp_path, *decisions)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for length in range(first, len(whole), 1009):
        path.write_bytes(whole[:length])
        recording = Read(tmp_path)
        found = [decided.recorded for decided in recording.decisions()]
        at_an_end = b"\n" in whole[length - 1 : length + 1]  # with the end of the line, or right before it
        assert found == decisions[: whole[: length + at_an_end].count(b"\n") - 1]
        assert recording.problems == []
        assert len(recording.cut) == (0 if at_an_end else 1)
        assert at_an_end or "is cut: its operator ended while it wrote it" in recording.cut[0]


WRITES = """
import sys, time
from pathlib import Path
from rendezvous_api.backoff import Backoff
from rendezvous_operator.reconcile import recording
from tests.unit.recording_support import decisions_of, lost_and_replaced
recording.BACKOFF = Backoff(first=0.2, longest=0.2)
decisions = decisions_of(lost_and_replaced)
import logging, resource
logging.basicConfig(format="%(message)s", stream=sys.stdout)
kept = recording.Recording(Path(sys.argv[1]), 8, "0.1.0")
kept.start()
if len(sys.argv) > 3:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
for turn in range(int(sys.argv[2])):
    for decision in decisions:
        kept.note(decision)
        time.sleep(0.001)
    if turn == 0:
        print("begun", flush=True)
kept.stop(30)
"""


def writing(folder: Path, turns: int, *more: str, wrapped: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    command = [*wrapped, sys.executable, "-c", WRITES, str(folder), str(turns), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)


def test_an_operator_that_is_killed_while_it_writes_leaves_a_recording(tmp_path: Path) -> None:
    with writing(tmp_path, 1_000_000) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGKILL)
    decisions = decisions_of(lost_and_replaced)
    found = [decided.recorded for decided in read(tmp_path)]
    assert len(found) >= len(decisions) // 2
    assert found == [decisions[number % len(decisions)] for number in range(len(found))]


def assert_goes_on(folder: Path, said: str, code: int) -> None:
    """A disk that was full at times: it was said once each time, and each line that is there can be read."""
    assert code == 0, said
    lines = [line for line in said.splitlines() if line != "begun"]
    failed = [line for line in lines if "decisions are not recorded in" in line]
    assert failed, said
    assert all(line.endswith("; it is tried again") for line in failed)
    assert len(failed) <= 1 + len([line for line in lines if "decisions are recorded again; " in line])
    recording = Read(folder)
    found = [decided.recorded for decided in recording.decisions()]
    decisions = decisions_of(lost_and_replaced)
    assert found
    assert all(decision in decisions for decision in found)
    assert recording.problems == []


def test_a_file_that_may_not_grow_delays_nothing_and_is_said_once(tmp_path: Path) -> None:
    """The limit of each file stands for a quota: another file can be begun after some time."""
    with writing(tmp_path, 20, "60000") as process:
        said, _ = process.communicate(timeout=120)
    assert_goes_on(tmp_path, said, process.returncode)
    assert "File too large" in said
    recording = Read(tmp_path)
    list(recording.decisions())
    assert recording.left_out > 0


def test_a_full_disk_delays_nothing_and_is_said_once(tmp_path: Path) -> None:
    mounts = ("unshare", "--mount", "--map-root-user", "sh", "-c")
    here = f"mount -t tmpfs -o size=64k none {tmp_path}"
    if subprocess.run([*mounts, here], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    copies = tmp_path.parent / f"{tmp_path.name}-copies"
    script = f'{here} && "$@" && cp -r {tmp_path} {copies}'
    with writing(tmp_path, 5, wrapped=(*mounts, script, "sh")) as process:
        said, _ = process.communicate(timeout=120)
    assert_goes_on(copies, said, process.returncode)
    assert "No space left on device" in said


def test_a_folder_that_cannot_be_written_is_named_once_and_tried_again(
    tmp_path: Path, decisions: list[Recorded], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "BACKOFF", Backoff(first=0.02, longest=0.02))
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "folder"
    recording = Recording(folder, 8, "0.1.0")
    recording.start()
    for _ in range(20):
        recording.note(decisions[0])
        time.sleep(0.01)
    (tmp_path / "file").unlink()

    def is_written() -> bool:
        recording.note(decisions[1])
        time.sleep(0.02)
        return folder.is_dir() and bool(sizes(folder))

    until(is_written)
    recording.stop(30)
    messages = [record.getMessage() for record in caplog.records if record.name == module.__name__]
    assert len(messages) == 2
    assert messages[0].startswith(f"decisions are not recorded in {folder}: [Errno 20] Not a directory")
    assert messages[1].startswith("decisions are recorded again; ")
    left_out = int(messages[1].split()[-4])
    reader = Read(folder)
    found = list(reader.decisions())
    assert found[0].recorded == decisions[1]
    assert reader.left_out == left_out >= 20


def test_a_disk_that_hangs_delays_no_decision_and_no_end(
    tmp_path: Path, decisions: list[Recorded], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hangs = threading.Event()
    wrote = Files.write

    def write_late(self: Files, decision: Recorded, left_out: int) -> None:
        hangs.wait()
        wrote(self, decision, left_out)

    monkeypatch.setattr(Files, "write", write_late)
    recording = Recording(tmp_path, 8, "0.1.0")
    recording.start()
    began = time.monotonic()
    for _ in range(10 * MOST_QUEUED):
        recording.note(decisions[0])
    recording.stop(0.05)
    assert time.monotonic() - began < 5
    hangs.set()
    recording.stop(30)
    reader = Read(tmp_path)
    found = list(reader.decisions())
    assert MOST_QUEUED <= len(found) <= MOST_QUEUED + 1
    assert len(found) + reader.left_out <= 10 * MOST_QUEUED
    assert reader.left_out > 8 * MOST_QUEUED
    messages = [record.getMessage() for record in caplog.records if record.name == module.__name__]
    assert messages == [f"decisions are made faster than {tmp_path} takes them; some are left out"]


def test_a_defect_in_one_decision_keeps_no_other_from_being_recorded(
    tmp_path: Path, decisions: list[Recorded], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "BACKOFF", Backoff(first=0.0, longest=0.0))
    recording = Recording(tmp_path, 8, "0.1.0")
    recording.start()
    wrong = decisions[1]._replace(outcome=DecisionFailed(object()))  # type: ignore[arg-type]
    for decision in (decisions[0], wrong, wrong, decisions[2]):
        recording.note(decision)
    recording.stop(30)
    assert [found.recorded for found in read(tmp_path)] == [decisions[0], decisions[2]]
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]
    assert "ns/train: a decision was not recorded" in caplog.text
    assert "decisions are recorded again; 2 were left out" in caplog.text


def test_two_operators_may_record_in_one_folder(tmp_path: Path, decisions: list[Recorded]) -> None:
    one, two = (Files(tmp_path, MEBIBYTE, "0.1.0") for _ in range(2))
    for decision in decisions:
        one.write(decision, 0)
        two.write(decision, 0)
    assert sorted(json.dumps(str(found.recorded)) for found in read(tmp_path)) == sorted(
        json.dumps(str(decision)) for decision in decisions * 2
    )
