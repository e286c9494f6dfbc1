"""The processes of the local control plane, with stand-ins for the servers: none outlives its owner."""

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.waiting import wait_until

from rendezvous_controlplane import ControlPlaneError
from rendezvous_controlplane.commands import etcd_socket
from rendezvous_controlplane.reservations import reserve_folder, reserve_port
from rendezvous_controlplane.server import Server

# Writes its process id, then waits; says so when it is told to end.
PATIENT = """
import os, signal, sys, time
def end(*_):
    print("told to end", flush=True)
    os._exit(3)  # an exception would be lost where it interrupts the closing of a file
signal.signal(signal.SIGTERM, end)
print("started", flush=True)
open(sys.argv[1], "w").write(str(os.getpid()))
time.sleep(600)
"""


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # the latter where it goes between the opening and the reading
        return False
    return state != "Z"


def pid_in(path: Path) -> int:
    wait_until(lambda: path.exists() and path.read_text(), f"{path} is written")
    return int(path.read_text())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(
        "patient", [sys.executable, "-c", PATIENT, str(tmp_path / "pid")], tmp_path / "log", signal.SIGTERM, None
    )
    yield server
    server.stop()


def test_a_server_runs_until_it_is_stopped(server: Server, tmp_path: Path) -> None:
    pid = pid_in(tmp_path / "pid")
    codes = [server.exit_code]
    server.stop()
    assert not alive(pid)
    codes.append(server.exit_code)
    assert codes == [None, 3]
    assert server.log_tail() == "  started\n  told to end"
    assert server.log_tail(1) == "  told to end"
    server.stop()  # once more does nothing


def test_stopping_a_server_leaves_what_is_temporary(tmp_path: Path) -> None:
    data = tmp_path / "data"  # another server, or the same one started again, goes on with it
    data.mkdir()
    command = [sys.executable, "-c", PATIENT, str(tmp_path / "pid")]
    server = Server("patient", command, tmp_path / "log", signal.SIGKILL, data)
    pid_in(tmp_path / "pid")
    server.stop()
    assert server.exit_code == 128 + signal.SIGKILL
    assert data.is_dir()


def test_a_server_that_ends_by_itself_is_noticed(server: Server, tmp_path: Path) -> None:
    os.kill(pid_in(tmp_path / "pid"), signal.SIGKILL)
    wait_until(lambda: server.exit_code is not None, "the exit code is known")
    assert server.exit_code == 128 + signal.SIGKILL


def test_a_server_is_in_a_session_of_its_own(server: Server, tmp_path: Path) -> None:
    assert os.getsid(pid_in(tmp_path / "pid")) != os.getsid(0)


def test_a_server_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    started = []

    def start() -> None:
        command = [sys.executable, "-c", PATIENT, str(tmp_path / "pid")]
        started.append(Server("patient", command, tmp_path / "log", signal.SIGTERM, None))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    try:
        pid = pid_in(tmp_path / "pid")
        time.sleep(0.3)
        assert alive(pid)
        assert started[0].exit_code is None
    finally:
        started[0].stop()


def test_a_server_ends_with_its_supervisor(server: Server, tmp_path: Path) -> None:
    pid = pid_in(tmp_path / "pid")
    supervisor = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: not alive(pid), "the server is gone")


@pytest.mark.parametrize("temporary", [True, False])
@pytest.mark.parametrize("forked", [True, False])
def test_a_server_dies_with_its_owner_and_takes_what_is_temporary_along(
    forked: bool, temporary: bool, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "file").touch()
    # A child that the owner forked holds the pipe open that the supervisor reads; it must not keep the server alive.
    owner = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"""
import os, signal, sys, time
from pathlib import Path
from rendezvous_controlplane.server import Server
command = [sys.executable, "-c", {PATIENT!r}, {str(tmp_path / "pid")!r}]
log, temporary = Path({str(tmp_path / "log")!r}), Path({str(data)!r}) if {temporary} else None
server = Server("patient", command, log, signal.SIGTERM, temporary)
if {forked}:
    child = os.fork()
    if child:
        Path({str(tmp_path / "child")!r}).write_text(str(child))
time.sleep(600)
""",
        ]
    )
    pid = pid_in(tmp_path / "pid")
    child = pid_in(tmp_path / "child") if forked else None
    try:
        assert alive(pid)
        owner.kill()
        owner.wait()
        wait_until(lambda: not alive(pid), "the server is gone")
        wait_until(lambda: data.exists() != temporary, f"the folder is {'gone' if temporary else 'there'}")
    finally:
        if child is not None:
            os.kill(child, signal.SIGKILL)


def test_a_port_that_is_held_is_refused_to_others_and_to_clients() -> None:
    with reserve_port("127.0.0.1") as holder, socket.socket() as other:
        address = holder.getsockname()
        with pytest.raises(OSError, match=os.strerror(errno.EADDRINUSE)):
            other.bind(address)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        # What is told to share the port, as kube-apiserver is, gets it, and every connection.
        with socket.socket() as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            server.bind(address)
            server.listen()
            for _ in range(20):
                with socket.create_connection(address, timeout=5):
                    server.accept()[0].close()


def test_no_two_held_ports_are_the_same() -> None:
    holders = [reserve_port("127.0.0.1") for _ in range(300)]
    try:
        assert len({holder.getsockname()[1] for holder in holders}) == 300
    finally:
        for holder in holders:
            holder.close()


def test_a_folder_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    held = reserve_folder(tmp_path)
    with pytest.raises(ControlPlaneError, match=f"another control plane is using {tmp_path}"):
        reserve_folder(tmp_path)
    held.close()
    reserve_folder(tmp_path).close()


def test_a_folder_whose_socket_would_have_too_long_a_path_is_refused() -> None:
    assert etcd_socket(Path("/" + 92 * "a"))
    with pytest.raises(ControlPlaneError, match=r"the path of the data folder is too long .*: /aaa"):
        etcd_socket(Path("/" + 93 * "a"))
