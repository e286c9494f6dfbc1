"""One decision step by step: what was seen of each node, which facts hold since when, and what each rule answers.

Rules, messages and timers are those of the core; nothing is judged here.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from kube_rendezvous_cli.replay.compare import decided_again, differences, in_words
from kube_rendezvous_cli.replay.files import Decided
from kube_rendezvous_cli.text import table
from rendezvous_operator.core.decide import Steps, steps
from rendezvous_operator.core.end.rules import rules_for
from rendezvous_operator.core.nodes import Node
from rendezvous_operator.core.recorded import DecisionFailed, Outcome
from rendezvous_operator.core.runs.close import CLOSE_RULES
from rendezvous_operator.core.start.rules import START_RULES
from rendezvous_operator.core.verdict import Cause, Waits
from rendezvous_operator.core.world import Decision, Evidence, Now

Json = dict[str, Any]

_NO_CAUSE = "has no cause"


def explained(decided: Decided) -> Json:
    """All that is known of one decision, for programs and for `text_of`."""
    recorded, now = decided.recorded, decided.recorded.now
    again, summary = decided_again(recorded), recorded.world.rendezvous.status.summary
    told: Json = {
        "decision": decided.number,
        "rendezvous": recorded.rendezvous,
        "time": decided.time,
        "release": decided.release,
        "before": None if summary is None else f"{summary.state}, round {recorded.world.rendezvous.status.round}",
        "nodes": [],
        "facts": [],
        "rules": [],
        "recorded": _outcome(now, recorded.outcome),
        "now": _outcome(now, again),
        "differences": [difference._asdict() for difference in differences(recorded.outcome, again)],
    }
    found = None if isinstance(again, DecisionFailed) else steps(now, recorded.world, recorded.memory)
    if isinstance(found, Steps):
        told["nodes"] = [*_members(found), *_others(found)]
        told["facts"] = list(_facts(found))
        told["rules"] = list(_rules(found))
    return told


def _facts(found: Steps) -> Iterator[Json]:
    now = found.observed.now
    for (timer, key), since in found.timers.since.items():
        yield {
            "fact": timer.value, "key": _key(key), "since": _clock_time(now, since), "seconds": now.monotonic - since
        }  # fmt: skip


def _members(found: Steps) -> Iterator[Json]:
    for view in found.observed.members:
        yield {
            "name": view.name, "rank": view.member.rank, "state": view.state.value,
            **_seen(found, view.node, view.why),
        }  # fmt: skip


def _others(found: Steps) -> Iterator[Json]:
    queue, chosen = ({node.name for node in nodes} for nodes in (found.picked.queue, found.picked.chosen))
    held_out = {entry.name: entry.message for entry in found.picked.held_out}
    kept_out = {entry.name: entry.message for entry in found.picked.kept_out}
    gives_way = {entry.name: entry.message for entry in found.picked.gives_way}
    for name, node in found.observed.nodes.items():
        if name in found.observed.entries:
            continue
        why = ""
        if node.unhealthy is not None:
            state, why = "is unhealthy", node.unhealthy
        elif node.left is not None:
            state, why = "left", str(node.left)
        elif node.dead is not None:
            state, why = "is dead", node.dead
        elif name in held_out:
            state, why = "is held out", held_out[name]
        elif name in kept_out:
            state, why = "is kept out", kept_out[name]
        elif name in chosen:
            state = "is chosen"
        elif name in found.picked.spares:
            state, why = "is a spare", gives_way.get(name, "")
        elif name in queue:
            state = "waits"
        else:
            state = "is silent" if node.silence else "does not wait"
        yield {"name": name, "rank": None, "state": state, **_seen(found, node, why)}


def _seen(found: Steps, node: Node | None, why: str) -> Json:
    """What is known of one node; times in seconds before the decision."""
    now = found.observed.now
    if node is None:
        return {"heartbeatSeconds": None, "readSeconds": None, "round": None, "pod": None, "evidence": why}
    seen = found.observed.world.participants[node.name]
    peers = found.observed.liveness.peers
    accused = peers.accused.get(node.name)
    said = []
    if accused is not None:
        words = " and ".join(word.value for word in accused.words)
        contradicted = ", which its heartbeat contradicts" if accused.contradicted else ""
        said.append(f"{accused.by} says {words} since {_clock_time(now, accused.since)}{contradicted}")
    if node.name in found.observed.liveness.by_peers_only:
        said.append("its peers vouch for it")
    if node.leaving is not None and node.leaving != why:
        said.append(node.leaving)
    return {
        "heartbeatSeconds": now.monotonic - seen.beat_at,
        "readSeconds": None if seen.read_at is None else now.monotonic - seen.read_at,
        "round": node.reported_round,
        "pod": node.pod.phase if node.pod is not None else None,
        "evidence": "; ".join([*([why] if why else []), *said]),
    }


def _rules(found: Steps) -> Iterator[Json]:
    """Each rule of the three lists that was asked, with its answers; before them, when silence changes something."""
    observed, claimed, timers = found.observed, found.claimed, found.timers
    now = observed.now
    if observed.liveness.changes_at is not None:
        yield {
            "list": "liveness",
            "rule": "silence",
            "answer": "will count",
            "until": _clock_time(now, observed.liveness.changes_at),
            "message": "a node that sends no heartbeat reaches its next limit",
        }
    if observed.run.open:
        for close in CLOSE_RULES:
            yield from _causes("close", close.__name__, now, close(observed, timers))
    if claimed.round_runs:
        for end in rules_for(claimed):
            name = end.__module__.rpartition(".")[2]
            yield from _causes(
                "end", name if end.__name__ == "causes" else f"{name}.{end.__name__}", now, end(claimed, timers)
            )
    if found.situation.forms:
        for start in START_RULES:
            verdict = start(found.situation, timers, found.picked)
            rule = start.__module__.rpartition(".")[2]
            answer: Json = {"list": "start", "rule": rule, "answer": "is met", "until": None, "message": ""}
            if isinstance(verdict, Waits):
                until = None if verdict.until is None else _clock_time(now, verdict.until)
                answer |= {"answer": "waits", "until": until, "message": f"{verdict.reason}: {verdict.message}"}
            yield answer


def _causes(of: str, rule: str, now: Now, causes: Iterable[Cause[Any]]) -> Iterator[Json]:
    found: list[Json] = [
        {
            "list": of,
            "rule": rule,
            "answer": "counts" if cause.at <= now.monotonic else "will count",
            "until": None if cause.at <= now.monotonic else _clock_time(now, cause.at),
            "message": f"{cause.reason}: {cause.message}",
        }
        for cause in causes
    ]
    nothing: Json = {"list": of, "rule": rule, "answer": _NO_CAUSE, "until": None, "message": ""}
    yield from found or [nothing]


def _outcome(now: Now, outcome: Outcome) -> Json:
    told: Json = {"message": in_words(outcome)}
    if isinstance(outcome, Evidence):
        told["reads"] = [f"{target.kind} {target.name}" for target in sorted(outcome.targets)]
    if isinstance(outcome, Decision):
        told |= {
            "events": [f"{event.reason}: {event.message}" for event in outcome.events],
            "deletes": [f"{item.kind} {item.name}: {item.why}" for item in outcome.deletions],
            "lost": {
                name: f"{reason}" + (f", found by {found.evidence.value} after {found.seconds:.1f} s" if found else "")
                for name, reason in outcome.lost.items()
                for found in [outcome.detected.get(name)]
            },
            "decidesAgain": None if outcome.wake_at is None else _clock_time(now, outcome.wake_at),
        }
    return told


def _clock_time(now: Now, moment: float) -> str:
    try:
        return now.clock_time(moment)
    except (OverflowError, ValueError):  # a moment that no clock shows, such as one in a file that was changed
        return f"{moment:g} s"


def _key(key: Any) -> str:
    if isinstance(key, (tuple, frozenset)):
        items: Sequence[Any] = sorted(key) if isinstance(key, frozenset) else key
        return ", ".join(map(_key, items))
    return "" if key is None else str(key)


# ---- for people


def text_of(told: Json) -> str:
    """The same, for people."""
    before = f"; before it: {told['before']}" if told["before"] else ""
    lines = [heading(told) + before]
    if told["nodes"]:
        rows = [
            (
                node["name"], "-" if node["rank"] is None else str(node["rank"]), node["state"],
                _seconds(node["heartbeatSeconds"]), _seconds(node["readSeconds"]), str(node["round"] or "-"),
                node["pod"] or "-", node["evidence"],
            )
            for node in told["nodes"]
        ]  # fmt: skip
        lines += ["", *table(("NODE", "RANK", "STATE", "HEARTBEAT", "READ", "REPORTS", "POD", "EVIDENCE"), rows)]
    if told["facts"]:
        facts = [(fact["fact"], fact["key"], fact["since"], _seconds(fact["seconds"])) for fact in told["facts"]]
        lines += ["", *table(("FACT", "OF", "TRUE SINCE", "FOR"), facts)]
    if told["rules"]:
        answers = [
            tuple(rule[name] or "-" for name in ("list", "rule", "answer", "until", "message"))
            for rule in _short(told["rules"])
        ]
        lines += ["", *table(("RULES", "RULE", "ANSWER", "AT", "MESSAGE"), answers)]
    lines += ["", *_outcome_lines("decided", told["recorded"])]
    if told["differences"]:
        lines += ["", *_outcome_lines("this program decides", told["now"]), *difference_lines(told["differences"])]
    return "\n".join(lines)


def _short(rules: Sequence[Json]) -> list[Json]:
    """The same, with one entry for all rules of a list that have no cause."""
    found = [rule for rule in rules if rule["answer"] != _NO_CAUSE]
    for of in dict.fromkeys(rule["list"] for rule in rules):
        others = [rule["rule"] for rule in rules if (rule["list"], rule["answer"]) == (of, _NO_CAUSE)]
        if others:
            found.append({"list": of, "rule": None, "answer": _NO_CAUSE, "until": None, "message": ", ".join(others)})
    order = list(dict.fromkeys(rule["list"] for rule in rules))
    return sorted(found, key=lambda rule: order.index(rule["list"]))


def heading(told: Json) -> str:
    """Which decision it is."""
    return f"decision {told['decision']} about {told['rendezvous']} at {told['time']}, release {told['release']}"


def difference_lines(found: Sequence[Json], shown: int | None = None) -> list[str]:
    """A line for each field that differs."""
    lines = [
        f"  {item['path']}: recorded {_value(item['recorded'])}, now {_value(item['now'])}" for item in found[:shown]
    ]
    left = len(found) - len(lines)
    return [*lines, f"  and {left} more"] if left else lines


def _outcome_lines(title: str, outcome: Json) -> list[str]:
    lines = [f"{title}: {outcome['message']}"]
    lines += [f"  reads {target}" for target in outcome.get("reads", ())]
    lines += [f"  lost: {name}: {why}" for name, why in outcome.get("lost", {}).items()]
    lines += [f"  event {event}" for event in outcome.get("events", ())]
    lines += [f"  deletes {deletion}" for deletion in outcome.get("deletes", ())]
    if outcome.get("decidesAgain"):
        lines.append(f"  decides again at {outcome['decidesAgain']} if nothing changes")
    return lines


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}s"


def _value(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}..."
