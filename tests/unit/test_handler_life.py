"""The life of a container, from what the kernel shows of its processes."""

import os
import subprocess
import sys
from pathlib import Path

from rendezvous_handler.agent.life import container_name, life


def shown(proc: Path, pid: int, parent: int, started: int, program: str = "torchrun") -> None:
    """A process as the kernel shows it; see proc_pid_stat(5)."""
    fields = f"{pid} ({program}) S {parent} {' 0' * 17} {started} 0 0"
    (proc / str(pid)).mkdir(exist_ok=True)
    (proc / str(pid) / "stat").write_text(fields)


def machine(proc: Path, boot: str = "boot") -> Path:
    (proc / "sys/kernel/random").mkdir(parents=True, exist_ok=True)
    (proc / "sys/kernel/random/boot_id").write_text(f"{boot}\n")
    return proc


def test_all_processes_of_one_start_of_a_container_have_one_life(tmp_path: Path) -> None:
    proc = machine(tmp_path)
    shown(proc, 1, 0, 100, "sh")
    shown(proc, 7, 1, 200, "a (strange) name")
    shown(proc, 9, 7, 300)
    assert life(1, proc) == life(7, proc) == life(9, proc) == "boot-100"


def test_the_containers_of_a_pod_may_share_their_processes(tmp_path: Path) -> None:
    proc = machine(tmp_path)
    shown(proc, 1, 0, 100, "pause")
    shown(proc, 20, 0, 200, "sh")
    shown(proc, 21, 20, 300)
    assert life(21, proc) == "boot-200"


def test_a_restarted_container_and_a_restarted_machine_are_other_lives(tmp_path: Path) -> None:
    proc = machine(tmp_path)
    found = set()
    for boot, started in (("first", 100), ("first", 101), ("second", 100)):
        machine(proc, boot)
        shown(proc, 1, 0, started)
        found.add(life(1, proc))
    assert len(found) == 3


def test_a_machine_that_shows_no_processes_has_no_lives(tmp_path: Path) -> None:
    assert life(1, tmp_path) is None
    shown(machine(tmp_path), 9, 1, 100)
    assert life(9, tmp_path) is None  # its parent is not shown


def test_this_process_and_its_children_have_one_life() -> None:
    code = "from rendezvous_handler.agent.life import life; print(life())"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == life() == life(os.getpid())
    assert life() is not None


MOUNTS = """\
1021 934 8:1 /var/lib/kubelet/pods/uid-of-another/containers/other/1a2b3c4d /host/log rw,relatime - ext4 /dev/sda1 rw
1022 934 8:1 /var/lib/kubelet/pods/uid-1/etc-hosts /etc/hosts rw,relatime - ext4 /dev/sda1 rw
1023 934 8:1 /var/lib/kubelet/pods/uid-1/containers/train-1/5e6f7a8b /dev/termination-log rw - ext4 /dev/sda1 rw
"""


def test_the_kernel_shows_the_name_of_the_container(tmp_path: Path) -> None:
    assert container_name("uid-1", tmp_path) is None
    (tmp_path / "self").mkdir()
    (tmp_path / "self/mountinfo").write_text(MOUNTS)
    assert container_name("uid-1", tmp_path) == "train-1"
    assert container_name("uid-2", tmp_path) is None
    assert container_name("uid-1") is None  # this process is in no pod
