"""What the user has set: ``--rdzv-endpoint``, ``--rdzv-id``, ``--nnodes`` and ``--rdzv-conf``, checked."""

from __future__ import annotations

import logging
import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rendezvous_api import names
from rendezvous_api.codec import json_name
from rendezvous_api.rendezvous_spec import Heartbeat, RendezvousSpec, Timeouts
from rendezvous_api.text import fingerprint
from rendezvous_handler.health import names as checks

if TYPE_CHECKING:
    from torch.distributed.elastic.rendezvous import RendezvousParameters

CREATE = "RDZV_CREATE"
"""The environment variable for the key ``create``: other than PET_RDZV_CONF, a --rdzv-conf does not replace it."""

NAME = "RDZV_RENDEZVOUS"
"""The environment variable for the key ``rendezvous``, for launchers that write the endpoint themselves."""

HEALTH_CHECK = "RDZV_HEALTH_CHECK"
"""The environment variable for the key ``health_check``."""

RESTARTS_MAX = "RDZV_RESTARTS_MAX"
"""The environment variable for ``restarts.max`` of a Rendezvous that this agent creates; torchrun has none for it."""

_logger = logging.getLogger(__name__)

_TORCHRUN_NODES = (1, 1)
"""``--nnodes`` when it is not given."""

_HEALTH_CHECK_SECONDS = 60
_DIGITS_OF_A_UUID = 39
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
_WITH_PORT = re.compile(r"(.*):(\d{1,5})", re.DOTALL)
_LONGEST_RUN_ID = 253
_NOT_IN_A_RUN_ID = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What the schema refuses, and what is no text (bytes of a command line that are no UTF-8)."""

_DEFAULTS = {
    "join_timeout": Timeouts().join_seconds,
    "last_call_timeout": Timeouts().last_call_seconds,
    "close_timeout": 30,
    "heartbeat_timeout": 5,
    "keep_alive_interval": Heartbeat().interval_seconds,
    "keep_alive_max_attempt": Heartbeat().max_missed,
    "read_timeout": 60,
}
"""The keys and, a test compares them, the values of torch's c10d back end
(torch/distributed/elastic/rendezvous/dynamic_rendezvous.py, ``create_handler``, and c10d_rendezvous_backend.py)."""


@dataclass(frozen=True)
class Flags:
    """How the user spells the settings, for messages: by torchrun's flags, unless another program has its own."""

    endpoint: str = "--rdzv-endpoint"
    run_id: str = "--rdzv-id"
    nodes: str = "--nnodes"
    without_create: str = "create=false in --rdzv-conf forbids to create it"
    """Why no Rendezvous is created."""
    of_key: Mapping[str, str] = field(default_factory=dict)
    """The flags for keys of ``--rdzv-conf``, where there are some."""

    def given(self, key: str, value: Any) -> str:
        """A setting with its value."""
        return f"{self.of_key[key]} {value}" if key in self.of_key else f"--rdzv-conf {key}={value}"

    def respell(self, text: str) -> str:
        """A text that speaks of torchrun's flags, such as the operator's advice, with these flags."""
        return text.replace(TORCHRUN_FLAGS.run_id, self.run_id).replace(TORCHRUN_FLAGS.endpoint, self.endpoint)


TORCHRUN_FLAGS = Flags()


