"""The command `rendezvous-control-plane`, or `python -m rendezvous_controlplane`."""

import argparse
import contextlib
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from .binaries import ensure_binaries, ensure_kubectl, program_version
from .credentials import write_private
from .errors import ControlPlaneError
from .local import LocalControlPlane


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 after an error, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="rendezvous-control-plane", description=sys.modules[__package__].__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="start a control plane, and stop it at Ctrl-C or SIGTERM")
    run.add_argument(
        "--port", type=port, default=0, help="port of the API server on 127.0.0.1; any free one without this"
    )
    run.add_argument("--data-dir", type=Path, help="keep its data here; a temporary folder without this")
    run.add_argument("--kubeconfig-out", type=Path, help="where to write the kubeconfig as well, while it runs")
    commands.add_parser("build", help="only fetch or build kube-apiserver, etcd and kubectl, if they are missing")
    options = parser.parse_args(arguments)
    try:
        return _build() if options.command == "build" else _run(options.port, options.data_dir, options.kubeconfig_out)
    except ControlPlaneError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def port(text: str) -> int:
    """A port number; argparse reports a ValueError as `invalid port value`."""
    number = int(text)
    if number not in range(65536):
        raise ValueError(text)
    return number


def _build() -> int:
    binaries = ensure_binaries()
    for name, program in (("kube-apiserver", binaries.kube_apiserver), ("etcd", binaries.etcd)):
        print(f"{name:15} {program_version(program):8} {program}")
    print(f"{'kubectl':15} {'':8} {ensure_kubectl()}")
    print(f"from {binaries.source}")
    return 0


def _run(api_port: int, data_dir: Path | None, kubeconfig_out: Path | None) -> int:
    if kubeconfig_out is not None and kubeconfig_out.exists():
        raise ControlPlaneError(f"{kubeconfig_out} exists already: it would be overwritten")
    ensure_binaries()
    # From here on a signal ends the waiting, not the process, so that everything is stopped in order.
    asked_to_stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked_to_stop.set())
    with LocalControlPlane(data_dir, port=api_port) as plane, _copy(plane.kubeconfig, kubeconfig_out) as kubeconfig:
        print(f"Kubernetes  {plane.version} with etcd {program_version(plane.binaries.etcd)}")
        print(f"  from      {plane.binaries.source}")
        print(f"API server  {plane.url}, ready after {plane.start_seconds:.1f} s")
        print(f"logs        {plane.data_dir}")
        print(f"export KUBECONFIG={kubeconfig}", flush=True)
        while not asked_to_stop.wait(1.0):
            if ended := plane.ended_server():
                raise ControlPlaneError(ended)
    return 0


@contextlib.contextmanager
def _copy(kubeconfig: Path, target: Path | None) -> Iterator[Path]:
    """Give the kubeconfig as `target` while the control plane runs: afterwards it would lead nowhere."""
    if target is None:
        yield kubeconfig
        return
    target = target.absolute()
    write_private(target, kubeconfig.read_text(encoding="utf-8"))
    try:
        yield target
    finally:
        target.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
