"""The guards of what a decision writes."""

from tests.model.mutants.mutant import of

MUTANTS = [
    *of(
        "operator/rendezvous_operator/core/build.py",
        [
            "core/test_build.py",
            "core/test_join_anew.py",
            "core/test_decide.py",
            "core/test_liveness.py",
            "core/test_budget.py",
            "core/test_spares.py",
            "core/test_garbage.py",
            "core/test_history.py",
            "core/test_invariants.py",
            "core/test_held_out.py",
            "core/test_fault_of_check_in.py",
            "core/test_exclusivity.py",
            "core/test_claim.py",
        ],
        ("ask members that were dropped to join again", "        s = s.with_run(refuse.drop_members(s))\n", ""),
        ("check each status before it is written", "    invariants.check(s, timers, status)\n", "    _ = invariants\n"),
        ("wake no timer while all are silent", "*(() if s.liveness.all_silent else timed)", "*timed"),
        ("decide again when a node may be silent", "            s.liveness.changes_at,\n", ""),
        ("decide again when something is to be deleted", "            collected.until,\n", ""),
        ("decide again when a hold-out ends", "            held_out.changes_at(s, timers),\n", ""),
        (
            "ask members while no node waits",
            "return max(1, len(picked.queue) - len(picked.spares)) if",
            "return len(picked.queue) - len(picked.spares) if",
        ),
        (
            "ask no member while the round runs",
            "if not s.run.asked:",
            "if False:",
        ),
        ("call back members of a run whose budget is spent", "    if s.run.called_back:\n", "    if False:\n"),
        (
            "leave the members of a closed Rendezvous asked",
            "if s.takes_nodes else s.status.waiting_nodes",
            "if s.takes_nodes else 0",
        ),
        ("bound the spares", "        spares=picked.spares[: names.MAX_NODES],\n", "        spares=picked.spares,\n"),
        ("bound what a round waits for", "in waits.missing[: names.MAX_MISSING])", "in waits.missing)"),
        (
            "take a request for a round for carried out by any round",
            "        observed_restart_request=s.restart_request,\n",
            "",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/invariants.py",
        ["core/test_invariants.py"],
        (
            "notice a number that is not that of the members",
            '    _expect(after.nodes == len(after.participants), "`nodes` is not the number of members")\n',
            "",
        ),
        (
            "notice too many that are refused",
            '    _expect(len(after.refused) <= names.MAX_REFUSED, "too many are refused")\n',
            "",
        ),
        (
            "notice too many that are held out",
            '    _expect(len(after.held_out) <= names.MAX_HELD_OUT, "too many are held out")\n',
            "",
        ),
        (
            "notice a former round that runs",
            '    _expect(not any(record.running for record in after.history[:-1]), "a former round runs")\n',
            "",
        ),
        (
            "notice that a published round has changed",
            '        _expect(same, "a published round has changed")\n',
            "        pass\n",
        ),
        (
            "notice a round that is left out",
            '    _expect(after.round == s.status.round + 1, f"round {after.round} follows round {s.status.round}")\n',
            "",
        ),
        (
            "notice a round without a store or a run",
            '    _expect(after.store is not None and after.run_id is not None, "a round has no store or no run")\n',
            "",
        ),
        (
            "notice a size that is not allowed",
            '    _expect(after.nodes in s.sizes.allowed, f"a round has {after.nodes} nodes")\n',
            "",
        ),
        (
            "notice ranks that are not in order",
            '    _expect(ranks == list(range(after.nodes)), "ranks are not 0 to n-1 in order")\n',
            "",
        ),
        (
            "notice a node that is listed twice",
            '    _expect(len(members) == after.nodes, "a node is listed twice")\n',
            "",
        ),
        (
            "notice a refused node that is a member",
            '    _expect(members.keys().isdisjoint(refusal.name for refusal in after.refused), "a '
            'refused node is a member")\n',
            "",
        ),
        (
            "notice a spare that is a member",
            '    _expect(members.keys().isdisjoint(after.spares), "a spare is a member")\n',
            "",
        ),
        (
            "notice a member that is held out",
            '    _expect(members.keys().isdisjoint(out), "a node that is held out is a member")\n',
            "",
        ),
        (
            "notice a member that has not asked",
            '        _expect(node is not None and node.is_member(member), f"{name} has not asked for this round")\n',
            "        pass\n",
        ),
        (
            "notice in a last check that a node may still train",
            '        _expect(node.name in members or not _may_train(s, timers, node), f"{node.name} may '
            'still train beside it")\n',
            "        pass\n",
        ),
        ("expect nothing of a node that is silent", "    if not node.present:\n        return False\n", ""),
        (
            "expect nothing of a member that was asked long ago",
            "return not timers.passed(timers.began(Timer.ASKED, s.status.round) + limit)",
            "return True",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/decide.py",
        ["core/test_decide.py", "core/test_outdated.py", "core/test_held_out.py", "core/test_fault_of_check_in.py"],
        ("wait until all kinds are listed", "if not world.complete:", "if False:"),
        ("delete a Rendezvous for the next launch", "    if outdated is not None:\n", "    if False:\n"),
        ("end and forget hold-outs", "    s = renew_hold_outs(s, timers)\n", ""),
        ("find the fault for the end of a round", "    s = find_fault(s, timers)\n", ""),
    ),
    *of(
        "operator/rendezvous_operator/core/relevance.py",
        [
            "core/test_relevance.py",
            "watch/test_cache.py",
            "watch/test_cache_pods.py",
            "test_reconciler.py",
            "test_reconciler_unanswered.py",
        ],
        (
            "decide again when a node can be understood again",
            "if before is None or not before.understood or not",
            "if before is None or not",
        ),
        (
            "decide again when more than the time has changed",
            "not before.understood or not _is_same_but_time(before.object, after):",
            "not before.understood:",
        ),
        (
            "decide again after a heartbeat that ends a silence",
            "return is_heartbeat(before.object, after) and ends_a_silence(before, spec, now)",
            "return False",
        ),
        (
            "take no write of another client for a heartbeat",
            "return is_heartbeat(before.object, after) and ends_a_silence",
            "return ends_a_silence",
        ),
        ("write answers at once", "return bool(answers) or _without_details", "return _without_details"),
        ("let counts wait", "        waiting_nodes=min(status.waiting_nodes, 1),\n", ""),
        (
            "let the moment of an end wait",
            "        history=tuple(replace(record, ended=None) for record in status.history),\n",
            "",
        ),
    ),
]