@dataclass(frozen=True)
class Settings:
    """All settings of one handler. Times are whole seconds."""

    backend: str
    namespace: str | None
    """Namespace of the Rendezvous; None: that of the agent."""
    name: str
    """Name of the Rendezvous."""
    raw_run_id: str
    """``--rdzv-id`` as it was given, for `RendezvousHandler.get_run_id`."""
    min_nodes: int
    max_nodes: int
    local_addr: str | None
    join_timeout: int
    last_call_timeout: int
    close_timeout: int
    heartbeat_timeout: int
    keep_alive_interval: int
    keep_alive_max_attempt: int
    read_timeout: int
    node_id: str | None
    store_ports: range
    """Ports that the store may use; ``range(0, 1)``: any."""
    create: bool
    """Whether to create the Rendezvous when there is none."""
    restarts_max: int | None
    """Its restart budget then; None: no limit."""
    health_checks: tuple[str, ...]
    """The names of the checks that run before each join, in their order."""
    health_check_timeout: int
    """The deadline of all of them together."""
    health_retry_timeout: int | None
    """For how long they are run again after a failure; 0: the agent ends at once; None: for the join timeout."""
    given: frozenset[str]
    """The keys of ``--rdzv-conf`` that were given."""
    flags: Flags

    @property
    def run_id(self) -> str | None:
        """The run to join, as the schema allows it; None when ``--rdzv-id`` was not given."""
        given = given_run_id(self.raw_run_id)
        return None if given is None else legal_run_id(given)

    @property
    def nodes_to_create(self) -> tuple[int, int] | None:
        """For how many nodes, at least and at most, a Rendezvous would be created; None: the user has not said that."""
        nodes = (self.min_nodes, self.max_nodes)
        return nodes if self.create and nodes != _TORCHRUN_NODES else None


_IN_THE_SPEC = {
    "join_timeout": ("timeouts", "join_seconds"),
    "last_call_timeout": ("timeouts", "last_call_seconds"),
    "keep_alive_interval": ("heartbeat", "interval_seconds"),
    "keep_alive_max_attempt": ("heartbeat", "max_missed"),
}
"""The keys that stand for fields of a `RendezvousSpec`, each with its group and its field."""


def given_run_id(run_id: str) -> str | None:
    """The run id that the user has given, or None.

    Without one torchrun passes ``none`` (torch/distributed/run.py). torch replaces an empty one, which a LaunchConfig
    has by default, by ``str(uuid.uuid4().int)`` (torch/distributed/launcher/api.py, ``launch_agent``), another one on
    each node.
    """
    return None if run_id in ("", names.UNNAMED_RUN) or _is_random(run_id) else run_id


def legal_run_id(run_id: str) -> str:
    """The run id if a Rendezvous can have it; else a part of it, and a hash of its whole.

    A run id is any text for torch: a list of hyperparameters, the title of an experiment.
    """
    if len(run_id) <= _LONGEST_RUN_ID and not _NOT_IN_A_RUN_ID.search(run_id):
        return run_id
    digest = fingerprint(run_id, 16)
    return f"{_NOT_IN_A_RUN_ID.sub('-', run_id)[: _LONGEST_RUN_ID - len(digest) - 1]}-{digest}"


def _is_random(run_id: str) -> bool:
    if not (run_id.isascii() and run_id.isdecimal()) or len(run_id) > _DIGITS_OF_A_UUID or int(run_id) >> 128:
        return False
    return uuid.UUID(int=int(run_id)).version == 4  # None unless the variant is that of RFC 4122, too


