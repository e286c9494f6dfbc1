"""What a shell offers for the word at the cursor. kubectl asks for it by the program ``kubectl_complete-rdzv``.

It gives the words behind ``kubectl rdzv``; the last one is that at the cursor, and may be empty. The answer has a line
for each candidate, with a description behind a tab, and at its end a colon and the sum of the directives, as kubectl's
library for command lines (cobra) has them.
"""

import argparse
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from kube_rendezvous_cli import arguments
from kube_rendezvous_cli.kubectl import PARTICIPANTS, RENDEZVOUS, CommandError, Kubectl
from kube_rendezvous_cli.text import safe
from rendezvous_api import names

PROGRAM = "kubectl_complete-rdzv"
"""This program is run under that name, too: by a link, or by a script of the package."""

DEFAULT, NO_SPACE, NO_FILES, EXTENSIONS, FOLDERS, KEEP_ORDER = 0, 2, 4, 8, 16, 32
"""Directives. By default the shell offers files. With `EXTENSIONS` it offers those that end with a candidate, and with
`FOLDERS` only folders."""

_MOST_SECONDS = 2
"""For the one request of a completion: who presses a key does not wait for a cluster that cannot be reached."""

_FILES = ("plot", "filename", *(f"kubectl_{name}" for name in arguments.FILES_OF_KUBECTL))


class Offer(NamedTuple):
    """The candidates, each with a description, and the directives."""

    candidates: list[tuple[str, str]]
    directives: int = NO_FILES

    def __str__(self) -> str:
        lines = [f"{word}\t{what}" if what else word for word, what in self.candidates]
        return "\n".join([*map(_line, lines), f":{self.directives}"])


NOTHING = Offer([])

Ask = Callable[..., list[str]]
"""Runs kubectl with these arguments, and has the lines that it prints; none if it fails."""


def run(words: Sequence[str]) -> int:
    """Print what is offered for these words; returns the exit code."""
    print(offered(words, lines_of))
    return 0  # with any other one the shell would offer files


def _line(text: str) -> str:
    """A line of the answer; it has no other tab than that before the description."""
    word, tab, what = text.partition("\t")
    return f"{safe(word)}{tab}{safe(what)}".replace("\n", " ")


def lines_of(kubectl: Kubectl, *arguments: str) -> list[str]:
    """What kubectl prints; nothing if it fails, or does not end soon."""
    try:
        command = [*kubectl.command(*arguments), f"--request-timeout={_MOST_SECONDS}s"]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            encoding="utf-8", errors="replace", timeout=_MOST_SECONDS, check=True,
        )  # fmt: skip
    except (CommandError, OSError, subprocess.SubprocessError):
        return []
    return done.stdout.splitlines()


def offered(words: Sequence[str], lines: Callable[..., list[str]]) -> Offer:
    """What is offered.

    Args:
        words: behind ``kubectl rdzv``; the last one is that at the cursor.
        lines: what kubectl, the first argument, prints if it is called with the others.
    """
    *before, word = words or [""]
    parser = arguments.parser()
    (commands,) = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    if not before:
        if word.startswith("-"):
            return _options(parser, word, {})
        return _that_begin_with(word, [(each.dest, each.help or "") for each in commands._choices_actions])
    command = commands.choices.get(before[0])
    if command is None:
        return NOTHING
    typed = _typed(command, before[1:])
    kubectl = typed.kubectl()
    ask: Ask = lambda *call: lines(kubectl, *call)  # noqa: E731
    if typed.awaited is not None:
        return _values(typed.awaited, word, typed, ask)
    if word.startswith("-") and not typed.only_positionals:
        name, equals, value = word.partition("=")
        action = typed.options.get(name)
        if not equals:
            return _options(command, word, typed.values)
        # The shell puts the candidates behind the equals sign.
        return NOTHING if action is None or action.nargs == 0 else _values(action, value, typed, ask)
    places = [each for each in command._actions if not each.option_strings]
    if len(typed.positionals) >= len(places):
        return NOTHING
    return _values(places[len(typed.positionals)], word, typed, ask)


@dataclass
class _Typed:
    """The words between a command and the cursor."""

    options: dict[str, argparse.Action]
    values: dict[str, list[str]] = field(default_factory=dict)
    """Of each option that is there, by its name in Python; of a switch it is its own name."""
    positionals: list[str] = field(default_factory=list)
    awaited: argparse.Action | None = None
    """The option whose value comes next."""
    only_positionals: bool = False
    """``--`` is there."""

    def kubectl(self) -> Kubectl:
        """For the cluster, the namespace and the user of these words."""
        given = argparse.Namespace(**{name: self.values.get(name) for name in arguments.DESTINATIONS_OF_KUBECTL})
        namespaces = self.values.get("namespace")
        return Kubectl(arguments.of_kubectl(given), namespaces[-1] if namespaces else None)


def _typed(command: argparse.ArgumentParser, words: Iterable[str]) -> _Typed:
    typed = _Typed({name: action for action in command._actions for name in action.option_strings})
    for word in words:
        if typed.awaited is not None:
            typed.values[typed.awaited.dest].append(word)
            typed.awaited = None
        elif typed.only_positionals or not word.startswith("-") or word == "-":
            typed.positionals.append(word)
        elif word == "--":
            typed.only_positionals = True
        else:
            _option_is_typed(typed, word)
    return typed


def _option_is_typed(typed: _Typed, word: str) -> None:
    name, equals, value = word.partition("=")
    if not word.startswith("--"):
        name, value = word[:2], word[2:]  # -nteam-a
        equals, value = value[:1], value.removeprefix("=")
    action = typed.options.get(name)
    if action is None:
        return
    values = typed.values.setdefault(action.dest, [])
    if action.nargs == 0:
        values.append(name)
    elif equals:
        values.append(value)
    else:
        typed.awaited = action


