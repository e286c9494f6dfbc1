"""The guards of the rules "bad machines" and "failing nodes"."""

from tests.model.mutants.mutant import of

_CORE = "operator/rendezvous_operator/core"
_MARKS = ["core/test_marks.py"]
_BAD_MACHINES = ["core/test_bad_machines.py"]
_FAILING_NODES = ["core/test_failing_nodes.py"]

MUTANTS = [
    *of(
        f"{_CORE}/marks.py",
        _MARKS,
        ("count no known label where the spec says so", "*(KNOWN_LABELS if known else ())", "*KNOWN_LABELS"),
        (
            "count no known condition where the spec says so",
            "*(KNOWN_CONDITIONS if known else ())",
            "*KNOWN_CONDITIONS",
        ),
        ("count no known taint where the spec says so", "*(KNOWN_TAINTS if known else ())", "*KNOWN_TAINTS"),
        (
            "let people keep no machine out where the spec says so",
            "if marks.known and is_excluded(machine.labels):",
            "if is_excluded(machine.labels):",
        ),
        ("count no mark of a pod where the spec says so", "if pod is not None and marks.known:", "if pod is not None:"),
        (
            "count no cordon where the spec says so",
            "if marks.cordoned and machine.cordoned:",
            "if machine.cordoned:",
        ),
        ("count a cordon", "if marks.cordoned and machine.cordoned:", "if False:"),
        ("count a machine that is named", "if name in marks.names:", "if False:"),
        ("compare the effect of a taint", 'effect in ("", taint.effect) and wanted', "wanted"),
        ("compare the value of a label", "if None in values or value in values:", "if values:"),
        ("take any value where none is given", "wanted = value if given else usual", "wanted = value"),
        ("count a condition only while it is True", '*exclude.conditions), usual="True")', "*exclude.conditions))"),
        (
            "compare the value behind a beginning",
            "key.startswith(beginning) and wanted in (None, value) for",
            "key.startswith(beginning) for",
        ),
        ("look for beginnings, too", "if self._beginnings or not self", "if not self"),
        ("count a pod that people keep out", "    if is_excluded(pod.labels):\n", "    if False:\n"),
        ("count an Unhealthy device", "    if pod.unhealthy_device is not None:\n", "    if False:\n"),
        ("let people say that a label does not count", '!= "false"\n', "is not None\n"),
        ("need no machine if nothing of one is a mark", "return bool(exclude.cordoned or", "return bool(True or"),
        ("tell each mark once", "', '.join(dict.fromkeys(what))", "', '.join(what)"),
    ),
    *of(
        f"{_CORE}/machines.py",
        _BAD_MACHINES,
        (
            "read no machines for a spec without marks of them",
            "    if not any(chooses(world.rendezvous.spec) for chooses in CHOOSE_BY_MACHINE):\n        return\n",
            "",
        ),
        ("read no machine of a member that trains on", " and not trains:", ":"),
        (
            "read the machines of all while a round is formed",
            "for member in status.participants} if trains_on else {}",
            "for member in status.participants}",
        ),
        (
            "read no machine of the members of a closed run",
            "status.running or status.closed_reason(status.run_id) is not None",
            "status.running",
        ),
        (
            "read no machine of who has left to choose from",
            "spec.node_name is not None and spec.state is ParticipantState.JOINED and",
            "spec.node_name is not None and",
        ),
    ),
    *of(
        f"{_CORE}/facts.py",
        ["core/test_machines.py"],
        ("take only a machine that is down for one", "if machine.problem is not None:", "if True:"),
    ),
    *of(
        f"{_CORE}/situation.py",
        _BAD_MACHINES,
        (
            "let a member on a cordoned machine stay",
            "is not PassedOverReason.CORDONED or name not in members",
            "is not None",
        ),
        (
            "keep a newcomer on a cordoned machine out",
            "is not PassedOverReason.CORDONED or name not in members",
            "is not PassedOverReason.CORDONED",
        ),
        (
            "take only members of a round of this run for members",
            "members = self.entries if self.run.has_round else {}",
            "members = self.entries",
        ),
        (
            "leave who is kept out out of the nodes to choose from",
            "if node.name not in kept_out) if kept_out else self.waiting",
            ")",
        ),
    ),
    *of(
        f"{_CORE}/select/bad_machines.py",
        _BAD_MACHINES,
        (
            "close a run only where the spec says so",
            "    if limit is None or not timers.holds(Timer.TOO_FEW_ELIGIBLE, s.run.id):\n",
            "    if limit is None:\n",
        ),
        (
            "close no run while a round runs",
            "    if not s.may_publish or not s.kept_out:\n",
            "    if not s.kept_out:\n",
        ),
        (
            "wait for members that may join again before a run is closed",
            "may_rejoin = [view.name for view in s.blocking_members] if s.run.has_round else []",
            "may_rejoin: list[str] = []",
        ),
        ("close no run of which others are missing, too", " and fitting(s, all_of_them) > 0", ""),
        ("close no run that has enough nodes without a mark", "return not fitting(s, left) and", "return"),
        (
            "look for no machine that may not be read",
            "if s.world.machines is None or not s.takes_nodes",
            "if not s.takes_nodes",
        ),
        ("look for no machine while no node waits", " or not s.waiting or", " or"),
        ("look for no machine without marks of machines", " or not need_machines(s.spec):", ":"),
        ("look again soon while a node is kept out", "if s.kept_out else None", "if False else None"),
        ("look again soon only while a node is kept out", "if s.kept_out else None", "if True else None"),
        ("look rarely while a round runs", "    if s.may_publish:\n        return", "    if True:\n        return"),
        ("look again while a round runs", "    return s.now.monotonic + RARELY_SECONDS\n", "    return None\n"),
        ("cut a long list of marks", "cut(in_words(marks), _LONGEST_MESSAGE)", "in_words(marks)"),
    ),
    *of(
        f"{_CORE}/select/failing_nodes.py",
        _FAILING_NODES,
        ("pass no node over without a limit", "policies.max_failures_per_node is None or len", "len"),
        (
            "allow as many failures as the spec says",
            "if too_many > 0 and (until",
            "if too_many >= 0 and of_node and (until",
        ),
        (
            "pass no node over without a limit of time",
            " and (until := max(of_node) + timedelta(seconds=_seconds(too_many))) > s.now.wall:",
            " and (until := max(of_node) + timedelta(seconds=_seconds(too_many))):",
        ),
        ("count from the last failure", "max(of_node) + timedelta", "min(of_node) + timedelta"),
        ("double the time with each failure", "FIRST_SECONDS << min(too_many - 1, 10)", "FIRST_SECONDS"),
        (
            "pass no node over for more than a day",
            "min(FIRST_SECONDS << min(too_many - 1, 10), LONGEST_SECONDS)",
            "FIRST_SECONDS << min(too_many - 1, 10)",
        ),
        (
            "count no failure of the future as one of later",
            "min(parse_time(failure.time) or s.now.wall, s.now.wall)",
            "parse_time(failure.time) or s.now.wall",
        ),
        (
            "forget failures after the window",
            "if window is not None and time + timedelta(seconds=window) <= s.now.wall:",
            "if False:",
        ),
        ("count a failure for its machine", "        if failure.machine is not None:\n", "        if False:\n"),
        (
            "count failures of the machine on which a node is now",
            'list(by_machine.get(spec.node_name or "", ()))',
            "list[datetime]()",
        ),
        ("count failures of a node whose machine is not known", "        if by_place:\n", "        if False:\n"),
        ("take a replaced pod for the same node", "place_of(name, pod_index) or name", "name"),
    ),
    *of(
        f"{_CORE}/select/passed_over.py",
        [*_FAILING_NODES, *_BAD_MACHINES],
        ("report a node once", "if entry.name not in known]", "]"),
        ("pass over who has failed too often", "    failing_nodes.give_way,\n", ""),
        ("pass over members on cordoned machines", "    bad_machines.give_way,\n", ""),
    ),
    *of(
        f"{_CORE}/select/select.py",
        [*_FAILING_NODES, *_BAD_MACHINES],
        ("put who gives way behind the others", "key=lambda node: node.name in last)", "key=lambda node: False)"),
        (
            "list no node as passed over who is chosen",
            "    gives_way = _of_the_others(queue, chosen, last) if chosen else ()",
            "    gives_way = _of_the_others(queue, (), last) if chosen else ()",
        ),
        ("list no node as passed over while too few are there", " if chosen else ()\n", "\n"),
        (
            "list no node as passed over who is to be taken in",
            "_of_the_others(queue, newcomers, last)",
            "_of_the_others(queue, (), last)",
        ),
    ),
    *of(
        f"{_CORE}/build.py",
        _BAD_MACHINES,
        (
            "list no member on a cordoned machine as a spare",
            "no_spares = cordoned.union(member.name for member in members)",
            "no_spares = {member.name for member in members}",
        ),
        ("look for machines again", "            bad_machines.changes_at(s),\n", ""),
    ),
    *of(
        f"{_CORE}/conditions.py",
        [*_FAILING_NODES, *_BAD_MACHINES],
        (
            "say of no spare that it is kept out",
            "for entry in status.passed_over if entry.name not in spares)",
            "for entry in status.passed_over)",
        ),
    ),
    *of(
        f"{_CORE}/select/selection.py",
        _BAD_MACHINES,
        ("wait for no member that is kept out", " | frozenset(entry.name for entry in self.kept_out)", ""),
    ),
    *of(
        f"{_CORE}/failures.py",
        _FAILING_NODES,
        (
            "list the failures that are counted for a node",
            "    if s.spec.nodes.max_failures_per_node is not None:\n        return names.MAX_FAILURES\n",
            "",
        ),
        (
            "take the machine of another agent of that name for none of the member",
            " and node.object.spec.incarnation == member.incarnation:",
            ":",
        ),
        (
            "keep the machine of a failure that is listed already",
            "return before.machine if before is not None and before.node == name else None",
            "return None",
        ),
    ),
    *of(
        f"{_CORE}/invariants.py",
        ["core/test_invariants.py"],
        (
            "publish no round with a node that is kept out",
            '    _expect(members.keys().isdisjoint(s.kept_out), "a node that a mark keeps out is a member")\n',
            "",
        ),
        (
            "write no list of more nodes that are passed over than the schema allows",
            '    _expect(len(after.passed_over) <= names.MAX_PASSED_OVER, "too many are passed over")\n',
            "",
        ),
    ),
    *of(
        f"{_CORE}/relevance.py",
        ["core/test_relevance.py"],
        ("write a change of who is passed over later", "        passed_over=(),\n", ""),
    ),
    *of(
        "operator/rendezvous_operator/watch/pods.py",
        ["watch/test_pods.py"],
        (
            "take only an Unhealthy device for one",
            'if device.get("health") == "Unhealthy":',
            "if True:",
        ),
    ),
    *of(
        "handler/rendezvous_handler/join/wait.py",
        ["test_handler_waiting.py"],
        (
            "let an agent that is passed over wait without a limit",
            "or self.held_out or waiting.passed_over is not None",
            "or self.held_out",
        ),
    ),
    *of(
        "handler/rendezvous_handler/join/report.py",
        ["test_handler_waiting.py"],
        (
            "take a node that is passed over for one that the operator has noticed",
            "waiting.held_out is not None or waiting.passed_over is not None:",
            "waiting.held_out is not None:",
        ),
    ),
    *of(
        "handler/rendezvous_handler/join/answer.py",
        ["test_handler_answer.py"],
        (
            "tell an agent only of itself that it is passed over",
            "for entry in status.passed_over if entry.name == attempt.name)",
            "for entry in status.passed_over)",
        ),
    ),
]
