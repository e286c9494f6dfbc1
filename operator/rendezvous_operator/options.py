"""The settings of the operator: flags, then environment variables, then defaults."""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rendezvous_api.access import namespace_of_pod
from rendezvous_operator.kube.lease import Timing
from rendezvous_operator.version import operator_version

PROGRAM: Final = "kube-rendezvous-operator"
POD_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
"""Where Kubernetes writes the namespace of a pod."""

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_DNS_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


@dataclass(frozen=True)
class Options:
    """The settings of one operator process."""

    namespace: str | None
    train_jobs: bool
    machines: bool
    log_format: str
    verbose: bool
    leader_elect: bool
    leader_elect_lease_name: str
    leader_elect_lease_namespace: str | None
    """Set if ``leader_elect`` is."""
    leader_elect_lease_duration_seconds: int
    leader_elect_renew_deadline_seconds: int
    leader_elect_retry_period_seconds: int
    http_address: str
    http_port: int
    record: Path | None
    record_megabytes: int

    @property
    def timing(self) -> Timing:
        """The times of the leader election."""
        return Timing(
            self.leader_elect_lease_duration_seconds,
            self.leader_elect_renew_deadline_seconds,
            self.leader_elect_retry_period_seconds,
        )


def _matching(pattern: re.Pattern[str], what: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not pattern.fullmatch(text):
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
        return text

    return parse


def _whole_number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,9}", text) or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return parse


def _yes_or_no(text: str) -> bool:
    meanings = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in meanings:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return meanings[text.lower()]


def _log_format(text: str) -> str:
    if text not in ("text", "json"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither text nor json")
    return text


@dataclass(frozen=True)
class Option:
    """One setting, as a flag and as an environment variable."""

    flag: str
    metavar: str
    """Of the value; empty: the flag may be given without a value, for true."""
    parse: Callable[[str], Any]
    default: Any
    meaning: str

    @property
    def variable(self) -> str:
        """The environment variable for the same setting."""
        return "KUBE_RENDEZVOUS_" + self.field.upper()

    @property
    def default_shown(self) -> str:
        """The default for people; empty if there is none, or it is false."""
        return "" if self.default is None or self.default is False else str(self.default)

    @property
    def field(self) -> str:
        """The field of `Options`."""
        return self.flag.removeprefix("--").replace("-", "_")


_DAY = 24 * 60 * 60
OPTIONS: Final = (
    Option("--namespace", "NAME", _matching(_DNS_LABEL, "the name of a namespace"), None, "Serve only this namespace"),
    Option(
        "--train-jobs",
        "",
        _yes_or_no,
        False,
        "Name runs of a JobSet that a TrainJob owns by the TrainJob; needs `get` on JobSets",
    ),
    Option(
        "--machines",
        "",
        _yes_or_no,
        False,
        "Read machines. A silent member is then lost sooner, after `timeouts.confirmSeconds`, if its machine is "
        "NotReady, unreachable, out of service or gone. Nodes on machines that are cordoned or have other marks "
        "(`spec.nodes.exclude`) are kept out of rounds, and `spec.ranks` goes by the labels of machines; "
        "needs `get` and `list` on machines (Nodes of Kubernetes)",
    ),
    Option("--log-format", "FORMAT", _log_format, "text", "`text`, for people, or `json`, for programs"),
    Option("--verbose", "", _yes_or_no, False, "Log each object that is seen, too"),
    Option(
        "--leader-elect",
        "",
        _yes_or_no,
        False,
        "Decide only while holding a Lease, so that other replicas can stand by",
    ),
    Option(
        "--leader-elect-lease-name",
        "NAME",
        _matching(_DNS_NAME, "a name that an object may have"),
        PROGRAM,
        "The name of the Lease",
    ),
    Option(
        "--leader-elect-lease-namespace",
        "NAME",
        _matching(_DNS_LABEL, "the name of a namespace"),
        None,
        "The namespace of the Lease; that of the pod unless this is set",
    ),
    Option(
        "--leader-elect-lease-duration-seconds",
        "N",
        _whole_number(2, _DAY),
        Timing.lease_duration,
        "Another replica may take the Lease when it has not been renewed for this long",
    ),
    Option(
        "--leader-elect-renew-deadline-seconds",
        "N",
        _whole_number(1, _DAY),
        Timing.renew_deadline,
        "The leader stops deciding when it could not renew the Lease for this long; less than the duration",
    ),
    Option(
        "--leader-elect-retry-period-seconds",
        "N",
        _whole_number(1, _DAY),
        Timing.retry_period,
        "Time between two attempts to take or renew the Lease; less than half of the deadline",
    ),
    Option(
        "--http-address",
        "ADDRESS",
        str,
        "127.0.0.1",
        "Where `/livez`, `/readyz` and `/metrics` are served; `0.0.0.0` or `::` in a pod",
    ),
    Option("--http-port", "PORT", _whole_number(0, 65535), 0, "The port for them; 0: they are not served"),
    Option("--record", "DIR", Path, None, "Keep each decision with its input there, for `kubectl rdzv replay`"),
    Option(
        "--record-megabytes",
        "N",
        _whole_number(1, 1024 * 1024),
        64,
        "How large these files become together; the oldest ones are deleted",
    ),
)


def parse(arguments: Sequence[str], environment: Mapping[str, str], pod_namespace: Path = POD_NAMESPACE) -> Options:
    """Read the settings. A flag overrides its variable; an empty variable counts as not set.

    Ends the process with 2 and a message that names the flag or the variable, and the value, if one is invalid; with 0
    after ``--help`` and ``--version``.
    """
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    found = {}
    for option in OPTIONS:
        value = given[option.field]
        text = environment.get(option.variable)
        if value is None and text:
            try:
                value = option.parse(text)
            except argparse.ArgumentTypeError as error:
                parser.error(f"environment variable {option.variable}: {error}")
        found[option.field] = option.default if value is None else value
    if found["leader_elect"] and found["leader_elect_lease_namespace"] is None:
        found["leader_elect_lease_namespace"] = _namespace_of_pod(pod_namespace)
        if found["leader_elect_lease_namespace"] is None:
            parser.error("--leader-elect-lease-namespace must be given outside a pod")
    options = Options(**found)
    timing = options.timing
    if not timing.lease_duration > timing.renew_deadline > 2 * timing.retry_period:
        parser.error(
            f"--leader-elect-lease-duration-seconds ({timing.lease_duration}) must be more than "
            f"--leader-elect-renew-deadline-seconds ({timing.renew_deadline}), and that more than "
            f"twice --leader-elect-retry-period-seconds ({timing.retry_period})"
        )
    return options


def _namespace_of_pod(file: Path) -> str | None:
    try:
        return namespace_of_pod(file)
    except OSError:
        return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="The operator of kube-rendezvous: it decides which nodes form each round of a Rendezvous.",
        epilog="Each option can also be given as an environment variable: --http-port as KUBE_RENDEZVOUS_HTTP_PORT.",
        allow_abbrev=False,
    )
    for option in OPTIONS:
        shown = f" (default: {option.default_shown})" if option.default_shown else ""
        alone: dict[str, Any] = {} if option.metavar else {"nargs": "?", "const": True}
        parser.add_argument(
            option.flag,
            metavar=option.metavar or "true|false",
            type=option.parse,
            help=option.meaning.replace("`", "") + shown,
            **alone,
        )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {operator_version()}")
    return parser
