"""One member of a Rendezvous without torch: tests the rights, the operator and the network that a torchrun agent needs.

Each member joins as an agent does, with the same code and the same requests. It meets all others at the address that
rank 0 has advertised, sends a heartbeat, and leaves. Start as many as the Rendezvous has nodes. Take a Rendezvous of
its own, not that of a training.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from types import SimpleNamespace

from rendezvous_api import names
from rendezvous_api.api_errors import ApiError, NoConfigurationError
from rendezvous_handler.join.errors import JoinError
from rendezvous_handler.kube.errors import advise
from rendezvous_handler.kube.kubeconfig import connect
from rendezvous_handler.logs import show_messages
from rendezvous_handler.selftest.member import SelfTest, SelfTestError
from rendezvous_handler.settings import Flags, Settings, read_settings

_PROGRAM = "kube-rendezvous-selftest"

_FLAGS = Flags(
    endpoint="--rendezvous",
    run_id="--run-id",
    nodes="--nodes",
    without_create="--nodes, which creates one, was not given",
    of_key={"store_port": "--store-port"},
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``kube-rendezvous-selftest``; returns the exit code: 0 met, 1 not, 2 wrong usage."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        settings = _settings(options)
    except ValueError as error:
        parser.error(str(error))
    show_messages()
    try:
        met = SelfTest(settings, connect()).run()
    except ApiError as error:
        return _failed(advise(error))
    except (SelfTestError, JoinError, NoConfigurationError) as error:
        return _failed(str(error))
    except (OSError, ValueError) as error:
        return _failed(f"this member cannot take part: {error}")
    except KeyboardInterrupt:
        return _failed("interrupted")
    print(f"all {met.nodes} members of round {met.round} have met; this was rank {met.rank}", flush=True)
    return 0


def _failed(why: str) -> int:
    print(f"{_PROGRAM}: error: {_FLAGS.respell(why)}", file=sys.stderr, flush=True)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_PROGRAM, description=__doc__)
    parser.add_argument("--rendezvous", required=True, metavar="[NAMESPACE/]NAME", help="the Rendezvous to join")
    parser.add_argument("--timeout-seconds", type=_positive, default=120, metavar="N", help="default: %(default)s")
    parser.add_argument(
        "--nodes", type=_positive, metavar="N", help="create the Rendezvous, for exactly N members, if it is not there"
    )
    parser.add_argument("--run-id", default=names.UNNAMED_RUN, metavar="ID", help="as --rdzv-id of torchrun")
    parser.add_argument("--local-addr", metavar="ADDRESS", help="as of torchrun: where the others reach this member")
    parser.add_argument(
        "--store-port", metavar="PORT[-PORT]", help="as store_port of --rdzv-conf: where rank 0 may listen"
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text} must be at least 1")
    return number


def _settings(options: argparse.Namespace) -> Settings:
    """The settings of an agent that was started with the same in torchrun's flags.

    Raises:
        ValueError: a flag is wrong.
    """
    nodes = options.nodes or 1  # which is what torchrun passes when --nnodes is not given
    config = {
        "create": options.nodes is not None,
        "join_timeout": options.timeout_seconds,
        "store_port": options.store_port,
    }
    parameters = SimpleNamespace(
        backend="kubernetes",
        endpoint=options.rendezvous,
        run_id=options.run_id,
        min_nodes=nodes,
        max_nodes=nodes,
        local_addr=options.local_addr,
        config=config,
    )
    return read_settings(parameters, _FLAGS)


if __name__ == "__main__":
    sys.exit(main())
