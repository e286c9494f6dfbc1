"""The command line of ``kubectl rdzv``."""

import argparse
import re
from collections.abc import Sequence
from datetime import datetime

from kube_rendezvous_cli import times
from kube_rendezvous_cli.injection import PARTS
from kube_rendezvous_cli.version import SITE, VERSION
from rendezvous_api.meta import parse_time

PROGRAM = "kubectl rdzv"

DESCRIPTION = """\
See groups of torchrun agents that train together (Rendezvous objects), ask why one waits, and act on it.
All requests are made by kubectl, with your kubeconfig and your rights."""

EPILOG = f"""\
examples:
  kubectl rdzv get -A                 all groups of the cluster
  kubectl rdzv get train --watch      one group: each node with rank, pod, machine, heartbeat; redrawn on changes
  kubectl rdzv why train              why it does not start, or has ended, and what to do
  kubectl rdzv history train          which node failed, when, and how much time that has cost
  kubectl rdzv logs train --rank 0    what a member prints
  kubectl rdzv whatif train --drain machine=node-b    what happens if that machine is drained; nothing is changed
  kubectl rdzv wait train --for=complete && ./publish
  kubectl rdzv evict train.train-3    move one node away; it says what happens to the others, and asks

exit codes:
  0  it is done
  1  it failed: kubectl's message is shown
  2  the command line is wrong
  3  wait: the run has ended in another way; doctor: there is a problem; replay: a decision differs
  4  wait: the time has passed
  5  you have answered no

More: {SITE}docs/kubectl-rdzv.md"""

_OF_KUBECTL = (
    "kubeconfig", "context", "cluster", "user", "server", "token", "as", "as-group", "as-uid", "certificate-authority",
    "client-certificate", "client-key", "tls-server-name", "request-timeout", "cache-dir",
)  # fmt: skip
_SWITCHES_OF_KUBECTL = ("insecure-skip-tls-verify", "disable-compression")
DESTINATIONS_OF_KUBECTL = tuple(f"kubectl_{name}" for name in (*_OF_KUBECTL, *_SWITCHES_OF_KUBECTL))
FILES_OF_KUBECTL = ("kubeconfig", "certificate-authority", "client-certificate", "client-key", "cache-dir")
"""Those of them whose values are files or folders."""

_INJECT = """\
For clusters before Kubernetes 1.36, where no label may change a pod, and for manifests that are reviewed before that:

  kubectl rdzv inject -f job.yaml | kubectl apply -f -

Pods with the label rdzv.dev/rendezvous are changed, all else passes through. What a user has set stays as it is."""

_WHATIF = """\
It reads the objects, changes nothing, and plays the operator's decisions from now on until nothing more changes.
--lose, --drain and --spec may be given several times; without an option it shows what comes by itself. What it does
not know is said below its answer.

  kubectl rdzv whatif train --drain machine=node-b
  kubectl rdzv whatif train --lose rank=0 --replacement-after 20s
  kubectl rdzv whatif train --spec maxNodes=6"""


