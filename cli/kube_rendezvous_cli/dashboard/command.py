"""The command: follow the objects, serve the page, and end all of it with Ctrl-C."""

import argparse
import os
import signal
import sys
import threading
import webbrowser

from kube_rendezvous_cli.dashboard.live import WHAT, Live
from kube_rendezvous_cli.dashboard.server import LOOPBACK, Server
from kube_rendezvous_cli.follow import Watches
from kube_rendezvous_cli.kubectl import PARTICIPANTS, RENDEZVOUS, CommandError, Kubectl, KubectlError
from kube_rendezvous_cli.session import now
from kube_rendezvous_cli.text import safe
from rendezvous_api import names

_ASKED: dict[str, tuple[str, ...]] = {
    "rendezvous": (RENDEZVOUS,),
    "participants": (PARTICIPANTS,),
    "pods": ("pods", f"--selector={names.LABEL_RENDEZVOUS}"),
}

_END_SECONDS = 0.1
"""How often the server looks whether it shall end."""


def run(kubectl: Kubectl, options: argparse.Namespace) -> int:
    """Serve the page; it ends with `KeyboardInterrupt`.

    Raises:
        CommandError: the port cannot be had, or groups may not be listed.
    """
    everywhere = ("--all-namespaces",) if options.all_namespaces else ()
    where = "of all namespaces" if everywhere else f"of the namespace {kubectl.where()}"
    kubectl.command()  # that there is one
    asked = {kind: (*what, *everywhere) for kind, what in _ASKED.items()}
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    watches = Watches(kubectl, asked, "" if everywhere else None)
    live = Live(watches, now)
    with _server(live, options.port) as server:
        _say(f"Waiting for kubectl, which lists groups, nodes and pods {where} ...")
        serving = threading.Thread(target=server.serve_forever, args=(_END_SECONDS,), daemon=True)
        try:
            with watches:
                _wait_for_lists(watches, live)
                serving.start()
                print(server.address, flush=True)
                _say(
                    f"The page shows the groups {safe(where)} until Ctrl-C, and changes nothing. Keep the address to "
                    "yourself: who has it, on this machine, can read what the page shows."
                )
                if options.open and _has_browser():
                    webbrowser.open(server.address_for_once())
                while True:
                    live.follow()
        finally:
            live.end()
            if serving.is_alive():
                server.shutdown()


def _server(live: Live, port: int) -> Server:
    try:
        return Server(live, port)
    except (OSError, OverflowError) as error:
        raise CommandError(f"--port={port} on {LOOPBACK} cannot be had: {error}") from None


def _wait_for_lists(watches: Watches, live: Live) -> None:
    """Until each kind is listed, or cannot be.

    Raises:
        KubectlError: groups cannot be listed.
    """
    while not all(kind in watches.listed or kind in watches.broken for kind in WHAT):
        live.follow()
    if "rendezvous" not in watches.listed:
        raise KubectlError(watches.broken["rendezvous"].reason)


def _has_browser() -> bool:
    """Whether a browser has a screen: one in the terminal would hide what is printed."""
    return sys.platform != "linux" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
