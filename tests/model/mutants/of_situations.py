"""The guards of what decisions derive from nodes, pods and timers."""

from tests.model.mutants.mutant import of

MUTANTS = [
    *of(
        "operator/rendezvous_operator/core/facts.py",
        [
            "core/test_timers.py",
            "core/test_exclusivity.py",
            "core/test_liveness.py",
            "core/test_isolated_rounds.py",
            "core/test_suspended.py",
            "core/test_history.py",
            "core/test_close.py",
        ],
        (
            "let the time to join again run on while a member is silent",
            "if s.run.asked or s.run.called_back:",
            "if (s.run.asked or s.run.called_back) and s.blocking_members:",
        ),
        (
            "keep a fact from beginning in the future",
            "max(min(memory.since.get(fact, now), now), floor)",
            "max(memory.since.get(fact, now), floor)",
        ),
        (
            "start no timer before the first heartbeat after all were silent",
            "max(min(memory.since.get(fact, now), now), floor)",
            "min(memory.since.get(fact, now), now)",
        ),
        (
            "call a round checked in only when all members report it",
            "last.checked_in is None and _all_run(s, last.round)",
            "last.checked_in is None",
        ),
        (
            "run no last call while it is suspended",
            "if s.may_publish and not s.run.has_round and",
            "if s.forms and not s.run.has_round and",
        ),
        ("wait for no replacements while it is suspended", "drained = s.may_publish and", "drained = s.forms and"),
        (
            "count the time without nodes only while none is left",
            "if s.run.open and not s.is_attended:",
            "if s.run.open:",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/situation.py",
        [
            "core/test_isolated_rounds.py",
            "core/test_liveness.py",
            "core/test_claim.py",
            "core/test_refuse.py",
            "core/test_close.py",
            "core/test_last_call.py",
            "core/test_join_anew.py",
            "core/test_run_of_node.py",
            "core/test_run_without_workload.py",
            "core/test_spares.py",
            "core/test_known_pods.py",
            "core/test_held_out.py",
            "core/test_fault_of_check_in.py",
        ],
        (
            "apply the short limit of silence only to a round that is broken",
            "if broken or any(view.state is MemberState.REENTERED for view in self.views):",
            "if True:",
        ),
        ("apply no short limit to an isolated round", "(self.liveness.isolated and not self._given_up)", "False"),
        (
            "apply the short limit to an isolated round that the user gives up",
            "(self.liveness.isolated and not self._given_up)",
            "self.liveness.isolated",
        ),
        (
            "choose no node that is refused",
            "and node.name not in refused and self.allows(node)",
            "and self.allows(node)",
        ),
        (
            "choose no node of another run",
            "if node.run_id == self.run.id and node.name not in refused",
            "if node.name not in refused",
        ),
        (
            "choose no node that spec or address keep out",
            "node.name not in refused and self.allows(node)",
            "node.name not in refused",
        ),
        (
            "take another agent of its name for no spare that was answered",
            "if answered.get(node.name, node.object.spec.incarnation) == node.object.spec.incarnation",
            "if True",
        ),
        (
            "count a member that may still train as left",
            "if self.run.has_round and self.blocking_members:",
            "if False:",
        ),
        (
            "count the pods of a run as left",
            "return self.has_agents_left or bool(self.pods_of_run)",
            "return self.has_agents_left",
        ),
        (
            "count only live pods",
            "if pod.known and pod.live and not",
            "if pod.known and not",
        ),
        ("choose no node with an address of others", "if node.has_wrong_address:", "if False:"),
        ("keep to spec.runID", "return self.spec.run_id in (", "return True or self.spec.run_id in ("),
        ("expect no pod whose agent has left", "if pod.uid not in gone)", "if True)"),
        (
            "end the last call early only when all known pods wait",
            "return bool(expected) and expected ==",
            "return bool(expected) or expected ==",
        ),
        (
            "believe a pod of the same label that has been in a round",
            "(node.left is LeaveReason.SUCCEEDED or been_in_a_round)",
            "node.left is LeaveReason.SUCCEEDED",
        ),
        (
            "call a run with pods that have not begun to run attended",
            'or any(pod.phase != "Running" for pod in self.pods_of_run)',
            "or False",
        ),
        (
            "call no run attended by pods that run without an agent",
            'or any(pod.phase != "Running" for pod in self.pods_of_run)',
            "or bool(self.pods_of_run)",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/situation.py",
        ["core/test_known_pods.py", "core/test_member_lost.py"],
        (
            "count only known pods",
            "if pod.known and pod.live and not",
            "if pod.live and not",
        ),
        (
            "count no pod whose agents have all ended",
            " and not over.get(pod.uid, False)",
            "",
        ),
        (
            "count a pod of which one agent has not ended",
            "node.over and over.get(node.object.spec.pod_uid, True)",
            "node.over or over.get(node.object.spec.pod_uid, False)",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/blocking.py",
        [
            "core/test_exclusivity.py",
            "core/test_invariants.py",
            "core/test_history.py",
            "core/test_build.py",
            "core/test_budget.py",
        ],
        (
            "wait for nodes that report a round in which they are not listed",
            "return [node for node in unlisted(s) if not timers.passed(unlisted_overdue_at(s, timers, node))]",
            "return []",
        ),
        (
            "stop waiting for such nodes after a while",
            "if not timers.passed(unlisted_overdue_at(s, timers, node))]",
            "if True]",
        ),
        (
            "wait for nodes that may run a round of a deleted Rendezvous",
            "or (node.understood and not node.addressed)",
            "",
        ),
        ("wait only for such nodes as send heartbeats", "if node.present)", "if True)"),
        (
            "stop waiting for members that were asked long ago",
            "if members_are_asked(s) and timers.passed(overdue_at(s, timers)):",
            "if False:",
        ),
        (
            "ask the members of a run whose budget is spent",
            "return s.run.has_round or s.run.called_back",
            "return s.run.has_round",
        ),
    ),
]