def parser() -> argparse.ArgumentParser:
    """All commands with their options."""
    formatter = argparse.RawDescriptionHelpFormatter
    main = argparse.ArgumentParser(prog=PROGRAM, description=DESCRIPTION, epilog=EPILOG, formatter_class=formatter)
    main.add_argument("--version", action="version", version=VERSION)
    commands = main.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, summary: str, more: str = "") -> argparse.ArgumentParser:
        text = summary[0].upper() + summary[1:]
        command = commands.add_parser(
            name, help=summary, description=f"{text}.\n\n{more}" if more else f"{text}.", formatter_class=formatter,
            allow_abbrev=False,
        )  # fmt: skip
        _add_common(command)
        return command

    get = add(
        "get",
        "show all groups, or one with all its nodes",
        "RANK of a node is its rank, or - for a spare, + for a node that waits for a round, x for one that may "
        "not take\n"
        "part, ? for one that is missing. HEARTBEAT is the age of its last heartbeat.",
    )
    get.add_argument("name", metavar="NAME", nargs="?", help="of the Rendezvous; all without it")
    get.add_argument("-A", "--all-namespaces", action="store_true", help="groups of all namespaces")
    get.add_argument("-w", "--watch", action="store_true", help="follow; shown again only when something has changed")
    _add_output(get, ("json", "yaml", "wide"))

    _name(add("why", "say in words what a group does or waits for, since when, and what can be done"))

    history = add(
        "history",
        "show the last rounds, why each ended, and the time that was lost",
        "TRAINED counts from the moment when all members had reported the round. LOST is the time from its end to the\n"
        "moment when the next round trains. The object keeps the last 10 rounds.",
    )
    _name(history)
    history.add_argument("--plot", metavar="FILE.svg", help="draw them, too; - is standard output")
    _add_output(history, ("json", "yaml"))

    changing = {
        "restart": "start a new round of the same nodes, from the last checkpoint",
        "suspend": "end the running round and start no other; the pods stay",
        "resume": "let a suspended group continue",
        "close": "let no node join any more",
        "reopen": "let nodes join again after close",
        "retry": "let all nodes that are held out take part again at once, and have failed health checks run again",
    }
    for name, summary in changing.items():
        command = add(name, summary)
        _name(command)
        _add_yes(command)
    evict = add(
        "evict",
        "evict the pod of one node by the eviction API, as a drain does",
        "PodDisruptionBudgets hold. The owner of the pod makes a new one.",
    )
    evict.add_argument("participant", metavar="PARTICIPANT", help="name of the RendezvousParticipant, or of its pod")
    _add_yes(evict)

    wait = add(
        "wait",
        "wait until a group runs, or its run has ended",
        "It ends with 0 when that is so, with 3 when the run has ended in another way, and with 4 when the time "
        "has passed.",
    )
    _name(wait)
    wait.add_argument(
        "--for", dest="goal", choices=("running", "complete", "failed", "suspended"), default="complete",
        help="what is waited for (default: complete)",
    )  # fmt: skip
    wait.add_argument("--timeout", type=_seconds, metavar="TIME", help="such as 90s, 10m or 2h; no limit without it")

    logs = add(
        "logs",
        "show the logs of the members, with their ranks",
        "With --round it shows what the present members have printed in the time of that round.",
    )
    _name(logs)
    logs.add_argument("--rank", type=int, metavar="N", help="of one member only")
    logs.add_argument("--round", type=int, metavar="N", help="only what was printed while that round ran")
    logs.add_argument("--tail", type=int, metavar="N", help="only the last lines of each")
    logs.add_argument("-f", "--follow", action="store_true", help="show new lines as they come")
    logs.add_argument("-p", "--previous", action="store_true", help="of the container that ran before")
    dashboard = add(
        "dashboard",
        "open a page on this machine that shows the groups as they are now",
        "The page is read-only, and answers nothing without the token in its address. It shows what you may read by\n"
        "your kubeconfig. Ctrl-C ends it.",
    )
    dashboard.add_argument("-A", "--all-namespaces", action="store_true", help="groups of all namespaces")
    dashboard.add_argument(
        "--port", type=_port, default=0, metavar="N", help="of 127.0.0.1 (default: any that is free)"
    )
    dashboard.add_argument("--no-open", dest="open", action="store_false", help="only print the address")
    doctor = add(
        "doctor",
        "look for what keeps agents from joining: in the cluster, and in one namespace",
        "It looks at the CRDs, the operator and its Lease, versions, policies, the rights of an account, "
        "labels, container\n"
        "runtimes, reverse DNS, NetworkPolicies and quotas, and changes nothing. It ends with 3 if there is a problem.",
    )
    doctor.add_argument("--account", metavar="NAME", help="of the training pods; without it, that of the labelled pods")
    _add_output(doctor, ("json",))
    simulate = add(
        "simulate",
        "play the operator's decisions on a virtual clock: what a group does in a scenario",
        "FILE says who joins and what happens when; it is a Scenario, see docs/kubectl-rdzv.md. "
        "No server is asked, nothing\n"
        "is waited for, and the same file always gives the same timeline. Times are from the beginning: 1:30 is 90 s.",
    )
    simulate.add_argument("file", metavar="FILE", help="the scenario; - is standard input")
    simulate.add_argument("--plot", metavar="FILE.svg", help="draw its rounds, too; - is standard output")
    _add_output(simulate, ("json", "yaml"))
    _whatif(add("whatif", "say what the operator would do with a live group if something happened to it", _WHATIF))
    _inject(
        add("inject", "add to the pods of manifests what their label asks for, as the chart's policy does", _INJECT)
    )
    replay = add(
        "replay",
        "decide again what an operator has recorded, and show what this program would decide otherwise",
        "An operator records with --record DIR. With --decision or --at, one decision is explained: what was seen of\n"
        "each node, which facts were true since when, and what each rule answered. It ends with 3 if one differs.",
    )
    replay.add_argument("folder", metavar="DIR", help="with the files of a recording, or a copy of them")
    replay.add_argument("--rendezvous", metavar="NAMESPACE/NAME", help="decisions about this one only")
    one = replay.add_mutually_exclusive_group()
    one.add_argument("--decision", type=int, metavar="N", help="explain this one; they are counted from 1")
    one.add_argument("--at", type=_moment, metavar="TIME", help="explain the last one up to then: 2030-01-01T12:05:31Z")
    _add_output(replay, ("json",))
    return main


