"""The guards of hold-outs: who is passed over, and for how long."""

from tests.model.mutants.mutant import of

MUTANTS = [
    *of(
        "operator/rendezvous_operator/core/select/held_out.py",
        [
            "core/test_held_out.py",
            "core/test_fault_of_check_in.py",
            "core/test_fault.py",
            "core/test_scale_up.py",
            "core/test_invariants.py",
        ],
        (
            "carry out a request to end the hold-outs only once",
            "if request is not None and request != s.run.retry_request:",
            "if request is not None:",
        ),
        ("hold out no node if too few would be left", "if not who or not fitting(s, left):", "if not who:"),
        ("bound the hold-outs", "(*others, *new)[-names.MAX_HELD_OUT :]", "(*others, *new)"),
        ("end a hold-out", "if not timers.passed(ends_at(s, timers, entry)))", "if True)"),
        ("let no hold-out count while too few are left", "return found if fitting(s, left) else ()", "return found"),
        (
            "count members that may join again among those that are left",
            ", *(view.name for view in blocking(s, timers))]",
            "]",
        ),
        ("keep the hold-outs while a round runs", "if not found or s.round_runs:", "if not found:"),
        (
            "end a hold-out by the time in the status",
            "return min(by_status, began + entry.seconds)",
            "return began + entry.seconds",
        ),
        (
            "end a hold-out after its length, whatever clocks say",
            "return min(by_status, began + entry.seconds)",
            "return by_status",
        ),
        ("bound the message", "cut(blame.message)", "blame.message"),
        (
            "forget a crash after ten minutes of a round",
            "        return timers.passed(_proved_at(s, timers))\n",
            "        return False\n",
        ),
        (
            "forgive a member only while its round runs",
            "    if s.round_runs and entry.name in s.entries:\n        return timers",
            "    if entry.name in s.entries:\n        return timers",
        ),
        (
            "forgive a crash only after ten minutes of a round",
            "        return timers.passed(_proved_at(s, timers))\n",
            "        return True\n",
        ),
        (
            "forget a node only when it is away",
            "return not _is_present(s, entry) and timers.passed(_forgotten_at(s, timers, entry))",
            "return timers.passed(_forgotten_at(s, timers, entry))",
        ),
        (
            "forget a node only when it is away for long",
            "return not _is_present(s, entry) and timers.passed(_forgotten_at(s, timers, entry))",
            "return not _is_present(s, entry)",
        ),
        (
            "decide again when a hold-out ends",
            "return earliest(*(moment for moment in moments if moment is not None and not timers.passed(moment)))",
            "return None",
        ),
        (
            "hold out none if the list has no room for all of them",
            "if len(new) + sum(entry.name",
            "if False and len(new) + sum(entry.name",
        ),
        (
            "count only hold-outs that have not ended for that room",
            "for entry in active(s, timers)) >",
            "for entry in s.run.held_out) >",
        ),
        (
            "let the hold-outs that end first make room",
            "key=lambda entry: ends_at(s, timers, entry)\n    )",
            "key=lambda entry: 0\n    )",
        ),
        (
            "hold out for longer each further time",
            "times = before.times + 1 if before is not None else 1",
            "times = 1",
        ),
        (
            "go on with the hold-out for another pod in the place of the first",
            "kept = _of_successors(s, tuple(",
            "kept = tuple(tuple(",
        ),
        (
            "give that hold-out to a node that is there",
            "for node in s.nodes.values() if node.present and node.run_id",
            "for node in s.nodes.values() if node.run_id",
        ),
        (
            "give that hold-out to no node of another run",
            " and node.run_id == s.run.id and node.name not in listed",
            " and node.name not in listed",
        ),
        (
            "give no node a second hold-out in that way",
            " and node.name not in listed]",
            "]",
        ),
        (
            "give that hold-out to one node",
            "names_now.pop(place, entry.name)",
            "names_now.get(place, entry.name)",
        ),
        (
            "leave the hold-out of a node that is there",
            "        if _is_present(s, entry) or (place",
            "        if (place",
        ),
        (
            "take a name that only looks like one of a Job for none",
            "place_of(node.name, node.object.spec.pod_index): node.name",
            "place_in_job(node.name): node.name",
        ),
        (
            "count the time of a round from before this operator",
            "return min(by_timer, s.now.monotonic - age.total_seconds())",
            "return by_timer",
        ),
        (
            "count the time of a round by the own timer if it is longer",
            "return min(by_timer, s.now.monotonic - age.total_seconds())",
            "return s.now.monotonic - age.total_seconds()",
        ),
    ),
    *of(
        "api/rendezvous_api/rendezvous.py",
        ["core/test_held_out.py", "core/test_fault_of_check_in.py", "core/test_greatest_values.py"],
        (
            "hold out for no longer than ten minutes",
            "min(FIRST_HOLD_OUT_SECONDS << min(self.times - 1, 10), LONGEST_HOLD_OUT_SECONDS)",
            "FIRST_HOLD_OUT_SECONDS << min(self.times - 1, 10)",
        ),
        (
            "bound how often a node was held out",
            "<< min(self.times - 1, 10)",
            "<< self.times - 1",
        ),
    ),
]