def read_settings(
    params: RendezvousParameters, flags: Flags = TORCHRUN_FLAGS, environment: Mapping[str, str] = os.environ
) -> Settings:
    """Check what torchrun passes on. As c10d does, ignore unknown keys and ``timeout``, which torchrun adds itself.

    Args:
        params: what torchrun passes on, or what has the same attributes.
        flags: how the user has spelled them.
        environment: `CREATE` in it counts where ``create`` is not given, `HEALTH_CHECK` where ``health_check`` is not,
            `NAME` where neither ``rendezvous`` is given nor the endpoint is a name without a port, and `RESTARTS_MAX`
            always.

    Raises:
        ValueError: a value is wrong; the message names its flag or key.
    """
    config = params.config
    namespace, name = _find_name(params.endpoint, params.run_id, config.get("rendezvous"), environment.get(NAME), flags)
    numbers = {key: _positive_integer(key, config.get(key, default), flags) for key, default in _DEFAULTS.items()}
    node_id = config.get("node_id")
    create = config.get("create")
    if create is None and environment.get(CREATE):
        create = environment[CREATE]
        of_key = {**flags.of_key, "create": CREATE}
        flags = replace(flags, without_create=f"{CREATE}={create} forbids to create it", of_key=of_key)
    return Settings(
        backend=params.backend,
        namespace=namespace,
        name=name,
        raw_run_id=params.run_id,
        min_nodes=params.min_nodes,
        max_nodes=params.max_nodes,
        local_addr=params.local_addr,
        node_id=None if node_id is None else str(node_id),
        store_ports=_parse_ports(config.get("store_port"), flags),
        create=create is None or _parse_bool("create", create, flags),
        restarts_max=_parse_restarts(environment.get(RESTARTS_MAX)),
        health_checks=_parse_checks(config.get("health_check"), environment.get(HEALTH_CHECK), flags),
        health_check_timeout=_positive_integer(
            "health_check_timeout", config.get("health_check_timeout", _HEALTH_CHECK_SECONDS), flags
        ),
        health_retry_timeout=_parse_seconds("health_retry_timeout", config.get("health_retry_timeout"), flags),
        given=frozenset(config),
        flags=flags,
        **numbers,
    )


def requested_spec(settings: Settings) -> Mapping[str, Any]:
    """The spec of a Rendezvous that an agent creates: what the user has given. The rest is left to the schema."""
    timeouts = Timeouts(settings.join_timeout, settings.last_call_timeout)
    heartbeat = Heartbeat(settings.keep_alive_interval, settings.keep_alive_max_attempt)
    spec = RendezvousSpec(settings.min_nodes, settings.max_nodes, timeouts=timeouts, heartbeat=heartbeat)
    groups: dict[str, dict[str, int]] = {"timeouts": {}, "heartbeat": {}}
    for key, (group, name) in _IN_THE_SPEC.items():
        if key in settings.given:
            groups[group][json_name(name)] = getattr(settings, key)
    if spec.suspect_seconds != spec.timeouts.suspect_seconds:
        # The schema refuses less than the silence that makes a suspect, and a large group may need more, too.
        groups["timeouts"]["suspectSeconds"] = spec.suspect_seconds
    if settings.restarts_max is not None:
        groups["restarts"] = {"max": settings.restarts_max}
    given = {group: fields for group, fields in groups.items() if fields}
    return {"minNodes": settings.min_nodes, "maxNodes": settings.max_nodes, **given}


def differences(settings: Settings, spec: RendezvousSpec) -> list[str]:
    """Where the user's settings and the Rendezvous disagree; the latter wins. One text for each, with both values."""
    found = []
    asked, actual = (settings.min_nodes, settings.max_nodes), (spec.min_nodes, spec.max_nodes)
    if asked not in (actual, _TORCHRUN_NODES):
        found.append(f"{settings.flags.nodes}={asked[0]}:{asked[1]}, Rendezvous {actual[0]}:{actual[1]}")
    for key, (group, name) in _IN_THE_SPEC.items():
        actual_value = getattr(getattr(spec, group), name)
        if key in settings.given and getattr(settings, key) != actual_value:
            found.append(f"{key}={getattr(settings, key)}, Rendezvous {actual_value}")
    return found


def _find_name(endpoint: str, run_id: str, key: Any, variable: str | None, flags: Flags) -> tuple[str | None, str]:
    """Namespace and name of the Rendezvous: by the key, the endpoint, the variable, the endpoint's host, the run id.

    Launchers other than torchrun write ``HOST:PORT`` as the endpoint, for torch's c10d. So a variable wins over an
    endpoint with a port, and not over a name, which somebody has meant.
    """
    if key is not None:
        return _parse_name(str(key), "--rdzv-conf rendezvous", str(key))
    host, port = _without_port(endpoint)
    if variable and (port is not None or not endpoint):
        found = _parse_name(variable, NAME, variable)
        if endpoint:
            _logger.info("%s=%s names the Rendezvous; the endpoint %r is not used", NAME, variable, endpoint)
        return found
    if not endpoint:
        name_of_run = given_run_id(run_id)
        if name_of_run is not None and _DNS_LABEL.fullmatch(name_of_run):
            return None, name_of_run
        raise ValueError(
            f"{flags.endpoint} is empty, and {flags.run_id} cannot stand in for it: "
            f"{run_id!r} is no name of a Rendezvous. Set {flags.endpoint} to NAME or NAMESPACE/NAME"
        )
    found = _parse_name(host, flags.endpoint, endpoint)
    if port is not None:
        _logger.info("the Rendezvous is %s; the port %s of %s is not used", host, port, flags.endpoint)
    return found


