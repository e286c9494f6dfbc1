"""The guards of the start of a round: who is chosen, in which order, when, and with which ranks."""

from tests.model.mutants.mutant import of

MUTANTS = [
    *of(
        "operator/rendezvous_operator/core/select/select.py",
        [
            "core/test_close.py",
            "core/test_spares.py",
            "core/test_scale_up.py",
            "core/test_held_out.py",
            "core/test_fault_of_check_in.py",
            "core/test_size.py",
            "core/test_allowed_sizes.py",
            "core/test_refuse.py",
        ],
        (
            "pass over those that are held out",
            "out, kept_out = held_out.passed_over(s, timers),",
            "out, kept_out = (),",
        ),
        ("keep the spares of a closed run", "return Selection(spares=spares.of_a_closed_run(s))", "return Selection()"),
        (
            "take in only as many as fit",
            "chosen = choose(s, [*s.entries, *spares.names_of(queue)])",
            "chosen = [*s.entries, *spares.names_of(queue)]",
        ),
        ("take in none if no more fit", "if not queue or grown(s, queue) <= s.status.nodes:", "if not queue:"),
        (
            "choose the members again first",
            "    if s.run.has_round:\n        ordered =",
            "    if False:\n        ordered =",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/select/spares.py",
        ["core/test_spares.py", "core/test_close.py", "core/test_refuse.py", "core/test_allowed_sizes.py"],
        (
            "list no spares if the round ends for all that wait",
            "return names_of(queue) if added < len(queue) else ()",
            "return names_of(queue)",
        ),
        ("list no spares if all fit", "    if size in (0, len(expected)):\n        return ()\n", ""),
        (
            "count members that may join again as expected",
            "expected = [*may_rejoin, *names_of(queue)]",
            "expected = names_of(queue)",
        ),
        (
            "list no spares in a first round that is not full",
            "        if len(chosen) < s.sizes.most:\n            return ()\n",
            "",
        ),
        ("list no member as a spare", "for node in queue if node.name not in s.entries)", "for node in queue)"),
        (
            "keep a node that starts later from the spares of a closed run",
            "if name in s.listed_spares and",
            "if name in s.nodes and",
        ),
        ("drop a spare that has left", " and s.nodes[name].left is None", ""),
    ),
    *of(
        "operator/rendezvous_operator/core/select/order.py",
        ["core/test_order.py", "core/test_stable.py", "core/test_replacements.py", "core/test_spares.py"],
        ("go by podIndex only if all have one", "if None not in indices and len(set(indices))", "if len(set(indices))"),
        (
            "go by podIndex only if none repeats",
            "if None not in indices and len(set(indices)) == len(indices):",
            "if None not in indices:",
        ),
        (
            "ignore an index that repeats",
            "participant.spec.pod_index is not None and repeats[participant.spec.pod_index] == 1",
            "participant.spec.pod_index is not None",
        ),
        ("let no node inherit from a member that is there", "if member.name not in present:", "if True:"),
        ("let each inherit one rank only", "if heir is not None and heir not in heirs:", "if heir is not None:"),
    ),
    *of(
        "operator/rendezvous_operator/core/rank/stable.py",
        ["core/test_stable.py"],
        ("give each node one rank", "if name in unassigned and rank < size and", "if rank < size and"),
        (
            "give no rank beyond the size",
            "if name in unassigned and rank < size and rank not in assigned:",
            "if name in unassigned and rank not in assigned:",
        ),
        ("give each rank to one node", "and rank < size and rank not in assigned:", "and rank < size:"),
        (
            "stand in only when the group shrinks",
            "members[rank] if rank < len(members) and size < len(members) else None",
            "members[rank] if rank < len(members) else None",
        ),
        ("stand in no longer once others fill the ranks", "        stands_in = {}  # other", "        pass  # other"),
        (
            "place by an index that does not repeat",
            "index is not None and repeats[index] == 1 and",
            "index is not None and",
        ),
        ("place by index only beyond the old size", " and index >= members and", " and"),
        (
            "keep who stands in only for one that stays",
            "return stands_in.get(rank) if stays else None",
            "return stands_in.get(rank)",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/rank/store_host.py",
        ["core/test_store_host.py", "core/test_held_out.py", "core/test_fault_of_check_in.py"],
        ("forget failed check-ins once all have met", " and failure.round > since", ""),
        ("take workers that failed for a sign that all have met", " or record.reason == _CHECKED_IN", ""),
        (
            "change a host only if there is another",
            "if not others or not _is_unfit(s, host, failed[host.name]):",
            "if not _is_unfit(s, host, failed[host.name]):",
        ),
        (
            "change only a host that is unfit",
            "if not others or not _is_unfit(s, host, failed[host.name]):",
            "if not others:",
        ),
        ("take no host that has failed more often", "if failed[other.name] > failed[host.name]:", "if False:"),
        (
            "try those that have failed after the others",
            "(failed[member.name], member.name in cut_off, steps[member.rank])",
            "(0, member.name in cut_off, steps[member.rank])",
        ),
        (
            "try those that reached the last store before the others",
            "(failed[member.name], member.name in cut_off, steps[member.rank])",
            "(failed[member.name], steps[member.rank])",
        ),
        (
            "do so only if half of the others reached it",
            "return seen.not_reached if 2 * seen.reached >= seen.others else ()",
            "return seen.not_reached",
        ),
        (
            "go on from the host before",
            "came_from = ranks.get(before[-1], 0) if before else 0",
            "came_from = 0",
        ),
        ("leave a host that has never failed", "return failed > 0\n", "return True\n"),
        (
            "change a host only for a check-in that failed with it",
            "if failure is None or (failure.node, failure.reason) != (host.name, RoundEndReason.CHECK_IN_FAILED):",
            "if False:",
        ),
        (
            "change a host at once only if the others say so",
            "at_fault = seen.not_reached and 2 * len(seen.not_reached) >= seen.others",
            "at_fault = True",
        ),
        (
            "change a host at once only if half of the others say so",
            "seen.not_reached and 2 * len(seen.not_reached) >= seen.others",
            "seen.not_reached",
        ),
        (
            "count failed check-ins only",
            "if failure.reason is RoundEndReason.CHECK_IN_FAILED and failure.round > since",
            "if failure.round > since",
        ),
        (
            "forget failed check-ins of rounds that are older than the history",
            "default=history[0].round - 1 if history else 0",
            "default=0",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/rank/store_host.py",
        ["core/test_store_host.py", "core/test_check_in_in_parts.py"],
        (
            "try hosts that are far from each other",
            "step = _step(len(ranked))",
            "step = 1",
        ),
        (
            "try each member as the host",
            "if gcd(step, size) == 1)",
            "if True)",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/sizes/sizes.py",
        ["core/test_sizes.py", "core/test_size.py", "core/test_allowed_sizes.py"],
        ("keep to minNodes", "range(spec.min_nodes, spec.max_nodes + 1)", "range(1, spec.max_nodes + 1)"),
        ("keep to maxNodes", "range(spec.min_nodes, spec.max_nodes + 1)", "range(spec.min_nodes, 2 * spec.max_nodes)"),
        ("keep to spec.sizes", "if all(rule(spec, size) for rule in SIZE_RULES)", ""),
    ),
    *of(
        "operator/rendezvous_operator/core/start/exclusivity.py",
        ["core/test_exclusivity.py", "core/test_history.py"],
        ("wait for members that may still run the round", "if not members and not others:", "if True:"),
        ("wait for nodes of other rounds", "if not members and not others:", "if not members:"),
        (
            "decide again when other nodes are overdue",
            "until=earliest(*(unlisted_overdue_at(s, timers, node) for node in others)),",
            "",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/start/suspended.py",
        ["core/test_suspended.py"],
        ("publish no round while it is suspended", "if not s.spec.suspend:", "if True:"),
    ),
    *of(
        "operator/rendezvous_operator/core/start/replacements.py",
        [
            "core/test_replacements.py",
            "core/test_held_out.py",
            "core/test_fault_of_check_in.py",
            "core/test_coming_pods.py",
        ],
        ("wait for replacements", "or len(picked.chosen) >= wanted or", "or True or"),
        (
            "wait for none if as many are there",
            "if not s.run.has_round or len(picked.chosen) >= wanted or",
            "if not s.run.has_round or",
        ),
        (
            "wait for no member that is held out",
            "sum(member.name not in passed_over for member in s.status.participants)",
            "len(s.status.participants)",
        ),
        ("wait for no more than fit", ">= s.sizes.fitting(members):", ">= members:"),
        (
            "stop to wait for replacements",
            "    if timers.passed(until):\n        return Met()\n    absent",
            "    absent",
        ),
        ("count from the last heartbeat", "min(drained, max(heard)) if heard and len(heard) == len(away) else", ""),
        ("count from an eviction", " and not view.evicted", ""),
        ("count so only if all were lost by silence", "if heard and len(heard) == len(away)", "if heard"),
        (
            "stop early only if that is sooner",
            "        if sooner < until:\n            until",
            "        if True:\n            until",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/coming_pods.py",
        ["core/test_coming_pods.py"],
        ("wait for no pod if none comes", "if not s.world.pods or", "if True or"),
        ("believe pods only where all nodes are in known ones", "if not _are_seen(s) or", "if"),
        (
            "wait for the end of pods",
            " or any(pod.known and _is_ending(pod) for pod in s.world.pods.values())",
            "",
        ),
        ("wait for a pod that may get a machine", "if not all(pod.unschedulable for pod in coming):", "if False:"),
        (
            "wait for none that is unschedulable",
            "if not all(pod.unschedulable for pod in coming):",
            "if coming:",
        ),
        ("know that a Job waits", " or _owners_replace_at_once(s)", " or True"),
        (
            "believe as many unschedulable pods as are lost",
            "return len(coming) >= len(s.lost) or",
            "return bool(coming) or",
        ),
        (
            "wait for a container that starts again",
            "if pod.uid in away or pod.uid not in here",
            "if pod.uid not in here and pod.uid not in away",
        ),
        ("know bare pods", "pod.owner_uid is None if pod.owner is None else", "False if pod.owner is None else"),
    ),
    *of(
        "operator/rendezvous_operator/core/start/last_call.py",
        ["core/test_last_call.py", "core/test_replacements.py"],
        (
            "wait for the last call",
            "if s.run.has_round or not picked.chosen or len(picked.chosen) == s.sizes.most:",
            "if True:",
        ),
        ("wait for it in a first round only", "if s.run.has_round or not picked.chosen or", "if not picked.chosen or"),
        (
            "wait no longer once all have come",
            "or not picked.chosen or len(picked.chosen) == s.sizes.most:",
            "or not picked.chosen:",
        ),
        ("wait for less once all known pods wait", "    if s.all_known_wait:\n", "    if False:\n"),
        ("wait no longer than the last call for that", "        if settled_at < until:\n", "        if True:\n"),
    ),
]
