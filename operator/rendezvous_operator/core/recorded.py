"""Decisions as lines of JSON, without loss: what a recording keeps of each, and how it is read again.

A line has the time, the outcome, and what has changed in the world and the memory since the line before of the same
Rendezvous: a JSON merge patch (RFC 7396). The first line of a Rendezvous in a file, and each with ``whole``, has all of
it. Names are those of the Kubernetes API (``podUID``); what is None or empty is left out.
"""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from rendezvous_api.codec import DecodeError
from rendezvous_api.names import GROUP
from rendezvous_operator.core.recorded_values import (
    Json,
    OrderError,
    changed_fields,
    decoded,
    difference,
    encode,
    encode_record,
    json_object,
    patched,
)
from rendezvous_operator.core.world import Decision, Evidence, Memory, Now, World

FORMAT: Final = f"{GROUP}/decisions-1"
"""What the first line of a file says. Another one if files can no longer be read as this module does."""
FILES: Final = "decisions-*.jsonl"
"""The names of the files. Each has the time when it was begun, so their order is that of the decisions."""


@dataclass(frozen=True)
class DecisionFailed:
    """The decision failed: nothing was written."""

    error: str
    """Kind and message of the exception."""


Outcome = Decision | Evidence | DecisionFailed


class Recorded(NamedTuple):
    """One decision."""

    rendezvous: str
    """``NAMESPACE/NAME``."""
    now: Now
    world: World
    memory: Memory
    outcome: Outcome


class Seen(NamedTuple):
    """What a line says of the input beside the time."""

    world: World
    memory: Memory


class Lines:
    """Turns decisions into the lines of one file, in their order."""

    def __init__(self) -> None:
        self._before: dict[str, Seen] = {}

    def line(self, decision: Recorded, left_out: int = 0) -> Json:
        """The next line.

        Args:
            decision: to keep.
            left_out: how many decisions, of whatever Rendezvous, were not recorded right before this one.
        """
        before, seen = self._before.get(decision.rendezvous), Seen(decision.world, decision.memory)
        self._before[decision.rendezvous] = seen
        line: Json = {"rendezvous": decision.rendezvous, "now": encode(decision.now)}
        if left_out:
            line["leftOut"] = left_out
        try:
            line["seen"] = encode(seen) if before is None else difference(before, seen, {})
        except OrderError:
            before, line["seen"] = None, encode(seen)
        if before is None:
            line["whole"] = True
        line["outcome"] = _outcome(decision)
        return line


def header(release: str) -> Json:
    """The first line of a file that this release writes."""
    return {"format": FORMAT, "release": release}


def release_of(line: Any) -> str:
    """Which release has written a file, by its first line.

    Raises:
        DecodeError: it is no recording, or of another format; the message names the release that wrote it.
    """
    said = line if isinstance(line, dict) else {}
    release = str(said.get("release", "unknown"))
    if said.get("format") != FORMAT:
        raise DecodeError(f"format: {said.get('format')!r} of release {release} is not {FORMAT!r}")
    return release


class Reader:
    """Reads the lines of one file again, in their order. Fields that this release does not know are ignored."""

    def __init__(self) -> None:
        self._before: dict[str, Json] = {}

    def read(self, line: Any) -> tuple[Recorded, int]:
        """The decision of the next line, and how many were left out right before it.

        Raises:
            DecodeError: a field is missing or has another type; the message names its path. Lines after it can be read.
        """
        if not isinstance(line, dict) or not isinstance(line.get("rendezvous"), str):
            self._before.clear()  # whose line it was is not known, and others may build on it
            raise DecodeError("rendezvous: is required")
        name, whole = line["rendezvous"], line.get("whole") is True
        before = self._before.pop(name, None)
        before = {} if whole else before
        if before is None:
            raise DecodeError(f"whole: the line of {name} before this one is missing")
        tree = self._before[name] = patched(before, json_object(line.get("seen"), "seen"))
        now, seen = decoded(Now, line.get("now"), "now"), decoded(Seen, tree, "seen")
        outcome = _outcome_of(seen, line.get("outcome"))
        return Recorded(name, now, *seen, outcome), decoded(int, line.get("leftOut", 0), "leftOut")


def _outcome(decision: Recorded) -> Json:
    """The outcome; of status and memory the fields that the decision has changed, None for those that it empties."""
    outcome = decision.outcome
    if not isinstance(outcome, Decision):
        return {"evidence" if isinstance(outcome, Evidence) else "failure": encode(outcome)}
    told = encode_record(outcome, but=("status", "memory"))
    told["status"] = changed_fields(decision.world.rendezvous.status, outcome.status)
    told["memory"] = changed_fields(decision.memory, outcome.memory)
    return {"decision": told}


def _outcome_of(seen: Seen, tree: Any) -> Outcome:
    (kind, content), *others = tree.items() if isinstance(tree, dict) and tree else [("", None)]
    if others or kind not in ("decision", "evidence", "failure"):
        raise DecodeError(f"outcome: {sorted(tree) if isinstance(tree, dict) else tree!r} is none that is known")
    path = f"outcome.{kind}"
    if kind == "evidence":
        return decoded(Evidence, content, path)
    if kind == "failure":
        return decoded(DecisionFailed, content, path)
    if not isinstance(content, dict):
        raise DecodeError(f"{path}: {content!r} is no object")
    whole = dict(content)
    for field, before in (("status", seen.world.rendezvous.status), ("memory", seen.memory)):
        whole[field] = {**encode(before), **json_object(content.get(field, {}), f"{path}.{field}")}
    return decoded(Decision, whole, path)
