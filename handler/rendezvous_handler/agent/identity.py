"""Who this agent is: its pod, its name as a participant, its place in the group, its address."""

from __future__ import annotations

import errno
import hashlib
import ipaddress
import os
import re
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from rendezvous_api import names
from rendezvous_api.access import claims_of
from rendezvous_api.text import fingerprint

MAX_NAME_LENGTH = 253
"""Of an object in Kubernetes, in characters."""

_INCARNATION_LENGTH = 8

_ELSEWHERE = {int(socket.AF_INET): "192.0.2.1", int(socket.AF_INET6): "2001:db8::1"}
"""Addresses of no machine (RFC 5737, RFC 3849), so that the route to them is the default route."""

_SET_LOCAL_ADDR = "set --local-addr to the address of the pod (status.podIP, by the downward API)"


@dataclass(frozen=True)
class BoundPod:
    """The pod to which a service-account token is bound, as its claim ``kubernetes.io`` names it."""

    namespace: str
    name: str
    uid: str
    node_name: str | None


@dataclass(frozen=True)
class Identity:
    """One agent as a participant of one Rendezvous."""

    name: str
    """Of its RendezvousParticipant."""
    node_id: str
    pod: BoundPod | None
    pod_index: int | None
    slot: socket.socket | None
    """Holds the name among the agents of one pod; close it to free the name."""


def new_incarnation() -> str:
    """8 random characters, new for each handler object."""
    return secrets.token_hex(_INCARNATION_LENGTH // 2)


def bound_pod(token: str) -> BoundPod | None:
    """The pod to which a bearer token is bound, or None: another kind of token, or a service account without a pod.

    The signature is not checked: the API server does that with each request, and nothing here relies on it.
    """
    try:
        claims = claims_of(token)["kubernetes.io"]
        pod, node = claims["pod"], claims.get("node") or {}
        return BoundPod(claims["namespace"], pod["name"], pod["uid"], node.get("name"))
    except (KeyError, TypeError):
        return None


def identify(rendezvous_namespace: str, rendezvous: str, node_id: str | None, pod: BoundPod | None) -> Identity:
    """Find the name under which this process takes part in a Rendezvous.

    In a pod it is ``<rendezvous>.<pod>``, and ``.N`` after it for further agents of the same pod. Elsewhere it is
    ``<rendezvous>.<node_id>``; without a node_id of ``--rdzv-conf``, host name and process id stand in for it.
    """
    if pod is None:
        node_id = node_id or f"{socket.gethostname()}-{os.getpid()}"
        name = participant_name(rendezvous, distinct_subdomain(node_id))
        return Identity(name, node_id, pod=None, pod_index=None, slot=None)
    number, slot = _lowest_free_slot(f"{pod.uid}/{rendezvous_namespace}/{rendezvous}")
    suffix = f".{number}" if number else ""
    return Identity(
        name=participant_name(rendezvous, pod.name, suffix),
        node_id=node_id or pod.name + suffix,
        pod=pod,
        pod_index=pod_index(pod.name, os.environ),
        slot=slot,
    )


def participant_name(rendezvous: str, node: str, suffix: str = "") -> str:
    """``<rendezvous>.<node><suffix>``; one that is too long ends in a hash of its whole instead."""
    name = f"{rendezvous}.{node}{suffix}"
    if len(name) <= MAX_NAME_LENGTH:
        return name
    digest = fingerprint(name, 16)
    return f"{name[: MAX_NAME_LENGTH - len(digest) - 1].rstrip('.-')}-{digest}"


def distinct_subdomain(text: str) -> str:
    """The text as a DNS subdomain: lower case, what is not allowed in one replaced by '-'.

    A text that is none gets a hash of itself at its end, so ``Node_1`` and ``node-1`` have two names.
    """
    labels = (re.sub(r"[^a-z0-9-]", "-", label).strip("-") for label in text.lower().split("."))
    legal = ".".join(label for label in labels if label) or "node"
    if legal == text:
        return legal
    return f"{legal}-{fingerprint(text, 8)}"


def pod_index(pod_name: str, environment: Mapping[str, str]) -> int | None:
    """The pod's place in its group: the index of an indexed Job, else the ordinal that its name ends with."""
    index = environment.get("JOB_COMPLETION_INDEX", "")
    if not index.isdecimal():
        match = re.search(r"-(\d{1,9})$", pod_name)
        index = match[1] if match else ""
    return int(index) if index else None


def _lowest_free_slot(owner: str) -> tuple[int, socket.socket]:
    # An abstract socket goes with its process, however that ends; and the containers of a pod share them. So a
    # restarted agent gets the name of its predecessor at once, and a second agent in the pod gets another one.
    number = 0
    while True:
        slot = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        digest = hashlib.sha256(f"{owner}/{number}".encode()).hexdigest()
        try:
            slot.bind(f"\0{names.GROUP}/{digest}")
        except OSError as error:
            slot.close()
            if error.errno != errno.EADDRINUSE:
                raise
            number += 1
        else:
            return number, slot


def local_address(api_server_url: str, in_pod: bool) -> str:
    """The address of this node from which it reaches the API server; sends nothing.

    Raises:
        OSError: there is no route to it, or its name cannot be resolved.
        ValueError: inside a pod, the only address that can be found is that of the API server.
    """
    url = urlsplit(api_server_url)
    host, port = url.hostname or "localhost", url.port or (80 if url.scheme == "http" else 443)
    problem: OSError | None = None
    for family, _, _, _, server in socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM):
        try:
            own = _source(family, server)
        except OSError as error:  # a name may have addresses of a family that this machine does not use
            problem = problem or error
            continue
        if not in_pod or own != server[0] or is_loopback(own):
            return own
        # In a pod that is the address of a Service. kube-proxy in IPVS mode gives those of all Services to each
        # machine, and a pod in the machine's network has them, too (the device kube-ipvs0). Where kube-proxy works
        # otherwise, the route to a Service is the default route.
        try:
            return _source(family, (_ELSEWHERE[family], port))
        except OSError:
            raise ValueError(
                f"{own} is the address of the API server, at which no other pod reaches this one, and there is no "
                f"default route that could tell another one: {_SET_LOCAL_ADDR}"
            ) from None
    assert problem is not None  # there is at least one address
    raise problem