def _whatif(command: argparse.ArgumentParser) -> None:
    _name(command)
    for name, what in (("lose", "is lost: a machine loses its power, all else is killed"), ("drain", "is drained")):
        command.add_argument(
            f"--{name}", action="append", default=[], metavar="KIND=NAME",
            help=f"it {what}; KIND is machine, participant, pod or rank",
        )  # fmt: skip
    command.add_argument(
        "--spec",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="edit the spec, such as timeouts.joinSeconds=60",
    )
    command.add_argument(
        "--replacement-after",
        type=_seconds,
        metavar="TIME",
        help="a new node joins for each one so much later, such as 20s",
    )
    _add_output(command, ("json", "yaml"))


def _inject(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-f", "--filename", action="append", required=True, metavar="FILE", help="manifests; - is standard input"
    )
    command.add_argument("-R", "--recursive", action="store_true", help="also folders within a folder")
    command.add_argument("--image", metavar="IMAGE", help="of the operator; that which runs in the cluster without it")
    command.add_argument(
        "--handler", choices=("initContainer", "imageVolume", "none"), default="initContainer",
        help="how a pod gets the handler (default: initContainer); for imageVolume give the handler's --image",
    )  # fmt: skip
    command.add_argument("--pull-policy", default="IfNotPresent", metavar="POLICY", help="of that image")
    command.add_argument(
        "--without", action="append", default=[], choices=PARTS, metavar="PART", help=f"leave out: {', '.join(PARTS)}"
    )
    command.add_argument(
        "--kube-version", type=_kube_version, metavar="1.N", help="of the cluster; it is asked without it"
    )
    for name, default, what in (
        ("max-restarts", 1000, "PET_MAX_RESTARTS, for each node"),
        ("restarts-max", 20, "RDZV_RESTARTS_MAX, for the group"),
        ("toleration-seconds", 30, "how long a pod stays on a machine that is not ready"),
        ("default-toleration-seconds", 300, "what the API server sets for that"),
    ):
        command.add_argument(f"--{name}", type=int, default=default, metavar="N", help=f"{what} (default: {default})")
    command.add_argument("-o", "--output", choices=("yaml", "json"), default="yaml", help="(default: yaml)")


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: it must be from 0 (any) to 65535")
    return int(text)


def _kube_version(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"v?(\d+)\.(\d+)(?:\..*)?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no version such as 1.34")
    return int(match[1]), int(match[2])


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of one call; ends the program with exit code 2 if they are wrong."""
    return parser().parse_args(arguments)


def of_kubectl(options: argparse.Namespace) -> list[str]:
    """The options that each call of kubectl gets."""
    found = []
    for name in _OF_KUBECTL:
        values = getattr(options, f"kubectl_{name}") or []
        found += [f"--{name}={value}" for value in values]
    found += [f"--{name}" for name in _SWITCHES_OF_KUBECTL if getattr(options, f"kubectl_{name}")]
    return found


def _add_common(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("which cluster, and as whom (as for kubectl)")
    group.add_argument("-n", "--namespace", metavar="NAMESPACE", help="that of the context without it")
    for name in _OF_KUBECTL:
        short = ["-s"] if name == "server" else []
        shown = None if name in ("kubeconfig", "context", "as") else argparse.SUPPRESS
        group.add_argument(*short, f"--{name}", dest=f"kubectl_{name}", action="append", metavar="VALUE", help=shown)
    for name in _SWITCHES_OF_KUBECTL:
        group.add_argument(f"--{name}", dest=f"kubectl_{name}", action="store_true", help=argparse.SUPPRESS)
    command.add_argument("--no-color", action="store_true", help="no colours; a terminal has them without it")


def _name(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", metavar="NAME", help="of the Rendezvous")


def _add_output(command: argparse.ArgumentParser, formats: Sequence[str]) -> None:
    command.add_argument("-o", "--output", choices=formats, help="for programs, or with more columns (wide)")


def _add_yes(command: argparse.ArgumentParser) -> None:
    command.add_argument("-y", "--yes", action="store_true", help="do not ask")


def _moment(text: str) -> datetime:
    found = parse_time(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2030-01-01T12:05:31Z")
    return found


def _seconds(text: str) -> float:
    found = times.seconds(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 90s, 10m or 2h")
    return found
