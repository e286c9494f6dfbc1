"""A small process between ours and each server. It ends the server when ours ends, even by SIGKILL.

Called as `python supervisor.py OWNER SIGNAL FOLDER COMMAND...`: it runs COMMAND, and ends it with the signal of that
number when it reads a byte from its standard input. It also does so when that is closed, or when process OWNER is no
longer its parent: then its owner has ended. In that case it also removes FOLDER, unless that is empty text. It exits
with the command's exit code, or 128 + N after signal N.

Why not let the kernel end the server with its parent (PR_SET_PDEATHSIG) alone: that signal comes already when the
*thread* ends that started the server. Here the one thread that starts it lives as long as this process.
It runs in a session of its own, so a terminal's Ctrl-C reaches neither it nor the server.
Run as a script, in isolated mode: it imports nothing but the standard library.
"""

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time

# How long a server may take to end after its signal before it is killed.
GRACE_SECONDS = 10.0

_PR_SET_PDEATHSIG = 1
_OWNER_CHECK_SECONDS = 1.0


def main() -> int:
    """Run the command line that this module's docstring describes; returns the exit code."""
    owner, ending, folder, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]
    supervisor = os.getpid()

    def end_with_the_supervisor() -> None:
        # Runs in the server's process before it becomes the server. Linux only; elsewhere the server goes on
        # after a SIGKILL of this supervisor.
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != supervisor:
                os._exit(1)

    # This process has a single thread here, so preexec_fn is safe.
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=end_with_the_supervisor)
    orphaned = threading.Event()

    def watch() -> None:
        if not _asked_to_end(owner):
            orphaned.set()
        server.send_signal(ending)
        deadline = time.monotonic() + GRACE_SECONDS
        while server.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        server.kill()

    threading.Thread(target=watch, daemon=True).start()
    code = server.wait()
    if orphaned.is_set() and folder:
        # The supervisors of etcd and of kube-apiserver both do this. At the second removal no server writes any more.
        shutil.rmtree(folder, ignore_errors=True)
    return code if code >= 0 else 128 - code


def _asked_to_end(owner: int) -> bool:
    """Wait until the server must end. True: the owner asked for it; False: the owner has ended."""
    while True:
        readable, _, _ = select.select([0], [], [], _OWNER_CHECK_SECONDS)
        if readable:
            return os.read(0, 1) != b""
        # A child that the owner forked may still hold the other end of the pipe.
        if os.getppid() != owner:
            return False


if __name__ == "__main__":
    sys.exit(main())