def _source(family: int, destination: Any) -> str:
    """The address of this machine from which a packet would be sent."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(destination)
        return str(probe.getsockname()[0])


def node_address(local_addr: str | None, api_server_url: str, in_pod: bool) -> str:
    """The address at which the other nodes reach this one.

    Args:
        local_addr: what the user has given (``--local-addr``); None: the local address of the route to the API server.
        api_server_url: of the API server.
        in_pod: this process runs in a pod.

    Raises:
        OSError: it cannot be found out: a name cannot be resolved, or there is no route.
        ValueError: inside a pod, it is one that only this pod can reach, or one that each machine has.
    """
    address = local_addr or local_address(api_server_url, in_pod)
    if in_pod and is_loopback(address):
        raise ValueError(f"{address} is a loopback address, at which no other pod reaches this one: {_SET_LOCAL_ADDR}")
    return address


def bindable_address(address: str) -> tuple[socket.AddressFamily, Any]:
    """Address family and socket address (port 0) of a host name or IP address.

    Raises:
        OSError: the name cannot be resolved.
    """
    family, _, _, _, sockaddr = socket.getaddrinfo(address, 0, type=socket.SOCK_STREAM)[0]
    return family, sockaddr


def is_loopback(address: str) -> bool:
    """Whether a host name or IP address stands for this machine alone.

    Raises:
        OSError: the name cannot be resolved.
    """
    _, sockaddr = bindable_address(address)
    return ipaddress.ip_address(str(sockaddr[0]).partition("%")[0]).is_loopback
