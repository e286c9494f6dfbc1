"""The guards of the handler: of what an agent reads and writes."""

from tests.model.mutants.mutant import of

MUTANTS = [
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
        "handler/rendezvous_handler/agent/request_thread.py",
        ["test_handler_request_thread.py"],
        (
            "send heartbeats also while calls wait",
            "            if self._until_next_beat() == 0:  # also",
            "            if self._calls.empty() and self._until_next_beat() == 0:  # also",
        ),
        (
            "pause after a heartbeat that failed",
            "self._next_beat = max(self._next_beat, self._not_before)",
            "pass",
        ),
        (
            "send one soon again that was not to wait",
            "if soon is not None and soon < pause:",
            "if False:",
        ),
        ("not let it wait longer than any other", "if soon is not None and soon < pause:", "if soon is not None:"),
        ("do so only if its connection broke", " or not broken:", ":"),
        ("do so only once", "within is None or self._failing or not", "within is None or not"),
        (
            "spread it as before",
            "random.uniform(*_SOON_AGAIN_SECONDS) + random.uniform(0.0, within)",
            "random.uniform(*_SOON_AGAIN_SECONDS)",
        ),
        (
            "let other heartbeats wait",
            "within, self._within = self._within, None",
            "within = self._within",
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
