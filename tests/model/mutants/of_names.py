"""The guards of the names of nodes, of launches, and of what is deleted."""

from tests.model.mutants.mutant import of

MUTANTS = [
    *of(
        "api/rendezvous_api/node_names.py",
        ["test_node_names.py", "core/test_fault.py", "test_restart_budget.py"],
        (
            "take a name that only looks like one of a Job for none",
            "return place if place is not None and place.pod_index == pod_index else None",
            "return place",
        ),
        (
            "know a pod in the place of another one",
            "return name == other or (place is not None and place == place_of(other, other_pod_index))",
            "return name == other",
        ),
        (
            "take two nodes without a place for two",
            "(place is not None and place == place_of",
            "(place == place_of",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/run_of_node.py",
        [
            "core/test_run_of_node.py",
            "core/test_run_without_workload.py",
            "core/test_refuse.py",
            "core/test_claim.py",
            "core/test_observe.py",
        ],
        (
            "take a label for a workload only of a known pod",
            "(pod.workload if pod is not None and pod.known else None)",
            "(pod.workload if pod is not None else None)",
        ),
        (
            "leave a member in the run of its round",
            "if member is not None and (member.incarnation, member.attempt) == (spec.incarnation, spec.attempt):",
            "if False:",
        ),
        (
            "take another attempt for no member",
            "(member.incarnation, member.attempt) == (spec.incarnation, spec.attempt):",
            "True:",
        ),
        (
            "let an agent wait for the launch that it has asked",
            "launch = known.last_unnamed if _has_waited(name, spec, known) else known.next_unnamed",
            "launch = known.next_unnamed",
        ),
        ("call a run uncertain while its pod is not read", "certain=pod is not None)", "certain=True)"),
        (
            "leave an agent that joins again in its launch",
            "if spec.attempt_reason is not AttemptReason.START:",
            "if False:",
        ),
        (
            "take another agent of that name for none that was answered",
            "known.refused[name].incarnation == spec.incarnation",
            "True",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/run_names.py",
        ["core/test_run_names.py", "core/test_claim.py", "core/test_close.py"],
        (
            "keep an id that looks like a launch apart",
            'return f"{run_id}/" if _LIKE_A_LAUNCH.fullmatch(run_id) else run_id',
            "return run_id",
        ),
        ("bound the closed runs", "while len(kept) > names.MAX_CLOSED_RUNS:", "while False:"),
        (
            "forget an abandoned run first",
            "kept.remove(next((run for run in kept[:-1] if _may_be_forgotten(run)), kept[0]))",
            "kept.remove(kept[0])",
        ),
        (
            "forget no abandoned run whose name says that others have ended",
            "is ClosedReason.ABANDONED and not launch_of(run.run_id, names.UNNAMED_RUN)",
            "is ClosedReason.ABANDONED",
        ),
        (
            "take only UIDs for no --rdzv-id",
            "if may_be_an_id or closes.reason is not",
            "if closes.reason is not",
        ),
        (
            "keep earlier launches that did not succeed",
            "if run.reason is not closes.reason or launch_of",
            "if launch_of",
        ),
        (
            "keep the run that was closed last",
            "for run in kept[:-1] if",
            "for run in kept if",
        ),
        (
            "keep earlier launches when this one did not succeed",
            "if may_be_an_id or closes.reason is not ClosedReason.RUN_SUCCEEDED:",
            "if may_be_an_id:",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/garbage.py",
        ["core/test_garbage.py"],
        ("keep the objects of members", "if may_run and node.name in s.entries:", "if False:"),
        (
            "keep them only while a round may run",
            "if may_run and node.name in s.entries:",
            "if node.name in s.entries:",
        ),
        (
            "delete nothing while all are silent",
            "    if s.liveness.all_silent:\n        return\n",
            "    if False:\n        return\n",
        ),
        ("keep the object of a live pod", "if node.pod is not None and node.pod.known and node.pod.live:", "if False:"),
        ("keep no object of a pod that ends", "node.pod.known and node.pod.live:", "node.pod.known:"),
        (
            "keep no object of a pod that is not known",
            "if node.pod is not None and node.pod.known and node.pod.live:",
            "if node.pod is not None and node.pod.live:",
        ),
        (
            "let the hour begin again after all were silent, and with the last vouching",
            "s.silent_since(node)",
            "s.world.participants[node.name].beat_at",
        ),
        (
            "delete no Rendezvous that a person has made",
            "if s.world.rendezvous.made_by_agent and not s.nodes:",
            "if not s.nodes:",
        ),
        (
            "delete no Rendezvous of which an agent is left",
            "if ttl is not None and finished is not None and not _has_present_agent(s):",
            "if ttl is not None and finished is not None:",
        ),
        ("delete no Rendezvous of which a member may train", "return bool(s.blocking_members) or any(", "return any("),
    ),
    *of(
        "operator/rendezvous_operator/core/outdated.py",
        ["core/test_outdated.py"],
        (
            "delete no Rendezvous that a person has made or changed",
            "if not _is_untouched(s.world.rendezvous):",
            "if False:",
        ),
        (
            "delete no Rendezvous while all are silent",
            "if s.liveness.all_silent or any(view.state.blocks for view in s.members):",
            "if any(view.state.blocks for view in s.members):",
        ),
        (
            "delete no Rendezvous of which a member may train",
            "if s.liveness.all_silent or any(view.state.blocks for view in s.members):",
            "if s.liveness.all_silent:",
        ),
        (
            "delete no Rendezvous that a node uses",
            "if not present or not all(_is_of_next_launch(s, node) for node in present):",
            "if not present:",
        ),
        ("delete it only if all nodes ask for the same", "differs = len(wanted) == 1 and", "differs ="),
        (
            "delete no Rendezvous for a node that has trained",
            "starts = spec.attempt_reason is AttemptReason.START and spec.last_run_id is None",
            "starts = True",
        ),
        (
            "delete no Rendezvous that holds another run",
            "may_claim = node.run_id == s.run.id or not s.run.open or not (s.has_nodes_left or s.unspoken_pods)",
            "may_claim = True",
        ),
        (
            "delete no Rendezvous for a node whose run has ended",
            "s.run.why_over(node.run) is None and s.allows(node)",
            "s.allows(node)",
        ),
        ("delete no Rendezvous that was changed", "        and metadata.generation == 1\n", ""),
        (
            "delete no Rendezvous that was applied",
            "        and names.ANNOTATION_LAST_APPLIED not in metadata.annotations\n",
            "",
        ),
        (
            "delete no Rendezvous that was applied by the server",
            '        and not any(fields.operation == "Apply" for fields in metadata.managed_fields)\n',
            "",
        ),
        (
            "delete no Rendezvous that a person has made",
            "        rendezvous.made_by_agent\n        and metadata.gen",
            "        metadata.gen",
        ),
    ),
]
