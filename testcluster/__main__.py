"""`python -m testcluster up|down|status`: the test cluster of this machine."""

import argparse
import os
import shlex
import signal
import sys
import time

from rendezvous_controlplane import ControlPlaneError
from rendezvous_controlplane.progress_report import duration

from . import layout
from .cluster import Cluster, leftovers
from .status import print_status


def main() -> int:
    """Run the command line; returns the exit code: 0, 1 after an error, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m testcluster", description=sys.modules["testcluster"].__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start it, or what of it does not run")
    commands.add_parser("down", help="end it, and remove all traces but the cache of programs")
    commands.add_parser("status", help="what runs, and what it costs; exit code 1 unless all of it runs")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("error: the test cluster needs root, for namespaces, mounts and control groups", file=sys.stderr)
        return 1
    try:
        return {"up": _up, "down": _down, "status": print_status}[options.command]()
    except ControlPlaneError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: what has been started runs on; `up` goes on, `down` ends it", file=sys.stderr)
        return 128 + signal.SIGINT


def _up() -> int:
    started = time.monotonic()
    cluster = Cluster.up()
    print(f"The test cluster is up after {duration(time.monotonic() - started)}: both machines are Ready.")
    print(f"logs in {layout.state_dir() / 'logs'}")
    print(f"export KUBECONFIG={shlex.quote(str(cluster.kubeconfig))}")
    return 0


def _down() -> int:
    if not leftovers():
        print("There is no test cluster.")
        return 0
    started = time.monotonic()
    Cluster.down()
    print(f"The test cluster is gone after {duration(time.monotonic() - started)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
