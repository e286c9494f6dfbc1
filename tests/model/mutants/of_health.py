"""The guards for nodes that say that a health check has failed."""

from tests.model.mutants.mutant import of

_TESTS = ["core/test_unhealthy.py", "core/test_member_unhealthy.py"]

MUTANTS = [
    *of(
        "operator/rendezvous_operator/core/unhealthy.py",
        _TESTS,
        ("tell of each once", "if entry.name not in before]", "if True]"),
        ("list only as many as there is room for", "[: names.MAX_UNHEALTHY]", ""),
    ),
    *of(
        "operator/rendezvous_operator/core/situation.py",
        _TESTS,
        (
            "show none whose pod has ended",
            "node.name in self.names_unhealthy and node.dead is None)",
            "node.name in self.names_unhealthy)",
        ),
        ("show none of a run that has ended", "self.run.why_over(node.run) is None", "True"),
        (
            "show none of another run",
            "return node.run_id == self.run.id if self.run.open else",
            "return True if self.run.open else",
        ),
        ("wait for none of them as for a lost member", "            and view.name not in self.names_unhealthy\n", ""),
    ),
    *of(
        "operator/rendezvous_operator/core/nodes.py",
        _TESTS,
        (
            "take what a node that takes part says for no word of staying out",
            "return self.object.spec.unhealthy if self.left is not None else None",
            "return self.object.spec.unhealthy",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/start/replacements.py",
        _TESTS,
        (
            "wait for no replacement of one that is unhealthy",
            "s.names_unhealthy | picked.names_out",
            "picked.names_out",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/end/fault.py",
        _TESTS,
        (
            "let failures of others beside it cost no restart",
            "if any(view.unhealthy for view in s.members_not_running)",
            "if False",
        ),
        (
            "let such failures count when they go on and on",
            "if any(view.unhealthy for view in s.members_not_running) and not _goes_on_and_on(s):",
            "if any(view.unhealthy for view in s.members_not_running):",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/conditions.py",
        _TESTS,
        (
            "name a hold-out first",
            "ConditionReason.NODE_HELD_OUT if held else ConditionReason.NODE_UNHEALTHY",
            "ConditionReason.NODE_UNHEALTHY",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/start/size.py",
        _TESTS,
        (
            "say that it would be enough with them only if it would",
            " and fitting(s, [*joined, *s.unhealthy])",
            "",
        ),
    ),
    *of(
        "handler/rendezvous_handler/join/health.py",
        ["test_handler_health.py"],
        (
            "check before a join",
            "        self._start(_forming(rendezvous.status))\n        return self._await(wait)",
            "        return None",
        ),
        ("check a node that waits when a round is formed", "forming not in (None, self._covered) or ", ""),
        ("check a node that waits for long", " or self._now() - self._began_at > AGAIN_SECONDS", ""),
        (
            "check a new member that was not checked for its round",
            "if not self._checks or self._covered == number:",
            "if True:",
        ),
        (
            "wait for the checks of a new member that run already",
            "if self._run is None or self._run_is_for != number:",
            "if True:",
        ),
        ("give up in the end", "if left <= 0:", "if False:"),
        (
            "keep to the time that the user gives",
            "if self._retry_seconds is None or self._unhealthy_since is None:",
            "if True:",
        ),
        (
            "try again at once if a person asks for it",
            "seen.metadata.annotations.get(names.ANNOTATION_RETRY_AT) != asked",
            "False",
        ),
        (
            "ask for the answer of a run that has ended",
            "or rendezvous.status.closed_reason(self._of_run) is not None",
            "or False",
        ),
        (
            "know an earlier run from that of this node",
            "if status.run_id is not None and status.closed_reason(status.run_id) is None:",
            "if status.run_id is not None:",
        ),
        (
            "begin with a short pause after a long training",
            "            self._failures.reset()\n",
            "            pass\n",
        ),
        ("begin the join timeout again", "            wait.restart()\n", "            pass\n"),
        ("end checks for which no node waits", "            self._run.stop()\n", ""),
    ),
]
