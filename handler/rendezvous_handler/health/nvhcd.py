"""What the node health check daemon of NVIDIA's resiliency extension (NVRx) says: ``nvhcd.HealthCheckService``.

The messages are made here, so that only the package grpcio is needed, and no generated code.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterator
from typing import Any

_METHOD = "/nvhcd.HealthCheckService/RunHealthCheck"
_ARGUMENT = b"--no-slurm"
_SCHEME = "unix://"
_LENGTH_DELIMITED, _VARINT = 2, 0


def problem(endpoint: str, seconds: float) -> str | None:
    """What the daemon has found; None: nothing, or there is none.

    Args:
        endpoint: ``unix://PATH``, or a path.
        seconds: it may take.

    Raises:
        ValueError: the endpoint is no Unix socket.
    """
    path = endpoint.removeprefix(_SCHEME)
    if not path.startswith(("/", "./")):
        raise ValueError(f"{endpoint!r} must be {_SCHEME}PATH")
    if not os.path.exists(path):
        print(f"there is no {path}, so no node health check daemon is asked")
        return None
    try:
        grpc: Any = importlib.import_module("grpc")
    except ImportError as error:
        return f"there is a daemon at {path}, and the package grpcio, which is needed to ask it, is missing: {error}"
    try:
        with grpc.insecure_channel(_SCHEME + os.path.abspath(path)) as channel:
            answer = channel.unary_unary(_METHOD)(_field(1, _ARGUMENT), timeout=seconds)
    except grpc.RpcError as error:
        print(f"the node health check daemon at {path} does not answer, so it says nothing: {error}")
        return None
    return found_in(answer)


def found_in(answer: bytes) -> str | None:
    """The outcome in a ``HealthCheckResponse``; whatever is not clearly healthy is not."""
    fields = dict(_fields(answer))
    output, error = (fields.get(number, b"") for number in (3, 4))
    text = output.decode(errors="replace") if isinstance(output, bytes) else ""
    if not fields.get(1):
        why = error.decode(errors="replace") if isinstance(error, bytes) else ""
        return f"the daemon's script has failed (exit code {_signed(fields.get(2, 0))}): {why or text}"
    try:
        said = json.loads(text)
        count, failed = said["fail_count"], said.get("failed_checks", [])
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"the daemon's answer has no fail_count: {text}"
    return None if count == 0 else f"{count} checks of the daemon have failed: {failed}"


def _signed(number: int | bytes) -> int:
    if isinstance(number, bytes):
        return 0
    return number - (1 << 64) if number >> 63 else number


def _field(number: int, value: bytes) -> bytes:
    """A field of a message of protobuf that is shorter than 128 bytes."""
    return bytes([number << 3 | _LENGTH_DELIMITED, len(value)]) + value


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message of protobuf, of the two types that this one has."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        value, place = _varint(message, place)
        if key & 7 == _LENGTH_DELIMITED:
            place, length = place + value, value
            yield key >> 3, message[place - length : place]
        elif key & 7 == _VARINT:
            yield key >> 3, value
        else:
            return


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(message):
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            break
    return value, place
