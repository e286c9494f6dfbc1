"""Removes one guard after the other, and shows which test notices it: ``python -m tests.model.mutants``."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
OPERATOR = "rendezvous_operator"


class Mutant(NamedTuple):
    """One guard that is removed."""

    what: str
    """What the operator no longer does."""
    file: str
    """Below `OPERATOR`."""
    before: str
    after: str

    def source(self) -> str:
        """The text of the file."""
        return (ROOT / "operator" / OPERATOR / self.file).read_text(encoding="utf-8")


MUTANTS = (
    Mutant(
        "take a lower attempt than a member's for an older view",
        "core/nodes.py",
        "return spec.attempt <= member.attempt and spec.incarnation == member.incarnation",
        "return spec.attempt == member.attempt and spec.incarnation == member.incarnation",
    ),
    Mutant(
        "call no lower attempt a new one",
        "core/nodes.py",
        "if node.understood and spec.attempt > member.attempt:",
        "if node.understood and spec.attempt != member.attempt:",
    ),
    Mutant(
        "read another incarnation before it is the newer one",
        "core/observe.py",
        "| _restarted(world, views)",
        "",
    ),
    Mutant(
        "read a pod that is shown no more",
        "watch/cache.py",
        "entry.vanished.add(Target(names.POD_KIND, name, uid))",
        "entry.absent.add(Target(names.POD_KIND, name, uid))",
    ),
    Mutant(
        "forget what was read before another round was seen",
        "watch/cache.py",
        "self._another_round(key, entry)",
        "pass",
    ),
    Mutant(
        "wait for a read before a member whose object is shown no more is gone",
        "watch/cache.py",
        "pod_uid = entry.participants.pop(name).object.spec.pod_uid",
        "pod_uid = entry.participants.pop(name).object.spec.pod_uid; "
        "entry.absent.add(Target(names.PARTICIPANT_KIND, name))",
    ),
    Mutant(
        "compare the versions of pods",
        "watch/cache.py",
        "if before is not None and version < before.version:",
        "if False:",
    ),
    Mutant(
        "ignore an older version of a participant or a Rendezvous",
        "watch/cache.py",
        "return version_number(new.metadata.resource_version) < version_number(known.metadata.resource_version)",
        "return False",
    ),
    Mutant(
        "notice that an object was deleted while a read was under way",
        "watch/cache.py",
        "if reference_of(item) in read.asked.gone:",
        "if False:",
    ),
    Mutant(
        "notice that a version goes back",
        "watch/cache.py",
        "if listed.version < asked.newest:",
        "if False:",
    ),
    Mutant(
        "keep a round that is isolated",
        "core/liveness.py",
        "if cut_off else (False, None)",
        "if False else (False, None)",
    ),
    Mutant(
        "excuse the time in which a round was isolated",
        "core/liveness.py",
        "if began is not None and not cut_off:",
        "if False:",
    ),
    Mutant(
        "let the time to join again run on while a member is silent",
        "core/facts.py",
        "if s.run.asked or s.run.called_back:",
        "if (s.run.asked or s.run.called_back) and s.blocking_members:",
    ),
    Mutant(
        "wait for members that may still run the round",
        "core/start/exclusivity.py",
        "if not members and not others:",
        "if True:",
    ),
    Mutant(
        "believe the interval that an agent keeps",
        "core/nodes.py",
        "return max(said, spec.heartbeat_seconds)",
        "return spec.heartbeat_seconds",
    ),
    Mutant(
        "read a participant before it is silent",
        "core/liveness.py",
        "if seen.read_at is None or seen.read_at < limit_at:",
        "if False:",
    ),
    Mutant(
        "forget a Rendezvous that a write does not find",
        "reconcile/reconciler.py",
        "self._gone(key, Target(names.RENDEZVOUS_KIND, key.name), asked)",
        "pass",
    ),
    Mutant(
        "adopt a write whose answer was lost",
        "reconcile/reconciler.py",
        "self._settle(key, group, world)\n",
        "pass\n",
    ),
    Mutant(
        "stand still in an outage",
        "kube/outage_clock.py",
        "if began is not None and now - began >= SHORTEST_SECONDS:",
        "if False:",
    ),
    Mutant(
        "make up for a single failure",
        "kube/outage_clock.py",
        "if began is not None and now - began >= SHORTEST_SECONDS:",
        "if began is not None:",
    ),
)

MODEL = ["tests/model"]
UNIT = [
    "tests/unit/test_cache.py",
    "tests/unit/test_cache_order.py",
    "tests/unit/test_outage_clock.py",
    "tests/unit/test_reconciler.py",
    "tests/unit/core/test_observe.py",
    "tests/unit/core/test_isolated_rounds.py",
    "tests/unit/core/test_liveness.py",
    "tests/unit/core/test_exclusivity.py",
]


def killer(mutant: Mutant, tests: list[str]) -> str | None:
    """The first of the tests that fails without the guard; None: all pass."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / OPERATOR
        shutil.copytree(ROOT / "operator" / OPERATOR, copy)
        (copy / mutant.file).write_text(mutant.source().replace(mutant.before, mutant.after), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, "PYTHONPATH": folder}, capture_output=True, text=True, check=False
        )
        failed = [line.split()[1] for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        return failed[0].partition("::")[2].partition("[")[0] if failed else None


def main() -> None:
    """A row for each mutant."""
    print("| The operator does not ... | The model notices | A unit test notices |\n|---|---|---|")
    survivors = 0
    for mutant in MUTANTS:
        found = [killer(mutant, tests) for tests in (MODEL, UNIT)]
        survivors += not any(found)
        print(f"| {mutant.what} | {found[0] or '-'} | {found[1] or '-'} |", flush=True)
    sys.exit(f"{survivors} mutants survive" if survivors else 0)


if __name__ == "__main__":
    main()
