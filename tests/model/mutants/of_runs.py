"""The guards of runs: how one claims the Rendezvous, how it is closed, and which nodes are refused."""

from tests.model.mutants.mutant import of

MUTANTS = [
    *of(
        "operator/rendezvous_operator/core/runs/claim.py",
        [
            "core/test_claim.py",
            "core/test_observe.py",
            "core/test_run_of_node.py",
            "core/test_run_without_workload.py",
            "core/test_held_out.py",
            "core/test_fault_of_check_in.py",
        ],
        (
            "keep a run of which agents are left",
            "if s.spec.closed or (s.run.open and s.has_agents_left):",
            "if s.spec.closed:",
        ),
        (
            "claim no Rendezvous that the user has closed",
            "if s.spec.closed or (s.run.open and s.has_agents_left):",
            "if s.run.open and s.has_agents_left:",
        ),
        (
            "keep a run for pods of which no agent has joined yet",
            "return unattended + s.spec.timeouts.join_seconds if s.pods_of_run or s.unspoken_pods else unattended",
            "return unattended + s.spec.timeouts.join_seconds if s.pods_of_run else unattended",
        ),
        (
            "keep it no longer than a node would wait",
            "return unattended + s.spec.timeouts.join_seconds if s.pods_of_run or s.unspoken_pods else unattended",
            "return math.inf if s.pods_of_run or s.unspoken_pods else unattended",
        ),
        (
            "let no closed run claim it again",
            "and s.run.why_over(node.run) is None and s.allows(node)",
            "and s.allows(node)",
        ),
        ("let no run claim it that spec or address keep out", "is None and s.allows(node):", "is None:"),
        (
            "let the next launch of a workload follow while pods are left",
            "may_claim = free or launch_of(s.run.id, node.run.workload) is not None",
            "may_claim = free",
        ),
        ("call an abandoned run so", "run = closed(run, abandoned)", "pass"),
        ("begin a run without failures of the run before", "        failures=(),\n", ""),
        ("begin a run without hold-outs of the run before", "        held_out=(),\n", ""),
        ("begin a run with 0 restarts", "        restarts=0,\n", ""),
        ("ask the members of an abandoned run that comes back", "asked=run.round_run == first.run_id,", "asked=False,"),
        (
            "keep a run for its pods that run without an agent",
            "return unattended + s.spec.timeouts.join_seconds if s.pods_of_run or s.unspoken_pods else unattended",
            "return unattended + s.spec.timeouts.join_seconds if s.unspoken_pods else unattended",
        ),
        (
            "take a run that comes back off the closed ones",
            "tuple(other for other in run.closed_runs if other.run_id != first.run_id)",
            "run.closed_runs",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/runs/close.py",
        ["core/test_close.py", "core/test_refuse.py", "core/test_run_of_node.py", "core/test_run_without_workload.py"],
        ("close a run whose member has succeeded", "if view.state is MemberState.SUCCEEDED:", "if False:"),
        (
            "close no run for the success of a member of another one",
            "for view in s.members_not_running if s.run.has_round else ():",
            "for view in s.members_not_running:",
        ),
        (
            "close no run for a request that may be of an earlier launch",
            "close_requested and not _may_be_of_an_earlier_launch(s, node)",
            "close_requested",
        ),
        (
            "close no run for a failure that may be of an earlier launch",
            "        and not _may_be_of_an_earlier_launch(s, node)\n",
            "",
        ),
        (
            "close no run for an agent of a deleted Rendezvous",
            "if node.run_id == s.run.id and node.addressed)",
            "if node.run_id == s.run.id)",
        ),
        ("let nodes come back before a run has failed", "+ s.spec.timeouts.join_seconds", "+ 0"),
        ("close no run that is suspended", "return s.run.open and not s.spec.suspend and", "return s.run.open and"),
        ("close no run of which a node is left", " and not s.has_nodes_left", ""),
        ("take a failure for made good by a later round", " and (not s.run.has_round or node.name in s.entries)", ""),
        (
            "make no spare of a dead node",
            "if node.dead is not None or node.is_member",
            "if node.is_member",
        ),
        (
            "make no spare of a member",
            "if node.dead is not None or node.is_member(s.entries.get(node.name)):",
            "if node.dead is not None:",
        ),
        (
            "make no spare of a node whose workers have failed",
            "return node.object.spec.attempt_reason is not AttemptReason.WORKER_FAILURE or node.name in s.run.spares",
            "return True",
        ),
        (
            "keep a spare whose workers had failed before",
            "AttemptReason.WORKER_FAILURE or node.name in s.run.spares",
            "AttemptReason.WORKER_FAILURE",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/runs/refuse.py",
        [
            "core/test_refuse.py",
            "core/test_join_anew.py",
            "core/test_close.py",
            "core/test_run_of_node.py",
            "core/test_run_without_workload.py",
            "core/test_claim.py",
            "core/test_observe.py",
        ],
        (
            "refuse the nodes of another run",
            "if run.open and node.run_id != run.id and launch_of(run.id, node.run.workload) is None:",
            "if False:",
        ),
        (
            "let the next launch of a workload wait",
            "if run.open and node.run_id != run.id and launch_of(run.id, node.run.workload) is None:",
            "if run.open and node.run_id != run.id:",
        ),
        (
            "refuse all nodes while the user has closed it",
            "    if s.spec.closed:\n        message =",
            "    if False:\n        message =",
        ),
        ("refuse nodes of a closed run", "if closed is not None:", "if False:"),
        (
            "refuse addresses of others",
            "    if node.has_wrong_address:\n        return _Answer",
            "    if False:\n        return _Answer",
        ),
        ("refuse runs other than spec.runID", "    if not s.allows(node):\n", "    if False:\n"),
        ("let a refusal of a closed run stand", "if old is not None and _is_final(old, node):", "if False:"),
        (
            "take a refusal for one of that attempt only",
            "return same and not may_change and not by_spec",
            "return not may_change and not by_spec",
        ),
        (
            "take back a refusal by spec.closed",
            "return same and not may_change and not by_spec",
            "return same and not may_change",
        ),
        (
            "take back a refusal that may change",
            "return same and not may_change and not by_spec",
            "return same and not by_spec",
        ),
        (
            "keep JoinAnew while its node is silent",
            "if refusal.reason is RefusalReason.JOIN_ANEW and _may_ask_still(s, refusal):",
            "if False:",
        ),
        (
            "take back JoinAnew when the agent has acted on it",
            "return (spec.incarnation, spec.attempt) == (refusal.incarnation, refusal.attempt)",
            "return True",
        ),
        (
            "take back JoinAnew when the agent has left",
            "if node is None or not node.lives:",
            "if node is None:",
        ),
        (
            "drop no member that has joined again",
            "return node.lives and node.is_member(view.member)",
            "return node.lives",
        ),
        (
            "answer no dropped member that has left",
            "return node.lives and node.is_member(view.member)",
            "return node.is_member(view.member)",
        ),
        (
            "drop members of the same run only",
            "    if not s.run.has_round:\n        return s.run\n    dropped",
            "    if False:\n        return s.run\n    dropped",
        ),
        (
            "bound the answers",
            "tuple(_in_turn(s, answers)[: names.MAX_REFUSED])",
            "tuple(_in_turn(s, answers))",
        ),
        ("answer the nodes of each pod in turn", "if len(answers) <= names.MAX_REFUSED:", "if True:"),
        (
            "leave the answers in the order in which they were given",
            "standing = [answers.pop(old.name) for old in s.run.refused if old.name in answers]",
            "standing: list[Refusal] = []",
        ),
        (
            "read the pod of a node before it is refused",
            "if answer is not None and not _must_be_read(s, node):",
            "if answer is not None:",
        ),
        (
            "end a spare of a run that has succeeded with 0",
            "AttemptReason.MEMBERSHIP_CHANGE or node.name in s.listed_spares:",
            "AttemptReason.MEMBERSHIP_CHANGE:",
        ),
        (
            "end a member that was called back with 0",
            "if spec.attempt_reason is AttemptReason.MEMBERSHIP_CHANGE or node.name",
            "if node.name",
        ),
        (
            "end only starts and members with 0",
            "if spec.attempt_reason is not AttemptReason.START or node.run.workload",
            "if node.run.workload",
        ),
        (
            "end no start of an --rdzv-id with 0",
            "AttemptReason.START or node.run.workload in (None, names.UNNAMED_RUN):",
            "AttemptReason.START:",
        ),
        (
            "end no start of another Job with the same label with 0",
            "or (pod.owner_uid, pod.workload) in s.labels_with_success",
            "or True",
        ),
        (
            "tell failed workers that their run has succeeded without them",
            "if closed is ClosedReason.RUN_SUCCEEDED and node.object.spec.attempt_reason is "
            "AttemptReason.WORKER_FAILURE:",
            "if False:",
        ),
        (
            "give JoinAnew before the other answers",
            "places.append((may_wait, given[may_wait, pod]))",
            "places.append((False, given[may_wait, pod]))",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/runs/refuse.py",
        ["core/test_room_for_answers.py"],
        (
            "take each agent without a pod for one of its own",
            "object.spec.pod_uid or answer.name",
            'object.spec.pod_uid or ""',
        ),
        (
            "answer dropped members that send heartbeats first",
            "in sorted(dropped, key=lambda view: bool(view.silent))",
            "in dropped",
        ),
        (
            "owe no answer to a spare that has one",
            "spares = frozenset(s.run.spares) - answered",
            "spares = frozenset(s.run.spares)",
        ),
        (
            "owe no answer to a node of another run",
            "node.name in spares and node.run_id == s.run.id for",
            "node.name in spares for",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/runs/rules.py",
        ["core/test_refuse.py", "core/test_close.py", "core/test_claim.py"],
        (
            "answer the spares before another run claims it",
            "        s = s.with_run(refuse.answer_all(s))\n        until",
            "        until",
        ),
        (
            "wait with the next claim until the spares have their answers",
            "if refuse.owes_answers(s) and not timers.passed(until):",
            "if False:",
        ),
        (
            "wait with the next claim no longer than a minute",
            "if refuse.owes_answers(s) and not timers.passed(until):",
            "if refuse.owes_answers(s):",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/run.py",
        [
            "core/test_refuse.py",
            "core/test_claim.py",
            "core/test_close.py",
            "core/test_budget.py",
            "core/test_run_of_node.py",
            "core/test_run_without_workload.py",
            "core/test_history.py",
        ],
        (
            "let an abandoned run come back",
            "        if reason is ClosedReason.ABANDONED:\n            return None\n",
            "        if reason is ClosedReason.ABANDONED:\n            return reason\n",
        ),
        (
            "go on with the run that has claimed the Rendezvous",
            "if reason is None and run.id != self.id:",
            "if reason is None:",
        ),
        (
            "take a later launch for the end of an earlier one",
            "return ClosedReason.RUN_SUCCEEDED if last is not None and last > run.launch else None",
            "return None",
        ),
        (
            "call back the members of a run whose budget is spent",
            "calls_back = cause.reason is ClosedReason.RESTART_BUDGET_EXHAUSTED",
            "calls_back = False",
        ),
        (
            "take the members of another run for none of this one",
            "return self.round_run is not None and self.round_run == self.id",
            "return self.round_run is not None",
        ),
        (
            "take a later launch for that end only if it has succeeded",
            " if closed.reason is ClosedReason.RUN_SUCCEEDED)",
            ")",
        ),
    ),
]
