"""The guards of the end of a round."""

from tests.model.mutants.mutant import of

MUTANTS = [
    *of(
        "operator/rendezvous_operator/core/end/rules.py",
        [
            "core/test_end_rules.py",
            "core/test_isolated_rounds.py",
            "core/test_budget.py",
            "core/test_held_out.py",
            "core/test_fault_of_check_in.py",
            "core/test_fault.py",
        ],
        (
            "leave an isolated round alone in a scale-up or a suspension",
            "if not (s.liveness.isolated and rule in _NOT_WHILE_ISOLATED)",
            "if True",
        ),
        ("end only a round that runs", "    if not s.round_runs:\n        return s\n", ""),
        ("judge the budget when all is known", " and not fault.may_be_excused(s, timers, found.cause)", ""),
        ("close a run whose budget is spent", "    if spent is not None and not fault", "    if False and not fault"),
        (
            "close it when the fault was found",
            "return _closed(s, Cause(failure.reason, message, node=failure.node), spent) if spent is not None else s",
            "return s",
        ),
        ("spend the budget by failures only", "    if not cause.failure:\n        return None\n", ""),
        (
            "judge the limit of a node when the node is known",
            "return spent if spent is not None and not spent.of else None",
            "return spent",
        ),
        (
            "list a failed check-in only when its fault was found",
            "listed = cause.failure and cause.reason is not RoundEndReason.CHECK_IN_FAILED",
            "listed = cause.failure",
        ),
        (
            "list only failures",
            "listed = cause.failure and cause.reason is not RoundEndReason.CHECK_IN_FAILED",
            "listed = cause.reason is not RoundEndReason.CHECK_IN_FAILED",
        ),
        ("tell its nodes at once that the budget is spent", "return s.with_run(refuse.answer_all(s))", "return s"),
    ),
    *of(
        "operator/rendezvous_operator/core/end/member_reentered.py",
        ["core/test_member_reentered.py"],
        (
            "take a failure in a round that a restore has lost for none of the round that is back",
            "of_another = spec.attempt > view.member.attempt + 1",
            "of_another = False",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/budget.py",
        ["core/test_budget.py", "core/test_failures.py"],
        ("count failures only", "(failures.of_current(s) is not None)", "s.run.has_round"),
        ("count the newest failure, too", "s.run.restarts + 1", "s.run.restarts"),
        ("count at the time of the failure", "parse_time(failure.time) or s.now.wall", "s.now.wall"),
    ),
    *of(
        "api/rendezvous_api/restart_budget.py",
        ["test_restart_budget.py", "core/test_budget.py"],
        ("allow as many failures as the limit says", "self.used > self.allowed", "self.used >= self.allowed"),
        ("count all of a run that has no window", "total if restarts.window_seconds is None else", "0 if False else"),
        ("count those of the node only", "if is_same_node(other.node, other.pod_index, *of_node))", "if True)"),
        ("count those with the reason only", "if other.reason is reason)", "if True)"),
        ("count those of the window only", "is None or until > at]", "is None or True]"),
        ("count no failure at the end of its window", "until > at]", "until >= at]"),
    ),
    *of(
        "operator/rendezvous_operator/core/end/too_many_nodes.py",
        ["core/test_too_many_nodes.py"],
        ("end a round that is too large", "if s.status.nodes > s.spec.max_nodes:", "if False:"),
    ),
    *of(
        "operator/rendezvous_operator/core/end/restart_requested.py",
        ["core/test_restart_requested.py"],
        (
            "carry out a request for a round only once",
            "if request is not None and request != s.run.restart_request:",
            "if request is not None:",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/end/scale_up.py",
        ["core/test_scale_up.py", "core/test_held_out.py", "core/test_fault_of_check_in.py"],
        (
            "end no round for a node that is held out",
            "waiting = held_out.waiting_without(s, held_out.counting(s, timers))",
            "waiting = s.waiting",
        ),
        ("end no round if no more nodes fit", " or grown(s, waiting) <= s.status.nodes:", ":"),
        ("gather nodes that do not fill the group", "at = timers.now if fills else", "at = timers.now if True else"),
        ("gather no nodes that fill the group", "at = timers.now if fills else", "at = timers.now if False else"),
        (
            "fill no group with a node that was held out before",
            "[node for node in waiting if node.name not in known]",
            "waiting",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/end/suspended.py",
        ["core/test_suspended.py"],
        ("end the round when it is suspended", "if s.spec.suspend:", "if False:"),
    ),
    *of(
        "operator/rendezvous_operator/core/end/member_lost.py",
        ["core/test_member_lost.py", "core/test_member_evicted.py", "core/test_history.py"],
        (
            "take an evicted member for none that was lost",
            "if view.state is MemberState.LOST and view.evicted is None:",
            "if view.state is MemberState.LOST:",
        ),
        ("tell no heartbeat of another agent", "if same_agent else None", "if view.node is not None else None"),
    ),
    *of(
        "operator/rendezvous_operator/core/end/member_failed.py",
        ["core/test_member_failed.py", "core/test_member_terminated.py", "core/test_fault.py"],
        (
            "take a member that was terminated for none that failed",
            "if view.state is MemberState.LEFT and not view.terminated:",
            "if view.state is MemberState.LEFT:",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/failures.py",
        [
            "core/test_failures.py",
            "core/test_budget.py",
            "core/test_fault.py",
            "core/test_held_out.py",
            "core/test_fault_of_check_in.py",
        ],
        ("bound the failures", "(*others, failure)[-_most(s) :]", "(*others, failure)"),
        (
            "list as many failures as the budget counts",
            "max(names.MAX_HISTORY, min(s.spec.restarts.listed, names.MAX_FAILURES))",
            "names.MAX_HISTORY",
        ),
        (
            "list the index of the pod that failed",
            "index = member.pod_index if member is not None else None",
            "index = None",
        ),
        (
            "keep the time of a failure that gets another node",
            "s.now.micro_time() if before is None else before.time",
            "s.now.micro_time()",
        ),
        ("list one failure of each round", "if failure.round != s.status.round)", "if True)"),
    ),
    *of(
        "operator/rendezvous_operator/core/history.py",
        ["core/test_history.py", "core/test_isolated_rounds.py", "core/test_exclusivity.py"],
        (
            "note the end of a round when no member runs it",
            "if last.ended is None and not last.running and not blocking(s, timers):",
            "if last.ended is None and not last.running:",
        ),
        ("note the end of a round once", "if last.ended is None and not last.running and", "if not last.running and"),
        (
            "note the end of none that runs",
            "if last.ended is None and not last.running and",
            "if last.ended is None and",
        ),
        ("note why a round ended once", "if last.running and s.run.ended is not None:", "if s.run.ended is not None:"),
        ("bound the history", "return (*history, record)[-names.MAX_HISTORY :]", "return (*history, record)"),
        ("note that a round has checked in", "if timers.holds(Timer.CHECKED_IN, last.round):", "if False:"),
        (
            "decide again when the members are overdue",
            "return overdue_at(s, timers) if ended and members_are_asked(s) and blocking(s, timers) else None",
            "return None",
        ),
    ),
]
