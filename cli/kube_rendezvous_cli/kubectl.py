"""kubectl, which makes all requests: so each login, context and right of the user counts."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rendezvous_api import names

Json = dict[str, Any]

RENDEZVOUS = f"{names.RENDEZVOUS_PLURAL}.{names.GROUP}"
PARTICIPANTS = f"{names.PARTICIPANT_PLURAL}.{names.GROUP}"

_LOGGED = re.compile(r"[EWI]\d{4} \d\d:")


class CommandError(Exception):
    """A command cannot go on; the message is for the user.

    Args:
        message: what is wrong, and with which object.
        code: the exit code.
    """

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


class KubectlError(CommandError):
    """kubectl has failed; the message is what it said."""

    @property
    def not_found(self) -> bool:
        """Whether the object is not there."""
        return "(NotFound)" in str(self)


class Kubectl:
    """kubectl with the options that choose a cluster and a user.

    Args:
        options: such as ``--context=prod``; they are given to each call.
        namespace: of the user's option; None: that of the context.
    """

    def __init__(self, options: Sequence[str] = (), namespace: str | None = None) -> None:
        # KUBECTL is for who has several; it may be a path.
        self._program = os.environ.get("KUBECTL") or "kubectl"
        self.options = tuple(options)
        self.namespace = namespace
        self._context_namespace: str | None = None

    def run(self, *arguments: str, stdin: str | None = None, namespace: str | None = None) -> str:
        """Run it and return what it prints.

        Args:
            arguments: of kubectl.
            stdin: what it reads.
            namespace: instead of that of the user's option.

        Raises:
            KubectlError: it failed.
        """
        done = subprocess.run(
            self.command(*arguments, namespace=namespace),
            input=stdin, stdin=subprocess.DEVNULL if stdin is None else None, capture_output=True, text=True,
            encoding="utf-8", errors="replace", check=False,
        )  # fmt: skip
        if done.returncode:
            raise KubectlError(reason_of(done.stderr) or f"{self._program} ended with exit code {done.returncode}")
        return done.stdout

    def command(self, *arguments: str, namespace: str | None = None) -> list[str]:
        """The command line.

        Raises:
            CommandError: there is no kubectl.
        """
        if shutil.which(self._program) is None:
            raise CommandError(f"{self._program} is not on the PATH: this program makes all its requests by kubectl")
        where = namespace if namespace is not None else self.namespace
        return [self._program, *arguments, *self.options, *([f"--namespace={where}"] if where else [])]

    def json(self, *arguments: str, stdin: str | None = None, namespace: str | None = None) -> Json:
        """What it prints with ``-o json``.

        Raises:
            KubectlError: it failed.
        """
        # With --ignore-not-found it prints nothing if there is nothing.
        found: Json = json.loads(self.run(*arguments, "--output=json", stdin=stdin, namespace=namespace) or "{}")
        return found

    def items(self, *arguments: str, namespace: str | None = None) -> list[Json]:
        """The objects of a list.

        Raises:
            KubectlError: it failed.
        """
        found: list[Json] = self.json("get", *arguments, namespace=namespace)["items"]
        return found

    def all_of(self, *calls: Sequence[str], namespace: str | None = None) -> list[Json | KubectlError]:
        """Several calls of `json` at a time; in the place of an answer, what went wrong."""

        def one(arguments: Sequence[str]) -> Json | KubectlError:
            try:
                return self.json(*arguments, namespace=namespace)
            except KubectlError as error:
                return error

        with ThreadPoolExecutor(len(calls)) as pool:
            return list(pool.map(one, calls))

    def where(self) -> str:
        """The namespace that commands without the option mean."""
        if self.namespace is not None:
            return self.namespace
        if self._context_namespace is None:
            try:
                said = self.run("config", "view", "--minify", "--output=jsonpath={..namespace}")
            except KubectlError:  # in a pod there is no kubeconfig
                said = ""
            self._context_namespace = said.strip() or "default"
        return self._context_namespace


def documents(lines: Iterator[str]) -> Iterator[Json]:
    """The objects that ``kubectl get --watch -o json`` prints, one after the other."""
    collected: list[str] = []
    for line in lines:
        collected.append(line)
        # Some are in one line. Of the others it indents all but the braces of the object itself.
        if line[:1] in "{}" and line.rstrip("\n").endswith("}"):
            yield json.loads("".join(collected))
            collected.clear()


def reason_of(stderr: str) -> str:
    """What kubectl says of an error, without what its library logs before."""
    lines = [line for line in stderr.splitlines() if line.strip() and not _LOGGED.match(line)]
    text = " ".join(line.removeprefix("error: ") for line in lines)
    if "doesn't have a resource type" in text and names.GROUP.partition(".")[0] in text:
        text += (
            ": the CustomResourceDefinitions of kube-rendezvous are not installed in this cluster (or it is "
            "another one)"
        )
    return text
