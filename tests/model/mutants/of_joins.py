"""The guards of the handler: of a join, and of the round that it leads to."""

from tests.model.mutants.mutant import of

MUTANTS = [
    *of(
        "handler/rendezvous_handler/join/answer.py",
        ["test_handler_answer.py"],
        (
            "ask another Rendezvous of the same name again",
            "if rendezvous.metadata.uid != attempt.spec.rendezvous_uid:",
            "if False:",
        ),
        (
            "take only the entry of its own attempt",
            "if (member.name, member.incarnation, member.attempt) == asked:",
            "if member.name == attempt.name:",
        ),
        (
            "take only a refusal of its own attempt",
            "if (refusal.name, refusal.incarnation, refusal.attempt) == asked:",
            "if refusal.name == attempt.name:",
        ),
        (
            "take the run of the round, not of the Rendezvous",
            "return status.history[-1].run_id if status.history else",
            "return",
        ),
        ("stop when its own object is gone", "    if name_lost:\n        return 1\n", ""),
        (
            "train on when the Rendezvous is deleted",
            "    if rendezvous is None:\n        return 0\n",
            "    if rendezvous is None:\n        return 1\n",
        ),
        (
            "stop when the Rendezvous was recreated",
            "if (rendezvous.metadata.uid, status.round, status.store) != (membership.uid,",
            "if (membership.uid, status.round, status.store) != (membership.uid,",
        ),
        (
            "stop when another round is the last one",
            "if (rendezvous.metadata.uid, status.round, status.store) != (membership.uid,",
            "if (rendezvous.metadata.uid, membership.round, status.store) != (membership.uid,",
        ),
        (
            "stop when the round has another store",
            "if (rendezvous.metadata.uid, status.round, status.store) != (membership.uid,",
            "if (rendezvous.metadata.uid, status.round, membership.store) != (membership.uid,",
        ),
        (
            "stop when the round has other members",
            "return (mine.name, mine.incarnation, mine.attempt, mine.rank) in entries",
            "return True",
        ),
        (
            "see that a round gathers",
            "gathered = status.formation is not None and status.formation.reason is FormationReason.GATHERING",
            "gathered = False",
        ),
        (
            "see that it is held out",
            "next((entry for entry in status.held_out if entry.name == attempt.name), None)",
            "None",
        ),
        (
            "take no hold-out of another node",
            "in status.held_out if entry.name == attempt.name)",
            "in status.held_out)",
        ),
    ),
    *of(
        "handler/rendezvous_handler/join/clock.py",
        ["test_handler_waiting.py"],
        ("stop its join clock while it is a spare", "if aside or self._aside:", "if False:"),
        ("stop its join clock until the next look after it was a spare", "if aside or self._aside:", "if aside:"),
        ("stop its join clock while no time counts", "elif counts:", "else:"),
        (
            "give the whole join timeout again",
            "        self.tick(counts=False)\n        self.used = 0.0",
            "        self.tick(counts=False)",
        ),
        ("believe in a hold-out for its own time only", "< entry.until and seconds < entry.seconds", "< entry.until"),
        (
            "believe in no hold-out after which the operator has said more",
            "told < entry.until and seconds < entry.seconds",
            "seconds < entry.seconds",
        ),
        (
            "begin that time again with another hold-out",
            "seconds = self._same.seconds(entry)",
            "seconds = self._same.seconds(entry is not None)",
        ),
    ),
    *of(
        "handler/rendezvous_handler/join/wait.py",
        ["test_handler_waiting.py"],
        (
            "take the join timeout of the Rendezvous",
            "        self._limit = float(rendezvous.spec.timeouts.join_seconds)\n",
            "",
        ),
        (
            "stop its join clock while the Rendezvous is suspended",
            " and not hidden and not self._suspended",
            " and not hidden",
        ),
        (
            "stop its join clock in an outage",
            "counts = not agent.client.contact.failing and not hidden",
            "counts = not hidden",
        ),
        (
            "stop its join clock until what an outage has hidden is read",
            "counts = not agent.client.contact.failing and not hidden",
            "counts = not agent.client.contact.failing",
        ),
        (
            "stop the join clock of a member while it is refused",
            "isinstance(error, UnreachableError) or (self._is_member and may_pass(error))",
            "isinstance(error, UnreachableError)",
        ),
        (
            "believe in a gathering only of an operator that is there",
            "counts = gathered and self.reporter.noticed",
            "counts = gathered",
        ),
        (
            "stop its join clock while it is held out",
            "return waiting.spare or gathered or self.held_out",
            "return waiting.spare or gathered",
        ),
        ("stop its join clock for a spare", "return waiting.spare or gathered", "return gathered"),
        ("end a join whose handler was shut down", "        if agent.stopped:\n", "        if False:\n"),
        (
            "stop its join clock while a round gathers",
            "return waiting.spare or gathered or self.held_out",
            "return waiting.spare or held_out",
        ),
        (
            "stop its join clock for no longer than a round may gather",
            "return self._gathers.seconds(counts) <= self._gathers_seconds and counts",
            "return counts",
        ),
        (
            "begin that time again with the next gathering",
            "self._gathers.seconds(counts)",
            "self._gathers.seconds(True)",
        ),
        (
            "count that time from when a round began to gather",
            "self._gathers.seconds(counts)",
            "self._gathers.seconds(self.clock.elapsed)",
        ),
    ),
    *of(
        "handler/rendezvous_handler/join/join.py",
        ["test_handler_join.py", "test_handler_waiting.py", "test_handler_leaving.py"],
        (
            "read once more before it gives up",
            "                last_look = agent.watch.list_again()\n",
            "                self._wait.give_up(self._wait.reporter.summary(state.rendezvous))\n",
        ),
        ("give up only after that read was answered", "            elif listed >= last_look:\n", "            else:\n"),
        (
            "join again when it is asked to",
            "                if decided.reason is RefusalReason.JOIN_ANEW:\n                    return decided\n",
            "",
        ),
        (
            "end when its name was taken",
            "            if agent.participant.taken is not None:\n"
            "                raise StateError(str(agent.participant.taken))\n"
            "            listed",
            "            listed",
        ),
        (
            "join again when what it waits for is gone",
            "if state.rendezvous is None or agent.participant.gone:",
            "if state.rendezvous is None:",
        ),
        (
            "say what it saw before a round that has ended",
            "if ended and (point.complete or not point.ends_within(_LAST_WORDS_SECONDS)):",
            "if ended:",
        ),
        (
            "leave a round that ended during its check-in",
            "            if ended and (point.complete or not point.ends_within(_LAST_WORDS_SECONDS)):\n",
            "            if False:\n",
        ),
        (
            "name no rank that it does not know",
            "for rank in seen.missing if rank in members]",
            "for rank in seen.missing]",
        ),
        (
            "say nothing of a check-in without time to see anything",
            "    if seen is None:\n        return None\n    missing",
            "    missing",
        ),
        (
            "tell that a person has closed the run",
            "by_a_person = closed in (ClosedReason.CLOSE_REQUESTED, ConditionReason.CLOSED_BY_SPEC)",
            "by_a_person = False",
        ),
        (
            "tell that a start comes late",
            "late = closed is not None and self._reason is AttemptReason.START",
            "late = False",
        ),
    ),
    *of(
        "handler/rendezvous_handler/torchrun/round_store.py",
        ["test_handler_store.py"],
        ("use no store of another Rendezvous", "        if owner != self.membership.uid:\n", "        if False:\n"),
        (
            "say nothing of a store that it had no time to reach",
            "return Seen(reached=False) if tried or failed else None",
            "return Seen(reached=False)",
        ),
        (
            "say that it did not reach the store",
            "return Seen(reached=False) if tried or failed else None",
            "return None",
        ),
        (
            "say what the host saw of its own store",
            "failed = self.error is not None and self.membership.rank == 0",
            "failed = False",
        ),
        ("name the missing only if all that came are listed", "if there == len(listed):", "if True:"),
        (
            "leave the others time to ask the host who is missing",
            "            self._deadline += _LONGER_AT_HOST_SECONDS  # the others ask this store who is "
            "missing, before it goes\n",
            "            pass\n",
        ),
        (
            "give up a check-in that is closed",
            "            if self._closed:\n                raise",
            "            if False:\n                raise",
        ),
        (
            "count only members that have checked in as left",
            "if self.complete and self.membership.rank != 0:",
            "if self.membership.rank != 0:",
        ),
        ("keep the server until all others have left", ">= self.membership.nodes - 1)", ">= 0)"),
        (
            "let the server go when it was closed meanwhile",
            "        if self._closed:\n            self._server = None\n            if",
            "        if self._closed:\n            if",
        ),
        (
            "tell a store that was closed from members that did not come",
            "            if time.monotonic() < self._deadline:\n                cause",
            "            if False:\n                cause",
        ),
    ),
]
