"""One call of the program: how it reaches the cluster, what it reads of a group, and how it shows what it has found."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

from kube_rendezvous_cli import arguments, yaml_text
from kube_rendezvous_cli.group import Group, group_of
from kube_rendezvous_cli.kubectl import PARTICIPANTS, RENDEZVOUS, CommandError, Kubectl, KubectlError
from kube_rendezvous_cli.text import painted, safe
from rendezvous_api import names

Json = dict[str, Any]


class Session:
    """One call of the program: how it reaches the cluster, and how it shows what it has found."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.kubectl = Kubectl(arguments.of_kubectl(options), options.namespace)
        self.terminal = sys.stdout.isatty()
        self.colours = self.terminal and not options.no_color and "NO_COLOR" not in os.environ

    def show(self, text: str) -> None:
        """Print a text that may have parts which others have written."""
        text = safe(text)
        print(painted(text) if self.colours else text, flush=True)

    def show_value(self, value: Any, form: str) -> None:
        """Print a value for a program."""
        print(json.dumps(value, indent=2) if form == "json" else yaml_text.dump(value).rstrip("\n"), flush=True)

    def show_rounds(self, group: Group, moment: datetime, words: Callable[[], str], value: Callable[[], Any]) -> None:
        """Show the rounds of a group as ``--plot`` and ``--output`` say.

        Args:
            group: whose rounds are drawn.
            moment: at which they are looked at.
            words: for people.
            value: for programs.

        Raises:
            CommandError: the picture cannot be written.
        """
        from kube_rendezvous_cli.plot import plot, save

        options = self.options
        if options.plot is not None:
            picture = plot(group, moment)
            if options.plot == "-":
                print(picture, end="")
                return
            save(options.plot, picture)
        if options.output is not None:
            self.show_value(value(), options.output)
        else:
            self.show(words())

    @property
    def now(self) -> datetime:
        """The moment, by the clock of this machine."""
        return now()

    def group(self, name: str) -> Group:
        """One group with all its objects.

        Raises:
            CommandError: there is none, or it may not be read.
        """
        return one_group(*self.objects(name))

    def objects(self, name: str) -> tuple[dict[str, list[Json]], list[str]]:
        """The objects of a group by their kind, and what could not be listed.

        Raises:
            CommandError: there is no such group, or it may not be read.
        """
        calls = selected(name)
        found, participants, pods = self.kubectl.all_of(*(("get", *arguments) for arguments in calls.values()))
        if isinstance(found, KubectlError):
            if found.not_found:
                raise CommandError(f"there is no Rendezvous {name!r} in the namespace {self.kubectl.where()}")
            raise found
        problems = [
            f"{what} cannot be listed: {answer}"
            for what, answer in (("nodes", participants), ("pods", pods))
            if isinstance(answer, KubectlError)
        ]
        return {"rendezvous": [found], "participants": _items(participants), "pods": _items(pods)}, problems


def selected(name: str) -> dict[str, tuple[str, ...]]:
    """For each kind of objects of a group the arguments of ``kubectl get``."""
    mine = f"--selector={names.LABEL_RENDEZVOUS}={name}"
    return {"rendezvous": (RENDEZVOUS, name), "participants": (PARTICIPANTS, mine), "pods": ("pods", mine)}


def one_group(objects: Mapping[str, list[Json]], problems: Iterable[str]) -> Group:
    """The group that these objects, by their kind, belong to."""
    return group_of(objects["rendezvous"][0], objects["participants"], objects["pods"], problems)


def _items(answer: Json | KubectlError) -> list[Json]:
    return [] if isinstance(answer, KubectlError) else list(answer["items"])


def now() -> datetime:
    """The moment, by the clock of this machine."""
    return datetime.now(timezone.utc)
