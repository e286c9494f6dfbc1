"""The guards of hold-outs: whose fault the end of a round was, and who is passed over."""

from tests.model.mutants.mutant import of

MUTANTS = [
    *of(
        "operator/rendezvous_operator/core/check_in.py",
        ["core/test_check_in.py", "core/test_held_out.py", "core/test_store_host.py", "core/test_fault.py"],
        (
            "believe no word that cannot be understood",
            "if node is None or not node.understood or not node.addressed or",
            "if node is None or not node.addressed or",
        ),
        (
            "believe no word about a deleted Rendezvous",
            "not node.understood or not node.addressed or node.name",
            "not node.understood or node.name",
        ),
        ("believe the word of members only", " or node.name not in s.entries:", ":"),
        (
            "believe no word of an attempt for another reason",
            "if spec.attempt_reason is not AttemptReason.CHECK_IN_FAILED or spec.check_in is None:",
            "if spec.check_in is None:",
        ),
        (
            "believe no word about an earlier round",
            "return spec.check_in if spec.check_in.round == s.status.round else None",
            "return spec.check_in",
        ),
        (
            "call one half no majority",
            "return 2 * self.reached > self.others",
            "return 2 * self.reached >= self.others",
        ),
        (
            "count what the host says for nothing",
            "for member in s.status.participants[1:]]",
            "for member in s.status.participants]",
        ),
        ("count each missing node once for each member", "for name in {*word.missing})", "for name in word.missing)"),
        (
            "believe a member about itself",
            "return not word.reached_store if word is not None else 2 * named[name] > len(reached)",
            "return 2 * named[name] > len(reached)",
        ),
        (
            "take a member that says nothing for missing if most say so",
            "else 2 * named[name] > len(reached)",
            "else False",
        ),
        (
            "take it for missing only if more than half say so",
            "else 2 * named[name] > len(reached)",
            "else named[name] > 0",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/end/fault.py",
        ["core/test_fault.py", "core/test_held_out.py", "core/test_store_host.py"],
        ("find the fault once", "asked and s.status.history[-1].ended is None and not", "asked and not"),
        (
            "find the fault only when no member runs the round",
            "s.status.history[-1].ended is None and not blocking(s, timers)",
            "s.status.history[-1].ended is None",
        ),
        ("find a fault only for failures", "    if reason not in _FAILURES:\n        return s\n", ""),
        (
            "name the host of a failed check-in",
            "return s.status.participants[0].name if cause.reason is RoundEndReason.CHECK_IN_FAILED else cause.node",
            "return cause.node",
        ),
        (
            "judge the budget after a failed check-in when all is known",
            "return check_in.said_by(s, s.nodes.get(cause.node)) is not None",
            "return False",
        ),
        (
            "judge the budget at once where agents say nothing",
            "return check_in.said_by(s, s.nodes.get(cause.node)) is not None",
            "return True",
        ),
        (
            "judge the budget after a crash when all is known",
            "return bool(suspects) and s.sizes.fitting(len(others - suspects)) > 0",
            "return False",
        ),
        (
            "excuse no crash if too few nodes would be left",
            "return bool(suspects) and s.sizes.fitting(len(others - suspects)) > 0",
            "return bool(suspects)",
        ),
        ("suspect no member that has joined again", "view.state not in stay and _crashes_again", "_crashes_again"),
        (
            "blame the missing only if the host is not at fault",
            "missing = seen.missing if _blames_the_missing(s, seen) else ()",
            "missing = seen.missing",
        ),
        (
            "blame those that did not reach a store that most reached",
            "    if seen.most_reached:\n        return True\n",
            "",
        ),
        (
            "blame the missing half once another host has failed",
            "    if 2 * seen.reached == seen.others and tried:\n        return True\n",
            "",
        ),
        (
            "try another host before the missing half is blamed",
            "2 * seen.reached == seen.others and tried:",
            "2 * seen.reached == seen.others:",
        ),
        (
            "blame the missing once each member has been the host without success",
            "return bool(seen.reached) and all(tried[member.name] for member in s.status.participants)",
            "return False",
        ),
        (
            "try each member as the host before that",
            "return bool(seen.reached) and all(tried[member.name] for member in s.status.participants)",
            "return bool(seen.reached)",
        ),
        ("blame no node if no member reached a store", "return bool(seen.reached) and all(", "return all("),
        (
            "let other crashes of that round count",
            "others = [view for view in crashed if excused is None or view not in again]",
            "others = [view for view in crashed if excused is None]",
        ),
        (
            "let a crash count that is not excused",
            "others = [view for view in crashed if excused is None or view not in again]",
            "others = [view for view in crashed if view not in again]",
        ),
        (
            "take no signal for a crash",
            "(view.state is MemberState.LEFT and not view.terminated)",
            "(view.state is MemberState.LEFT)",
        ),
        ("take no eviction for a crash", "return gone and view.evicted is None", "return gone"),
        (
            "take only the first attempt of an agent for an admission",
            "if view.member.attempt != 1 or lasted",
            "if lasted",
        ),
        (
            "forgive a crash long after the admission",
            "if view.member.attempt != 1 or lasted > held_out.SOON_SECONDS:",
            "if view.member.attempt != 1:",
        ),
        (
            "remember a first crash only",
            "return any(failure.node == view.name for failure in before) or any(",
            "return True or any(",
        ),
        (
            "know a crash before from the hold-out",
            "return any(failure.node == view.name for failure in before) or any(",
            "return any(failure.node == view.name for failure in before) and any(",
        ),
        (
            "know a crash before from the failures",
            "return any(failure.node == view.name for failure in before) or any(",
            "return any(",
        ),
        (
            "take a hold-out for another reason for no crash",
            "entry.name == view.name and entry.reason is HeldOutReason.CRASH_LOOP for",
            "entry.name == view.name for",
        ),
        (
            "count this crash not as one before",
            "for failure in s.run.failures if failure.round != number)",
            "for failure in s.run.failures)",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/select/held_out.py",
        ["core/test_held_out.py", "core/test_fault.py", "core/test_scale_up.py", "core/test_invariants.py"],
        (
            "carry out a request to end the hold-outs only once",
            "if request is not None and request != s.run.retry_request:",
            "if request is not None:",
        ),
        ("hold out no node if too few would be left", "if not who or not s.sizes.fitting(len(left)):", "if not who:"),
        ("bound the hold-outs", "(*others, *new)[-names.MAX_HELD_OUT :]", "(*others, *new)"),
        ("end a hold-out", "if not timers.passed(ends_at(s, timers, entry)))", "if True)"),
        (
            "let no hold-out count while too few are left",
            "return found if s.sizes.fitting(left) else ()",
            "return found",
        ),
        (
            "count members that may join again among those that are left",
            "left = len(eligible(s, found)) + len(blocking(s, timers))",
            "left = len(eligible(s, found))",
        ),
        ("keep the hold-outs while a round runs", "if not found or s.round_runs:", "if not found:"),
        (
            "end a hold-out by the time in the status",
            "return min(by_status, began + _seconds(entry.times))",
            "return began + _seconds(entry.times)",
        ),
        (
            "end a hold-out after its length, whatever clocks say",
            "return min(by_status, began + _seconds(entry.times))",
            "return by_status",
        ),
        (
            "hold out for no longer than ten minutes",
            "return min(FIRST_SECONDS << min(times - 1, 10), LONGEST_HOLD_OUT_SECONDS)",
            "return FIRST_SECONDS << min(times - 1, 10)",
        ),
        ("bound how often a node was held out", "FIRST_SECONDS << min(times - 1, 10)", "FIRST_SECONDS << times - 1"),
        ("bound the message", "cut(blame.message)", "blame.message"),
        (
            "forgive a node that has checked in",
            "return s.status.history[-1].checked_in is not None or timers.holds(Timer.CHECKED_IN, s.status.round)",
            "return False",
        ),
        (
            "forgive a node only when it has checked in",
            "return s.status.history[-1].checked_in is not None or timers.holds(Timer.CHECKED_IN, s.status.round)",
            "return True",
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
    ),
]
