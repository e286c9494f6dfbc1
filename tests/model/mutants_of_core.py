"""The guards of the decision core."""

from tests.model.mutant import of

MUTANTS = [
    *of(
        "operator/rendezvous_operator/core/nodes.py",
        (
            "take a lower attempt than a member's for an older view",
            "return spec.attempt <= member.attempt and spec.incarnation == member.incarnation",
            "return spec.attempt == member.attempt and spec.incarnation == member.incarnation",
        ),
        (
            "call no lower attempt a new one",
            "if node.understood and spec.attempt > member.attempt:",
            "if node.understood and spec.attempt != member.attempt:",
        ),
        (
            "believe the interval that an agent keeps",
            "return max(min(said, LONGEST_INTERVAL_SECONDS), spec.heartbeat.interval_seconds)",
            "return spec.heartbeat.interval_seconds",
        ),
        (
            "take the leave of an earlier attempt for one of an earlier member",
            "if node.left is not None and spec.attempt >= member.attempt:",
            "if node.left is not None:",
        ),
        (
            "ignore the round in a heartbeat of another attempt",
            "reported_round=heartbeat.round if current else 0,",
            "reported_round=heartbeat.round,",
        ),
        (
            "leave out nodes that joined a deleted Rendezvous",
            "addressed=spec.rendezvous_uid == world.rendezvous.metadata.uid,",
            "addressed=True,",
        ),
        (
            "leave out nodes whose pods end soon",
            "return self.present and self.leaving is None",
            "return self.present",
        ),
        (
            "take the agent that restarted for another one",
            "if node.understood and spec.incarnation != member.incarnation:",
            "if False:",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/observe.py",
        (
            "read another incarnation before it is the newer one",
            "| _restarted(world, views)",
            "",
        ),
        (
            "read members that no watch has shown",
            "liveness.to_read | unseen | vanished",
            "liveness.to_read | vanished",
        ),
        (
            "read pods that are shown no more",
            "liveness.to_read | unseen | vanished",
            "liveness.to_read | unseen",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/liveness.py",
        (
            "keep a round that is isolated",
            "if cut_off else (False, None)",
            "if False else (False, None)",
        ),
        (
            "excuse the time in which a round was isolated",
            "if began is not None and not cut_off:",
            "if False:",
        ),
        (
            "read a participant before it is silent",
            "if seen.read_at is None or seen.read_at < limit_at:",
            "if False:",
        ),
        (
            "lose no node while all are silent",
            "if len(silences) == len(expected) >= 2:",
            "if False:",
        ),
        (
            "give each node a full period after all were silent",
            "if (Timer.ALL_SILENT, None) in memory.since:",
            "if False:",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/facts.py",
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
    ),
    *of(
        "operator/rendezvous_operator/core/start/exclusivity.py",
        (
            "wait for members that may still run the round",
            "if not members and not others:",
            "if True:",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/blocking.py",
        (
            "wait for nodes that report a round in which they are not listed",
            "return [node for node in unlisted(s) if not timers.passed(unlisted_overdue_at(s, timers, node))]",
            "return []",
        ),
        (
            "stop waiting for members that were asked long ago",
            "if members_are_asked(s) and timers.passed(overdue_at(s, timers)):",
            "if False:",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/end/rules.py",
        (
            "leave an isolated round alone in a scale-up or a suspension",
            "if not (s.liveness.isolated and rule in _NOT_WHILE_ISOLATED)",
            "if True",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/situation.py",
        (
            "apply the short limit of silence only to a round that is broken",
            "if broken or any(view.state is MemberState.REENTERED for view in self.views):",
            "if True:",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/start/suspended.py",
        (
            "publish no round while it is suspended",
            "if not s.spec.suspend:",
            "if True:",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/sizes/sizes.py",
        (
            "keep to minNodes",
            "return spec.min_nodes <= size <= spec.max_nodes",
            "return size <= spec.max_nodes",
        ),
        (
            "keep to maxNodes",
            "return spec.min_nodes <= size <= spec.max_nodes",
            "return spec.min_nodes <= size",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/end/too_many_nodes.py",
        (
            "end a round that is too large",
            "if s.status.nodes > s.spec.max_nodes:",
            "if False:",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/end/restart_requested.py",
        (
            "carry out a request for a round only once",
            "if request is not None and request != s.run.restart_request:",
            "if request is not None:",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/garbage.py",
        (
            "keep the objects of members",
            "if may_run and node.name in s.entries:",
            "if False:",
        ),
        (
            "delete nothing while all are silent",
            "    if s.liveness.all_silent:\n        return\n",
            "    if False:\n        return\n",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/runs/claim.py",
        (
            "keep a run of which agents are left",
            "if s.spec.closed or (s.run.open and s.has_agents_left):",
            "if s.spec.closed:",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/runs/refuse.py",
        (
            "refuse the nodes of another run",
            "if run.open and node.run_id != run.id and launch_of(run.id, node.run.workload) is None:",
            "if False:",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/end/budget.py",
        (
            "count failures only",
            "s.run.has_round and failures.of_current(s) is not None",
            "s.run.has_round",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/decide.py",
        (
            "wait until all kinds are listed",
            "if not world.complete:",
            "if False:",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/runs/close.py",
        (
            "close a run whose member has succeeded",
            "if view.state is MemberState.SUCCEEDED:",
            "if False:",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/start/replacements.py",
        (
            "wait for replacements",
            "if not s.run.has_round or len(picked.queue) >= wanted:",
            "if True:",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/start/last_call.py",
        (
            "wait for the last call",
            "if s.run.has_round or not picked.chosen or len(picked.queue) >= s.sizes.most:",
            "if True:",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/invariants.py",
        (
            "notice in a last check that a node may still train",
            '_expect(node.name in members or not _may_train(s, timers, node), f"{node.name} may still train '
            'beside it")',
            "pass",
        ),
    ),
]
