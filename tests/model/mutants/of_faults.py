"""The guards of whose fault the end of a round was."""

from tests.model.mutants.mutant import of

MUTANTS = [
    *of(
        "operator/rendezvous_operator/core/check_in.py",
        [
            "core/test_check_in.py",
            "core/test_held_out.py",
            "core/test_fault_of_check_in.py",
            "core/test_store_host.py",
            "core/test_fault.py",
        ],
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
        (
            "count each missing node once for each member",
            "for name in {*word.missing} if",
            "for name in word.missing if",
        ),
        (
            "believe a member about itself",
            " if name not in said)",
            ")",
        ),
        (
            "take a member that says nothing for missing if most say so",
            " or 2 * named[name] > len(reached))",
            ")",
        ),
        (
            "take it for missing only if more than half say so",
            "or 2 * named[name] > len(reached))",
            "or named[name] > 0)",
        ),
        (
            "count a member that did not reach the store as missing",
            "if name in not_reached or 2 *",
            "if 2 *",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/end/fault.py",
        [
            "core/test_fault.py",
            "core/test_held_out.py",
            "core/test_fault_of_check_in.py",
            "core/test_store_host.py",
            "core/test_budget.py",
            "core/test_member_terminated.py",
            "core/test_member_evicted.py",
        ],
        ("find the fault once", "asked and s.status.history[-1].ended is None and not", "asked and not"),
        (
            "find the fault only when no member runs the round",
            "s.status.history[-1].ended is None and not blocking(s, timers)",
            "s.status.history[-1].ended is None",
        ),
        (
            "find a fault only for failures",
            "    if reason not in FAILURES:\n        return s\n",
            "",
        ),
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
            "return bool(suspects) and fitting(s, others - suspects) > 0",
            "return False",
        ),
        (
            "excuse no crash if too few nodes would be left",
            "return bool(suspects) and fitting(s, others - suspects) > 0",
            "return bool(suspects)",
        ),
        ("suspect no member that has joined again", "view.state not in stay and _crashes_again", "_crashes_again"),
        (
            "let other crashes of that round count",
            "others = [view for view in crashed if excused is None or view not in again or _goes_on_and_on(s)]",
            "others = [view for view in crashed if excused is None or _goes_on_and_on(s)]",
        ),
        (
            "let a crash count that is not excused",
            "others = [view for view in crashed if excused is None or view not in again or _goes_on_and_on(s)]",
            "others = [view for view in crashed if view not in again or _goes_on_and_on(s)]",
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
            "excuse no first crash",
            "    if any(is_same_node",
            "    if True or any(is_same_node",
        ),
        (
            "know a crash before from the hold-out",
            "return any(entry.name == view.name and entry.reason",
            "return False and any(entry.name == view.name and entry.reason",
        ),
        (
            "forget a crash after ten more failures",
            "last = s.run.failures[-names.MAX_HISTORY :]",
            "last = s.run.failures",
        ),
        (
            "know a crash before from the failures",
            "    if any(is_same_node",
            "    if False and any(is_same_node",
        ),
        (
            "take a hold-out for another reason for no crash",
            "entry.name == view.name and entry.reason is HeldOutReason.CRASH_LOOP for",
            "entry.name == view.name for",
        ),
        (
            "count this crash not as one before",
            "failure.round != number and failure.reason in _CRASHES)",
            "failure.reason in _CRASHES)",
        ),
        (
            "hold out nodes also where another crash counts",
            "return failures.with_current(excused or s, others[0]",
            "return failures.with_current(s, others[0]",
        ),
        (
            "take a failed check-in for no crash before",
            "failure.round != number and failure.reason in _CRASHES)",
            "failure.round != number)",
        ),
        (
            "know the crash of another pod in the place of this one",
            "if any(is_same_node(failure.node, failure.pod_index, *this) for failure in before):",
            "if any(failure.node == view.name for failure in before):",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/end/fault.py",
        [
            "core/test_check_in_in_parts.py",
            "core/test_held_out.py",
            "core/test_fault_of_check_in.py",
            "core/test_fault.py",
        ],
        (
            "blame those that did not reach a store that most reached",
            "    if seen.most_reached:\n        return seen.missing\n",
            "",
        ),
        (
            "blame members that say nothing where most reached the store",
            "        return seen.missing\n",
            "        return seen.not_reached\n",
        ),
        (
            "blame the half that did not reach the store once another host has failed",
            "no_better = bool(others_tried) or known.issuperset(seen.not_reached)",
            "no_better = known.issuperset(seen.not_reached)",
        ),
        (
            "try another host before that half is blamed",
            "no_better = bool(others_tried) or known.issuperset(seen.not_reached)",
            "no_better = True",
        ),
        (
            "blame that half at once if it was held out for the same before",
            "no_better = bool(others_tried) or known.issuperset(seen.not_reached)",
            "no_better = bool(others_tried)",
        ),
        (
            "take a hold-out after crashes for another reason",
            " if entry.reason is HeldOutReason.STORE_NOT_REACHED}",
            "}",
        ),
        (
            "count the host of this round for no other host",
            "others_tried = tried - {s.status.participants[0].name}",
            "others_tried = tried",
        ),
        (
            "blame those that did not reach the store once each member has been its host",
            "no_better = len(others_tried) >= _ENOUGH_HOSTS or members <= tried",
            "no_better = len(others_tried) >= _ENOUGH_HOSTS",
        ),
        (
            "blame those that did not reach the stores of five other hosts",
            "no_better = len(others_tried) >= _ENOUGH_HOSTS or members <= tried",
            "no_better = members <= tried",
        ),
        (
            "try other hosts before that",
            "no_better = len(others_tried) >= _ENOUGH_HOSTS or members <= tried",
            "no_better = True",
        ),
        (
            "blame only those that say so themselves where most did not reach it",
            "return seen.not_reached if no_better",
            "return seen.missing if no_better",
        ),
        (
            "let check-ins cost restarts that fail on and on, whichever nodes are held out",
            "if excused is None or _goes_on_and_on(s):",
            "if excused is None:",
        ),
        (
            "let crashes cost restarts that go on and on",
            "view not in again or _goes_on_and_on(s)]",
            "view not in again]",
        ),
        (
            "hold out nodes also where that costs a restart",
            "return failures.with_current(excused or s, s.status",
            "return failures.with_current(s, s.status",
        ),
        (
            "count only failures of this run among those that go on and on",
            " and record.run_id == s.run.id for record",
            " for record",
        ),
        (
            "go by the whole history for that",
            "return len(earlier) + 1 == names.MAX_HISTORY and all(failed)",
            "return all(failed)",
        ),
        (
            "take a round that ended otherwise for an end of that row",
            "names.MAX_HISTORY and all(failed)",
            "names.MAX_HISTORY",
        ),
    ),
]