def _options(command: argparse.ArgumentParser, word: str, given: dict[str, list[str]]) -> Offer:
    """The options of a command; those that were given and count once only are not offered again."""
    found = []
    for action in command._actions:
        if action.help == argparse.SUPPRESS or not action.option_strings:
            continue
        again = isinstance(action, argparse._AppendAction) and not action.dest.startswith("kubectl_")
        if action.dest not in given or again:
            found.append((action.option_strings[-1], action.help or ""))
    return _that_begin_with(word, found)


def _that_begin_with(word: str, found: Iterable[tuple[str, str]], directives: int = NO_FILES) -> Offer:
    return Offer([each for each in found if each[0].startswith(word)], directives)


def _values(action: argparse.Action, word: str, typed: _Typed, ask: Ask) -> Offer:
    """What may stand where a value of this option or positional argument is."""
    if action.choices is not None:
        return _that_begin_with(word, [(str(choice), "") for choice in action.choices])
    if action.dest in _FILES:
        return Offer([], DEFAULT)
    if action.dest in ("file", "folder"):
        return (
            Offer([], FOLDERS)
            if action.dest == "folder"
            else Offer([("yaml", ""), ("yml", ""), ("json", "")], EXTENSIONS)
        )
    if action.dest in ("lose", "drain"):
        return _of_kind(word, typed, ask)
    found = _FOUND.get(action.dest)
    return _that_begin_with(word, found(word, typed, ask), NO_FILES | KEEP_ORDER) if found is not None else NOTHING


def _of_kind(word: str, typed: _Typed, ask: Ask) -> Offer:
    """KIND=NAME of ``whatif``."""
    kinds = {"machine": "machine", "participant": "name", "pod": "pod", "rank": "rank"}
    kind, equals, _ = word.partition("=")
    if not equals or kind not in kinds:
        return _that_begin_with(word, [(f"{each}=", "") for each in kinds], NO_FILES | NO_SPACE)
    if kind == "rank":
        found = _ranks("", typed, ask)
    else:
        values = (vars(each) | {"name": each.name} for each in _nodes(_group(typed), ask))
        found = [(value, "") for each in values if (value := str(each[kinds[kind]]))]
    return _that_begin_with(word, [(f"{kind}={name}", what) for name, what in dict(found).items()])


# Each of these makes one request.


def _table(ask: Ask, what: Sequence[str], columns: Sequence[str], items: str = ".items[*]") -> list[list[str]]:
    """The columns of a list as kubectl has them; a value that is not there is empty."""
    paths = '{"\\t"}'.join(f"{{{column}}}" for column in columns)
    found = ask("get", *what, f'--output=jsonpath={{range {items}}}{paths}{{"\\n"}}{{end}}')
    rows = [line.split("\t") for line in found]
    return [row for row in rows if len(row) == len(columns) and row[0]]


def _group(typed: _Typed) -> str | None:
    return typed.positionals[0] if typed.positionals else None


def _groups(_: str, __: _Typed, ask: Ask) -> list[tuple[str, str]]:
    found = _table(ask, [RENDEZVOUS], (".metadata.name", ".status.summary.state", ".status.summary.nodes"))
    return [(name, f"{state}, {nodes} nodes" if state and nodes else state) for name, state, nodes in found]


@dataclass(frozen=True)
class _Node:
    name: str
    pod: str
    machine: str


def _nodes(group: str | None, ask: Ask) -> list[_Node]:
    of_group = [f"--selector={names.LABEL_RENDEZVOUS}={group}"] if group is not None else []
    found = _table(ask, [PARTICIPANTS, *of_group], (".metadata.name", ".spec.podName", ".spec.nodeName"))
    return [_Node(*row) for row in found]


def _evictable(word: str, _: _Typed, ask: Ask) -> list[tuple[str, str]]:
    """Participants; where none begins so, their pods."""
    nodes = [each for each in _nodes(None, ask) if each.pod]
    on = {each.name: f" on {each.machine}" if each.machine else "" for each in nodes}
    if any(each.name.startswith(word) for each in nodes):
        return [(each.name, f"pod {each.pod}{on[each.name]}") for each in nodes]
    return [(each.pod, f"{each.name}{on[each.name]}") for each in nodes]


def _ranks(_: str, typed: _Typed, ask: Ask) -> list[tuple[str, str]]:
    group = _group(typed)
    if group is None:
        return []
    found = _table(ask, [RENDEZVOUS, group], (".rank", ".name"), ".status.participants[*]")
    return [(rank, name) for rank, name in found]


def _rounds(_: str, typed: _Typed, ask: Ask) -> list[tuple[str, str]]:
    group = _group(typed)
    if group is None:
        return []
    found = _table(ask, [RENDEZVOUS, group], (".round", ".reason"), ".status.history[*]")
    return [(number, reason or "it runs") for number, reason in reversed(found)]


def _namespaces(_: str, __: _Typed, ask: Ask) -> list[tuple[str, str]]:
    return [(name, "") for (name,) in _table(ask, ["namespaces"], (".metadata.name",))]


def _contexts(_: str, __: _Typed, ask: Ask) -> list[tuple[str, str]]:
    return [(name, "") for name in ask("config", "get-contexts", "--output=name")]


_FOUND: dict[str, Callable[[str, _Typed, Ask], list[tuple[str, str]]]] = {
    "name": _groups, "participant": _evictable, "rank": _ranks, "round": _rounds, "namespace": _namespaces,
    "kubectl_context": _contexts,
}  # fmt: skip