def _without_port(endpoint: str) -> tuple[str, str | None]:
    match = _WITH_PORT.fullmatch(endpoint)
    # An IPv6 address without brackets has more colons, and no port.
    if match is None or (":" in match[1] and not match[1].endswith("]")):
        return endpoint, None
    return match[1], match[2]


def _parse_name(given: str, flag: str, value: str) -> tuple[str | None, str]:
    namespace, slash, name = given.rpartition("/")
    parts = [namespace, name] if slash else [name]
    if given != "localhost" and all(_DNS_LABEL.fullmatch(part) for part in parts):
        return namespace or None, name
    message = (
        f"{flag} {value!r} is no legal name: it must be NAME or NAMESPACE/NAME of a Rendezvous, each "
        "at most 63 characters of a-z, 0-9 and '-', beginning and ending with a letter or digit"
    )
    if _is_host(given):
        message += (
            f". It is the address of a host: if your launcher writes that, name the Rendezvous by "
            f"--rdzv-conf=rendezvous=NAME or by the environment variable {NAME}=NAME"
        )
    raise ValueError(message)


def _is_host(given: str) -> bool:
    """Whether it can only be an IP address, a DNS name with dots, or what launchers write without one."""
    return "/" not in given and ("." in given or ":" in given or given == "localhost")


def _positive_integer(key: str, value: Any, flags: Flags) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = 0
    if number <= 0:
        raise ValueError(f"{flags.given(key, value)}: must be a positive integer")
    return number


def _parse_restarts(variable: str | None) -> int | None:
    if not variable:
        return None
    if not (variable.isascii() and variable.isdecimal()):
        raise ValueError(f"{RESTARTS_MAX} {variable!r}: must be a number, 0 or more")
    return int(variable)


def _parse_checks(value: Any, variable: str | None, flags: Flags) -> tuple[str, ...]:
    """By the key, else by the variable."""
    given = flags.given("health_check", value) if value is not None else f"{HEALTH_CHECK}={variable}"
    try:
        return checks.parse(str(value if value is not None else variable or ""))
    except ValueError as error:
        raise ValueError(f"{given}: {error}") from None


def _parse_seconds(key: str, value: Any, flags: Flags) -> int | None:
    if value is None:
        return None
    text = str(value)
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"{flags.given(key, value)}: must be a number of seconds, 0 or more")
    return int(text)


def _parse_ports(value: Any, flags: Flags) -> range:
    if value is None:
        return range(0, 1)
    match = _PORTS.fullmatch(str(value))
    if match:
        first = int(match[1])
        last = int(match[2] or first)
        if 0 < first <= last < 65536:
            return range(first, last + 1)
    given = flags.given("store_port", value)
    raise ValueError(f"{given}: must be a port from 1 to 65535, or a range of ports FIRST-LAST")


def _parse_bool(key: str, value: Any, flags: Flags) -> bool:
    # The spellings of torch's RendezvousParameters.get_as_bool, whose own message does not show the value.
    spelled = str(value).lower()
    if spelled in ("1", "true", "t", "yes", "y"):
        return True
    if spelled in ("0", "false", "f", "no", "n"):
        return False
    raise ValueError(f"{flags.given(key, value)}: must be true or false")
