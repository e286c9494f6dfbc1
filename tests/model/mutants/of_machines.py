"""The guards of machines as evidence, alone and beside the end of a pod."""

from tests.model.mutants.mutant import of

_OF_MACHINES = ["core/test_machines.py", "core/test_overdue.py"]
_OF_OVERDUE = ["core/test_overdue.py"]

MUTANTS = [
    *of(
        "operator/rendezvous_operator/core/machines.py",
        _OF_MACHINES,
        ("look only at machines of silent members", "now - seen.beat_at >= late_seconds(seen.object, spec)", "True"),
        (
            "look at no machine of who has said its last word",
            " or seen.object.spec.state is ParticipantState.LEFT:",
            ":",
        ),
        ("look at few machines at a time", "tuple(first | found)[:MOST]", "tuple(first | found)"),
        ("look first at machines of pods that are deleted", "tuple(first | found)", "tuple(found | first)"),
        ("shorten nothing if the machine is well", "    if not why_down(world, seen):\n        return longest\n", ""),
        (
            "let an agent be silent for its usual time",
            "max(silent_seconds(seen.object, spec), confirm, down_since",
            "max(confirm, down_since",
        ),
        (
            "wait until no heartbeat has come for the time to confirm",
            "silent_seconds(seen.object, spec), confirm, down_since",
            "silent_seconds(seen.object, spec), down_since",
        ),
        ("count from when the machine was seen to be down", ", confirm, down_since + confirm - began)", ", confirm)"),
        ("keep a shorter time to suspect", "return min(longest, max(", "return max(max("),
    ),
    *of(
        "operator/rendezvous_operator/core/overdue.py",
        _OF_OVERDUE,
        ("take no member for dead whose machine is not read", " if world.machines is not None else ():", ":"),
        ("take no member for dead whose machine is well", "is not None or not why:", "is not None:"),
        ("take no member for dead for which its peers vouch", "words.voucher(name) is not None or not why", "not why"),
        ("let the grace period pass", "due_at = max(ends_by, ", "due_at = max(0.0, "),
        (
            "take no member for dead whose heartbeats arrive",
            "max(ends_by, heard_at + ",
            "max(ends_by, 0.0 * heard_at + ",
        ),
        (
            "decide again when that may be",
            "            changes_at = earliest(changes_at, due_at)\n",
            "            pass\n",
        ),
        (
            "look again for the machine of a pod that ought to have ended",
            "            changes_at = earliest(changes_at, now + machines.LOOK_AGAIN_SECONDS)\n",
            "            pass\n",
        ),
        ("read it after that moment", "seen.read_at is None or seen.read_at < due_at", "seen.read_at is None"),
        ("look at no node that has left", "is not None and node.lives and node.pod", "is not None and node.pod"),
        (
            "count from when the peers vouched for it last",
            "silence_begins(seen, None, memory.vouched.get(name))",
            "seen.beat_at",
        ),
        ("count from the newest heartbeat that vouches", ", words.vouched_at(name))\n", ", 0.0)\n"),
    ),
    *of(
        "operator/rendezvous_operator/core/build.py",
        _OF_OVERDUE,
        (
            "count a pod that ought to have ended as found by its machine",
            "LossEvidence.MACHINE if view.name in s.liveness.overdue else LossEvidence.POD",
            "LossEvidence.POD",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/observe.py",
        _OF_OVERDUE,
        ("take who ought to have ended for dead", "    nodes = with_dead(nodes, liveness.overdue)\n", ""),
    ),
    *of(
        "operator/rendezvous_operator/core/liveness.py",
        _OF_OVERDUE,
        ("count who ought to have ended for none that is silent", "    nodes = with_dead(nodes, ended.dead)\n", ""),
        ("read who ought to have ended", "to_read=found.to_read | ended.to_read", "to_read=found.to_read"),
        (
            "decide again when a member ought to have ended",
            "changes_at=earliest(found.changes_at, ended.changes_at)",
            "changes_at=found.changes_at",
        ),
    ),
    *of(
        "operator/rendezvous_operator/watch/pods.py",
        ["watch/test_pods.py"],
        (
            "begin a grace period when it is first seen",
            "ends_by if known_by is None else min(known_by, ends_by)",
            "ends_by",
        ),
        ("let a grace period become shorter", "min(known_by, ends_by)", "known_by"),
    ),
    *of(
        "operator/rendezvous_operator/core/liveness.py",
        _OF_MACHINES,
        (
            "look again for the machine of a silent member",
            "            self.changes_at = earliest(self.changes_at, self._now + machines.LOOK_AGAIN_SECONDS)\n",
            "            pass\n",
        ),
        (
            "look again only while a round runs",
            "if silence is Silence.SILENT and self._round_runs and",
            "if silence is Silence.SILENT and",
        ),
        (
            "say that the machine has shown a loss",
            "if silence is Silence.LOST and self._now < began",
            "if False and self._now < began",
        ),
        (
            "say so only if silence alone has not",
            "if silence is Silence.LOST and self._now < began + suspect_seconds(seen.object, self._spec):",
            "if silence is Silence.LOST:",
        ),
    ),
    *of(
        "operator/rendezvous_operator/reconcile/machines.py",
        ["test_reading_machines.py"],
        ("read a machine once in a while", "or now >= (one.soon if name in soon else one.until)", "or True"),
        (
            "forget what was read a while ago",
            " if now < max(one.until, one.kept_until)}",
            "}",
        ),
        (
            "let what was read count for a while if a read fails",
            "        elif before is not None:\n",
            "        elif False:\n",
        ),
        (
            "read the machine of a silent member again soon",
            "(one.soon if name in soon else one.until)",
            "one.until",
        ),
        (
            "take a machine that does not exist for one that is gone",
            "            return GONE\n",
            "            return Machine()\n",
        ),
        ("say once that machines cannot be read", "            if not self._failing:\n", "            if True:\n"),
        (
            "say it again after an answer",
            "        self._failing = False\n        return answer",
            "        return answer",
        ),
        ("list machines if they are many", "if len(unread) > MOST_SINGLE_READS:", "if False:"),
        ("read single machines if they are few", "if len(unread) > MOST_SINGLE_READS:", "if True:"),
        ("take a machine that a list lacks for one that is gone", "listed.get(name, GONE)", "listed.get(name)"),
        (
            "list again soon after a list without an answer",
            "            self._answers[name] = _Answer(soon, soon, None, now)\n",
            "            self._answers[name] = _Answer(soon, now + seconds, None, now)\n",
        ),
        (
            "do not list again soon after an answer",
            "listed.get(name, GONE), LIST_AGAIN_SECONDS)",
            "listed.get(name, GONE), LOOK_AGAIN_SECONDS)",
        ),
        ("take a name for no path", "quote(name, safe='')", "name"),
    ),
    *of(
        "operator/rendezvous_operator/kube/client.py",
        ["test_reading_machines.py"],
        ("list the next page, too", "            if not token:\n", "            if True:\n"),
    ),
    *of(
        "operator/rendezvous_operator/reconcile/reader.py",
        ["test_reading_machines.py"],
        (
            "read no machine without being asked to",
            "if world is None or self._machines is None:",
            "if world is None:",
        ),
        (
            "read the machine of a node that joins meanwhile",
            "            await self._machines.read(needed, silent)  # meanwhile others may have joined\n",
            "            await self._machines.read(needed, silent)\n"
            "            return replace(world, machines=self._machines.known(needed))\n",
        ),
    ),
]
