"""The network of the test cluster: one switch, in the control plane's machine, and a cable to each machine and here.

All of it is in the machines' own network namespaces but for one interface here (HOST_INTERFACE), which vanishes with
them. No packet filter and no setting of the real machine is touched.
"""

import ipaddress
import subprocess
from collections.abc import Iterable

from .layout import (
    API_PORT,
    CONTROL_ADDRESS,
    HOST_ADDRESS,
    NETWORK_BITS,
    NODE_ADDRESSES,
    POD_NETWORK,
    POD_SUBNETS,
    ClusterError,
)
from .machine import Machine

# At most 15 characters.
HOST_INTERFACE = "rdzv-cluster"
_SWITCH = "switch"
_TABLE = "inet kube_rendezvous"
_SET = f"{_TABLE} cut_off"

# What is dropped: whatever an address in the set and the API server say to each other, also on open connections.
_RULES = f"""
table {_TABLE} {{
    set cut_off {{ type ipv4_addr; }}
    chain input {{
        type filter hook input priority filter; policy accept;
        ip saddr @cut_off tcp dport {API_PORT} drop
    }}
    chain output {{
        type filter hook output priority filter; policy accept;
        ip daddr @cut_off tcp sport {API_PORT} drop
    }}
}}
"""


def connect_control(control: Machine) -> None:
    """Make the switch, and connect the real machine and the control plane to it."""
    _forward(control)
    control.run("ip", "link", "add", _SWITCH, "type", "bridge")
    control.run("ip", "address", "add", f"{CONTROL_ADDRESS}/{NETWORK_BITS}", "dev", _SWITCH)
    control.run("ip", "link", "set", _SWITCH, "up")
    control.run("nft", "--file", "-", input=_RULES)
    remove_host_interface()
    _host_ip("link", "add", HOST_INTERFACE, "type", "veth", "peer", "name", "host", "netns", str(control.pid))
    control.run("ip", "link", "set", "host", "master", _SWITCH, "up")
    _host_ip("address", "add", f"{HOST_ADDRESS}/{NETWORK_BITS}", "dev", HOST_INTERFACE)
    _host_ip("link", "set", HOST_INTERFACE, "up")
    # Tests reach pods, too.
    for node, subnet in POD_SUBNETS.items():
        _host_ip("route", "replace", subnet, "via", NODE_ADDRESSES[node], "dev", HOST_INTERFACE)
        control.run("ip", "route", "add", subnet, "via", NODE_ADDRESSES[node])


def connect_node(node: Machine, control: Machine) -> None:
    """Connect a node to the switch; to the other nodes' pods it goes by their nodes."""
    _forward(node)
    cable = ["link", "add", "eth0", "netns", str(node.pid), "type", "veth", "peer", "name", node.name]
    _host_ip(*cable, "netns", str(control.pid))
    control.run("ip", "link", "set", node.name, "master", _SWITCH, "up")
    node.run("ip", "address", "add", f"{NODE_ADDRESSES[node.name]}/{NETWORK_BITS}", "dev", "eth0")
    node.run("ip", "link", "set", "eth0", "up")
    # Nothing is behind it: what has no route is refused at once instead of being waited for.
    node.run("ip", "route", "add", "default", "via", CONTROL_ADDRESS)
    for other, subnet in POD_SUBNETS.items():
        if other != node.name:
            node.run("ip", "route", "add", subnet, "via", NODE_ADDRESSES[other])


def disconnect_node(node: str, control: Machine) -> None:
    """Take away what a node without power leaves of its cable for a moment."""
    if control.pid is not None and node in control.run("ip", "-brief", "link"):
        control.run("sh", "-c", f"ip link delete {node} 2>/dev/null || true")


def remove_host_interface() -> None:
    """Take away the interface here, if it is there; with it go its address and its routes."""
    subprocess.run(["ip", "link", "delete", HOST_INTERFACE], capture_output=True, check=False)


def host_interface_is_left() -> bool:
    """Whether the interface is there."""
    return subprocess.run(["ip", "link", "show", HOST_INTERFACE], capture_output=True, check=False).returncode == 0


def check_addresses_are_free() -> None:
    """Raise ClusterError when this machine has a network of its own where the cluster's is to be."""
    ours = [ipaddress.ip_network(f"{CONTROL_ADDRESS}/{NETWORK_BITS}", strict=False), ipaddress.ip_network(POD_NETWORK)]
    for line in _host_ip("-4", "route", "show", "table", "main").splitlines():
        target = line.split()[0]
        if target == "default" or f"dev {HOST_INTERFACE}" in line:
            continue
        try:
            network = ipaddress.ip_network(target)
        except ValueError:
            continue  # such as `unreachable ...`
        if any(network.overlaps(own) for own in ours):
            raise ClusterError(
                f"this machine has a route that overlaps the test cluster's network 198.18.0.0/16: {line}"
            )


def drop_traffic(control: Machine, addresses: Iterable[str]) -> None:
    """From now on, nothing goes between these addresses and the API server."""
    control.run("nft", "add", "element", *_SET.split(), f"{{ {', '.join(addresses)} }}")


def let_traffic_pass(control: Machine, addresses: Iterable[str]) -> None:
    """End what `drop_traffic` began for these addresses."""
    control.run("nft", "delete", "element", *_SET.split(), f"{{ {', '.join(addresses)} }}")


def let_all_traffic_pass(control: Machine) -> None:
    """End all that `drop_traffic` began."""
    control.run("nft", "flush", "set", *_SET.split())


def _forward(machine: Machine) -> None:
    machine.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")


def _host_ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(f"`ip {' '.join(arguments)}` failed: {done.stderr.strip()}")
    return done.stdout
