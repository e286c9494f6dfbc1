"""One guard that is removed."""

from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
UNIT_TESTS = {
    "operator/rendezvous_operator/core/nodes.py": (
        "core/test_nodes.py",
        "core/test_observe.py",
        "core/test_liveness.py",
        "core/test_end_rules.py",
        "core/test_member_reentered.py",
    ),
    "operator/rendezvous_operator/core/observe.py": ("core/test_observe.py",),
    "operator/rendezvous_operator/watch/cache.py": (
        "test_cache.py",
        "test_cache_order.py",
    ),
    "operator/rendezvous_operator/core/liveness.py": (
        "core/test_liveness.py",
        "core/test_isolated_rounds.py",
    ),
    "operator/rendezvous_operator/core/facts.py": (
        "core/test_exclusivity.py",
        "core/test_timers.py",
        "core/test_liveness.py",
        "core/test_isolated_rounds.py",
    ),
    "operator/rendezvous_operator/core/start/exclusivity.py": ("core/test_exclusivity.py",),
    "operator/rendezvous_operator/reconcile/reconciler.py": ("test_reconciler.py",),
    "operator/rendezvous_operator/kube/outage_clock.py": ("test_outage_clock.py",),
    "operator/rendezvous_operator/core/blocking.py": ("core/test_exclusivity.py",),
    "operator/rendezvous_operator/core/end/rules.py": (
        "core/test_end_rules.py",
        "core/test_isolated_rounds.py",
    ),
    "operator/rendezvous_operator/core/situation.py": (
        "core/test_isolated_rounds.py",
        "core/test_liveness.py",
    ),
    "operator/rendezvous_operator/core/start/suspended.py": ("core/test_suspended.py",),
    "operator/rendezvous_operator/core/sizes/sizes.py": (
        "core/test_sizes.py",
        "core/test_size.py",
        "core/test_allowed_sizes.py",
    ),
    "operator/rendezvous_operator/core/end/too_many_nodes.py": ("core/test_too_many_nodes.py",),
    "operator/rendezvous_operator/core/end/restart_requested.py": ("core/test_restart_requested.py",),
    "operator/rendezvous_operator/core/garbage.py": ("core/test_garbage.py",),
    "operator/rendezvous_operator/core/runs/claim.py": ("core/test_claim.py",),
    "operator/rendezvous_operator/core/runs/refuse.py": ("core/test_refuse.py",),
    "operator/rendezvous_operator/core/end/budget.py": ("core/test_budget.py",),
    "operator/rendezvous_operator/core/decide.py": ("core/test_decide.py",),
    "operator/rendezvous_operator/core/runs/close.py": ("core/test_close.py",),
    "operator/rendezvous_operator/core/start/replacements.py": ("core/test_replacements.py",),
    "operator/rendezvous_operator/core/start/last_call.py": ("core/test_last_call.py",),
    "operator/rendezvous_operator/core/invariants.py": ("core/test_invariants.py",),
    "operator/rendezvous_operator/reconcile/fence.py": ("test_reconciler.py",),
    "operator/rendezvous_operator/reconcile/reader.py": (
        "test_reconciler.py",
        "test_cache.py",
    ),
    "handler/rendezvous_handler/join/answer.py": ("test_handler_answer.py",),
    "handler/rendezvous_handler/agent/rendezvous_watch.py": ("test_handler_watch.py",),
    "handler/rendezvous_handler/agent/participant.py": ("test_handler_agent.py",),
    "handler/rendezvous_handler/join/clock.py": ("test_handler_waiting.py",),
}
"""What is about a file, from ``tests/unit/``."""


class Mutant(NamedTuple):
    """One guard that is removed."""

    what: str
    """What is no longer done."""
    file: str
    """From the root of the repository."""
    before: str
    after: str

    @property
    def source(self) -> str:
        """The text of the file."""
        return (ROOT / self.file).read_text(encoding="utf-8")

    @property
    def unit_tests(self) -> list[str]:
        """The files of those that are about this code."""
        return [f"tests/unit/{name}" for name in UNIT_TESTS[self.file]]


def of(file: str, *guards: tuple[str, str, str]) -> list[Mutant]:
    """The guards of one file: what is no longer done, the code, and what stands in its place."""
    return [Mutant(what, file, before, after) for what, before, after in guards]
