"""``kubectl rdzv whatif``: what the operator would do with a live group if something happened to it."""

import json
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kube_rendezvous_cli.kubectl import CommandError
from kube_rendezvous_cli.simulator import checks, scenario, spec
from kube_rendezvous_cli.simulator.live import Live
from kube_rendezvous_cli.text import count, listing
from rendezvous_api.reasons import HostState
from rendezvous_operator.core.recorded_values import patched

Json = dict[str, Any]

KINDS = ("machine", "participant", "pod", "rank")
_QUIET_SECONDS = 60
"""Nothing more is expected so long after the longest time that the spec has."""
_AT_MOST_SECONDS = 24 * 3600


@dataclass
class Question:
    """What is to happen now, in words."""

    happens: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    """What cannot be known, and what is assumed in its place."""


def ask(live: Live, options: Namespace, given: Json) -> Question:
    """Let happen what the options say, and play until nothing more changes.

    Args:
        live: the group.
        options: of the command line.
        given: the spec as the API server has it.

    Raises:
        CommandError: an option names what is not there.
    """
    play, question = live.play, Question(unknown=[*live.assumed])
    actions: list[Callable[[], None]] = []
    changed = _changed(given, options.spec)
    if changed is not None:
        actions.append(lambda: scenario.edit(play, changed))
        question.happens.append(f"the spec is edited: {', '.join(options.spec)}")
    gone: list[str] = []
    for text in options.lose:
        kind, names = _found(live, "--lose", text)
        how = HostState.MISSED if kind == "machine" else HostState.CLOSED
        what = "loses its power" if kind == "machine" else "is killed"
        question.happens.append(f"{text} {what} ({_who(live, names)})")
        actions += [lambda name=name, how=how: play.die(play.nodes[name], how) for name in names]  # type: ignore[misc]
        gone += names
    for text in options.drain:
        _, names = _found(live, "--drain", text)
        question.happens.append(f"{text} is drained ({_who(live, names)})")
        actions += [lambda name=name: play.evict(play.nodes[name]) for name in names]  # type: ignore[misc]
        gone += names
    for action in actions:
        play.at(0.0, action)
    if options.replacement_after is not None:
        for name in dict.fromkeys(gone):
            play.at(options.replacement_after, lambda name=name: _is_replaced(live, name))  # type: ignore[misc]
    question.unknown += _unknown(live, gone, options)
    longest = max(vars(play.operator.rendezvous.spec.timeouts).values(), key=lambda seconds: seconds or 0)
    scale_up = play.operator.rendezvous.spec.scale_up.interval_seconds
    play.at(0.0, lambda: None)  # the first decision comes now, also if nothing happens
    play.run(_AT_MOST_SECONDS, max(longest, scale_up) + _QUIET_SECONDS)
    return question


def _is_replaced(live: Live, name: str) -> None:
    live.play.happens(name, "has a replacement, which joins", "have replacements, which join")
    live.play.join(name)


def _found(live: Live, option: str, text: str) -> tuple[str, list[str]]:
    """Which nodes KIND=NAME means: those that are there."""
    kind, separator, name = text.partition("=")
    if not separator or not name:
        raise CommandError(
            f"{option}: {text!r} is not KIND=NAME, where KIND is one of {', '.join(KINDS)}", checks.WRONG
        )
    checks.one_of(option, kind, KINDS)
    there = {each: node for each, node in live.play.nodes.items() if node.alive}
    members = live.play.operator.status.participants
    of: dict[str, dict[str, str]] = {
        "machine": {each: live.machines.get(each, "") for each in there},
        "participant": {each: each for each in there},
        "pod": {each: node.last.spec.pod_name or "" for each, node in there.items() if node.last is not None},
        "rank": {member.name: str(member.rank) for member in members if member.name in there},
    }
    found = [each for each, value in of[kind].items() if value == name]
    if not found:
        known = sorted({value for value in of[kind].values() if value}, key=lambda value: (len(value), value))
        raise CommandError(
            f"{option}: there is no node of the group with {text}; there are: {listing(known, 10) or 'none'}"
        )
    return kind, found


def _who(live: Live, names: Sequence[str]) -> str:
    ranks = {member.name: member.rank for member in live.play.operator.status.participants}
    told = [f"{name} with rank {ranks[name]}" if name in ranks else name for name in names]
    return f"{count(len(names), 'node')}: {listing(told)}"


def _changed(given: Json, settings: Sequence[str]) -> Any:
    """The spec with all settings; None: there are none."""
    changed = spec.known(given)
    for text in settings:
        path, separator, value = text.partition("=")
        if not separator or not path:
            raise CommandError(f"--spec: {text!r} is not FIELD=VALUE, such as maxNodes=6", checks.WRONG)
        try:
            read = json.loads(value)
        except (ValueError, RecursionError):
            read = value
        for step in reversed(path.split(".")):
            read = {step: read}
        changed = patched(changed, read)
    return spec.read(changed) if settings else None


def _unknown(live: Live, gone: Sequence[str], options: Namespace) -> list[str]:
    told = []
    if gone and options.replacement_after is None:
        owners = {node.pod.owner for name in gone if (node := live.play.nodes[name]).pod is not None}
        made = [f"{owner.kind}/{owner.name} makes" for owner in owners if owner is not None]
        who = f"whether {listing(sorted(made))} another pod" if made else "whether another node comes"
        told.append(f"{who}: it is assumed that none comes (--replacement-after 20s)")
    if options.lose:
        told.append(
            "whether the workers of the others fail: it is assumed that they hang; if they fail, all this comes sooner"
        )
    if any(text.startswith("machine=") for text in options.lose):
        told.append("when Kubernetes evicts the pods of a machine that is lost: it is assumed that it does not")
        told.append("whether the operator reads machines (machines.enabled): it is assumed that it does not")
    return told
