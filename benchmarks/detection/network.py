"""Machines that are network namespaces, in a network of this program's own.

All of them are connected to one switch. By it the members reach each other, and nothing else. The way of a machine to
the API server is another one: a proxy at the same port of the machine's own loopback. So each way can be cut by itself,
and a machine whose power is cut sends nothing any more, not even the end of its connections.
"""

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from testcluster.programs import ensure_debian
from tests.support.fork_server import enter_network
from tests.support.proxy import Proxy

from rendezvous_controlplane import Report

HERE = "198.18.0.1"
"""The address of this program's own network, for members that have no machine."""

_BITS = 16
_SIOCSIFFLAGS, _DOWN = 0x8914, 0  # see netdevice(7): the flags of a network device, without IFF_UP
_WITHIN = "DETECTION_WITHIN_OWN_NETWORK"
_NAMESPACES = Path("/run/netns")
_SET_UP = f"""
set -e
mkdir -p {_NAMESPACES}
mount -t tmpfs tmpfs {_NAMESPACES}
ip link set lo up
ip link add switch type bridge
ip address add {HERE}/{_BITS} dev switch
ip link set switch up
exec "$@"
"""
_TABLE = "bridge detection"
_RULES = f"table {_TABLE} {{ chain forward {{ type filter hook forward priority 0; policy accept; }}; }}"


def in_own_network(module: str, arguments: Sequence[str]) -> None:
    """Run this program, a module, again in a network of its own, unless that has been done.

    Nothing outside it sees that network, and it goes with its last process.

    Raises:
        SystemExit: this needs root, and the programs unshare and ip.
    """
    if os.environ.get(_WITHIN):
        return
    missing = [program for program in ("unshare", "ip", "nsenter", "mount") if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        what = f"the programs {', '.join(missing)}" if missing else "root"
        raise SystemExit(f"{module} makes network namespaces, and needs {what} for that")
    os.environ[_WITHIN] = "1"
    program = [sys.executable, "-m", module, *arguments]
    os.execvp("unshare", ["unshare", "--net", "--mount", "sh", "-c", _SET_UP, "sh", *program])


class Filter:
    """What the switch drops. It needs nft: that of this machine, or the one of the test cluster.

    Raises:
        ClusterError: there is none, and it cannot be downloaded.
        subprocess.CalledProcessError: this kernel has no nftables for bridges.
    """

    def __init__(self) -> None:
        own: Mapping[str, str] = os.environ
        self._environment = own if shutil.which("nft") else ensure_debian(Report())
        self._nft(_RULES)

    def drop(self, port: str, percent: int = 100) -> None:
        """Drop so many of the packets that come from, and that go to, a port of the switch; each by chance."""
        chance = "" if percent == 100 else f"numgen random mod 100 < {percent} "
        for side in ("iifname", "oifname"):
            self._nft(f'add rule {_TABLE} forward {side} "{port}" {chance}counter drop')

    def dropped(self, port: str) -> int:
        """How many packets of this port it has dropped so far."""
        lines = [line.split() for line in self._nft(f"list table {_TABLE}").splitlines() if f'"{port}"' in line]
        return sum(int(words[words.index("packets") + 1]) for words in lines)

    def _nft(self, commands: str) -> str:
        done = subprocess.run(
            [shutil.which("nft", path=self._environment["PATH"]) or "nft", "--file", "-"],
            input=f"{commands}\n", env=dict(self._environment), capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout


class Machine:
    """One machine; `remove` takes it away.

    Args:
        number: from 0; no two machines have the same at once.
        api_port: the loopback port of the API server.
    """

    def __init__(self, number: int, api_port: int) -> None:
        self.name, self.port = f"machine-{number}", f"port{number}"
        self.address = f"198.18.{1 + number // 250}.{1 + number % 250}"
        _ip("netns", "add", self.name)
        _ip("link", "add", "eth0", "netns", self.name, "type", "veth", "peer", "name", self.port)
        _ip("link", "set", self.port, "master", "switch", "up")
        _ip("-n", self.name, "address", "add", f"{self.address}/{_BITS}", "dev", "eth0")
        for link in ("lo", "eth0"):
            _ip("-n", self.name, "link", "set", link, "up")
        self.way = Proxy(api_port, self._listen(api_port))
        """To the API server."""

    @property
    def network(self) -> Path:
        """The file of its network namespace."""
        return _NAMESPACES / self.name

    def unplug(self) -> None:
        """Nothing comes out of it any more, and nothing reaches it; it is not told."""
        self.way.swallow()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", self.port.encode(), _DOWN))

    def remove(self) -> None:
        """Take it away; no process may be in it any more."""
        self.way.__exit__(None, None, None)
        _ip("link", "delete", self.port)
        _ip("netns", "delete", self.name)

    def _listen(self, port: int) -> socket.socket:
        found: list[socket.socket] = []

        def listen() -> None:  # in a thread of its own, which ends: a thread stays in the network that it enters
            enter_network(self.network)
            found.append(socket.create_server(("127.0.0.1", port), backlog=128))

        thread = threading.Thread(target=listen)
        thread.start()
        thread.join()
        return found[0]


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"`ip {' '.join(arguments)}` failed: {done.stderr.strip()}")
