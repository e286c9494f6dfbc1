"""The guards of the handler."""

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
        ("take no hold-out of another node", "if entry.name == attempt.name), None)", "if True), None)"),
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
        "handler/rendezvous_handler/agent/rendezvous_watch.py",
        ["test_handler_watch.py", "test_handler_waiting.py"],
        (
            "ignore an older version",
            "if version_number(found.metadata.resource_version) < version_number(known.metadata.resource_version):",
            "if False:",
        ),
        ("ignore a lower round", "return found.status.round >= known.status.round", "return True"),
        (
            "take another object of that name for newer",
            "if known is None or known.metadata.uid != found.metadata.uid:",
            "if known is None:",
        ),
        (
            "ignore an older deletion",
            'elif event.type == "DELETED" and version_number(self._resource_version) >= self._known_version():',
            'elif event.type == "DELETED":',
        ),
        ("keep only what is about it", 'if item["name"] == participant]', "if True]"),
        (
            "list when it is asked to",
            "if not self._resource_version or self._must_list:",
            "if not self._resource_version:",
        ),
        (
            "begin no watch from before a list that it is asked for",
            "if self._stopped.is_set() or self._must_list:",
            "if self._stopped.is_set():",
        ),
        (
            "list again after a watch that cannot go on",
            '                _logger.debug("listing the Rendezvous again: %s", error)\n'
            '                self._resource_version = ""\n',
            '                _logger.debug("listing the Rendezvous again: %s", error)\n',
        ),
        (
            "go on after an object that it does not understand",
            "            except Exception as error:\n                # Such",
            "            except ZeroDivisionError as error:\n                # Such",
        ),
    ),
    *of(
        "handler/rendezvous_handler/agent/participant.py",
        ["test_handler_participant.py", "test_handler_agent.py", "test_handler_leaving.py", "test_handler_waiting.py"],
        (
            "leave a name that another agent has taken",
            'if theirs.get("incarnation") != spec.incarnation and not first and not self._is_earlier(found):',
            "if False:",
        ),
        (
            "send no heartbeat for what is lost",
            "if spec is None or not self._uid or self.lost or spec.state is ParticipantState.LEFT:",
            "if spec is None or not self._uid or spec.state is ParticipantState.LEFT:",
        ),
        (
            "send no heartbeat after it has left",
            "or self.lost or spec.state is ParticipantState.LEFT:\n            return\n        (current_round",
            "or self.lost:\n            return\n        (current_round",
        ),
        (
            "leave once",
            "if self.spec is None or self.lost or self.spec.state is ParticipantState.LEFT:",
            "if self.spec is None or self.lost:",
        ),
        ("write to its own object only", '            {"op": "test", "path": "/metadata/uid", "value": uid},\n', ""),
        (
            "write as the agent that has the name only",
            '            {"op": "test", "path": "/spec/incarnation", "value": incarnation},\n',
            "",
        ),
        (
            "take a missing API for no deletion",
            "        if error.api_is_missing:  # that says nothing about the object, and must not end a "
            "training\n"
            "            raise error\n",
            "",
        ),
        (
            "find its object when the answer to its creation was lost",
            "            self._find_unanswered_create(spec.incarnation)\n",
            "            pass\n",
        ),
        (
            "count launches in one life only",
            '(theirs.get("life"), theirs.get("podUID")) != (spec.life, spec.pod_uid):',
            "False:",
        ),
        (
            "count a launch that ended well only",
            'int(before) + (theirs.get("leaveReason") == LeaveReason.SUCCEEDED.value)',
            "int(before) + 1",
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
    *of(
        "handler/rendezvous_handler/agent/request_thread.py",
        ["test_handler_request_thread.py"],
        (
            "send heartbeats also while calls wait",
            "            if self._until_next_beat() == 0:  # also",
            "            if self._calls.empty() and self._until_next_beat() == 0:  # also",
        ),
        (
            "pause after a heartbeat that failed",
            "            self._next_beat = max(self._next_beat, self._not_before)\n",
            "",
        ),
        (
            "send the next one earlier after the interval was shortened",
            "if not self._next_beat or self._next_beat > now + interval:",
            "if not self._next_beat:",
        ),
        (
            "end a call when its time has passed",
            "                if time.monotonic() >= deadline:\n",
            "                if False:\n",
        ),
        (
            "end a call when the thread was stopped",
            "                if not self._thread.is_alive():\n",
            "                if False:\n",
        ),
        (
            "bring no heartbeat later",
            "max(min(self._next_beat or at, at), self._not_before)",
            "max(at, self._not_before)",
        ),
        (
            "see by a heartbeat that fails that they do not arrive",
            "            self._failing = True\n            _logger.debug",
            "            _logger.debug",
        ),
        (
            "see by a heartbeat that takes long that they do not arrive",
            " or (sent_at is not None and now - sent_at > _LATE_SECONDS)",
            "",
        ),
        (
            "see by the next success that they arrive again",
            "time.monotonic(), False\n",
            "time.monotonic(), self._failing\n",
        ),
        (
            "let no heartbeat come before the pause after one that failed",
            "max(min(self._next_beat or at, at), self._not_before)",
            "min(self._next_beat or at, at)",
        ),
    ),
]
