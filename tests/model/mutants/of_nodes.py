"""The guards of what is known about nodes: alive, silent, members, waiting."""

from tests.model.mutants.mutant import of

MUTANTS = [
    *of(
        "operator/rendezvous_operator/core/nodes.py",
        [
            "core/test_nodes.py",
            "core/test_observe.py",
            "core/test_liveness.py",
            "core/test_end_rules.py",
            "core/test_member_reentered.py",
            "core/test_last_words.py",
            "test_ended_containers.py",
            "core/test_refuse.py",
            "core/test_member_evicted.py",
            "core/test_member_terminated.py",
            "core/test_exclusivity.py",
            "core/test_run_of_node.py",
            "core/test_run_without_workload.py",
        ],
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
            "return spec.heartbeat_seconds",
        ),
        (
            "believe no interval of an earlier agent of that name",
            "said is None or participant.status.incarnation != participant.spec.incarnation",
            "said is None",
        ),
        (
            "believe no interval longer than five minutes",
            "return max(min(said, LONGEST_INTERVAL_SECONDS), spec",
            "return max(said, spec",
        ),
        (
            "lose no node before it is silent",
            "return max(spec.suspect_seconds, silent_seconds(participant, spec))",
            "return spec.suspect_seconds",
        ),
        (
            "take the leave of an earlier attempt for one of an earlier member",
            "if node.left is not None and spec.attempt >= member.attempt:",
            "if node.left is not None:",
        ),
        (
            "take the success of another attempt for none of the member",
            "if node.left is LeaveReason.SUCCEEDED and spec.attempt == member.attempt:",
            "if node.left is LeaveReason.SUCCEEDED:",
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
            "let no node wait that says that it runs a round",
            "if self.reported_round or not self.addressed or",
            "if not self.addressed or",
        ),
        (
            "let no node wait that cannot be understood",
            "not self.addressed or not self.understood or self.is_member(member):",
            "not self.addressed or self.is_member(member):",
        ),
        (
            "let no member wait with the attempt that is one",
            "not self.understood or self.is_member(member):",
            "not self.understood:",
        ),
        ("take a node that cannot be understood for the member that it was", "if not self.understood:", "if False:"),
        ("leave out nodes whose pods end soon", "return self.present and self.leaving is None", "return self.present"),
        (
            "take the agent that restarted for another one",
            "if node.understood and spec.incarnation != member.incarnation:",
            "if False:",
        ),
        (
            "compare no address with a pod that is not known",
            "if pod is None or not pod.known or not pod.addresses or",
            "if pod is None or not pod.addresses or",
        ),
        (
            "compare no address with a pod of which none is known",
            "not pod.known or not pod.addresses or address in",
            "not pod.known or address in",
        ),
        ("look up no name of an address", "return given is not None and given not in", "return given not in"),
        ("take an IPv4 address in IPv6 for the same", "return (found.ipv4_mapped or found) if", "return found if"),
        (
            "take a pod that succeeded for a node that has left",
            'if pod is not None and pod.phase == "Succeeded":',
            "if False:",
        ),
        ("take a pod that failed for a dead node", 'elif pod is not None and pod.phase == "Failed":', "elif False:"),
        ("take a pod that is gone for a dead node", "elif missing_pod in world.absent:", "elif False:"),
        (
            "read the pod of which the run is not certain",
            "missing_pod if dead is None and not run.certain else None",
            "None",
        ),
        (
            "read no pod of a node that has left",
            "missing_pod if missing_pod in world.vanished and left is None else None",
            "missing_pod if missing_pod in world.vanished else None",
        ),
        (
            "take only the pod that owns the object for that of the node",
            'or "") if owned else None',
            'or "") if True else None',
        ),
        (
            "lose no agent by the end of a container before its own",
            "end.finished_at is None or second <= end.finished_at[:_WHOLE_SECONDS]",
            "True",
        ),
        (
            "lose no agent that sends heartbeats with a clock that was set back",
            "end.seen_at is not None and seen.beat_at < end.seen_at and second",
            "second",
        ),
        (
            "lose no agent of which the heartbeat is of the time since the start of its container",
            " and second < end.runs_since[:_WHOLE_SECONDS]",
            "",
        ),
        ("lose an agent without a heartbeat whose container stays ended", "    if end.over:\n", "    if False:\n"),
        (
            "call exit code 0 no success if the container is started again",
            "if end.over and end.exit_code == 0:",
            "if end.exit_code == 0:",
        ),
        (
            "read the last word after the end of the pod or container",
            "seen.read_at is not None and seen.read_at >= ended_at",
            "seen.read_at is not None",
        ),
        (
            "read the last word of a member before its end counts",
            "end_unread = says_nothing and",
            "end_unread = False and",
        ),
        ("read no last word of a node that is no member", "left is None and name in known.members", "left is None"),
        (
            "lose no member of an isolated round by its silence",
            "if node.silence is Silence.LOST and not isolated:",
            "if node.silence is Silence.LOST:",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/observe.py",
        ["core/test_observe.py", "core/test_last_words.py", "test_ended_containers.py", "core/test_nodes.py"],
        ("read another incarnation before it is the newer one", " | _restarted(world, views)", ""),
        ("read members that no watch has shown", "liveness.to_read | unseen | vanished", "liveness.to_read | vanished"),
        ("read pods that are shown no more", "liveness.to_read | unseen | vanished", "liveness.to_read | unseen"),
        ("read the last word of an agent whose pod or container has ended", " | ended | _restarted", " | _restarted"),
        ("read the pods from which a run follows", " | unread(situation)", ""),
        (
            "read no member again that is known to be absent",
            "if name not in nodes} - world.absent",
            "if name not in nodes}",
        ),
        ("read no node as restarted that cannot be understood", "        and view.node.understood\n", ""),
    ),
    *of(
        "operator/rendezvous_operator/core/liveness.py",
        [
            "core/test_liveness.py",
            "core/test_peers.py",
            "core/test_isolated_rounds.py",
            "core/test_outages.py",
            "core/test_observe.py",
            "core/test_nodes.py",
        ],
        ("keep a round that is isolated", "if cut_off else (False, None)", "if False else (False, None)"),
        ("excuse the time in which a round was isolated", "if began is not None and not cut_off:", "if False:"),
        ("read a participant before it is silent", "if seen.read_at is None or seen.read_at < limit_at:", "if False:"),
        ("lose no node while all are silent", "if len(silences) == len(expected) >= 2 and not", "if False and not"),
        (
            "lose a single node that is silent",
            "if len(silences) == len(expected) >= 2 and not",
            "if len(silences) == len(expected) >= 1 and not",
        ),
        (
            "lose nodes that were silent in their full period",
            " and not left_behind:",
            ":",
        ),
        (
            "leave none behind when a node of the run sends a heartbeat first",
            "only_others=not _is_heard(world, nodes, memory.since[Timer.ALL_SILENT, None])",
            "only_others=True",
        ),
        (
            "leave none behind once a node of the run has sent a heartbeat",
            "only_others = memory.only_others and not _is_heard(world, nodes, memory.grace_from)",
            "only_others = memory.only_others",
        ),
        (
            "excuse the time in which a round was cut off after all were silent",
            "max(before, memory.grace_from) + now - began",
            "before + now - began",
        ),
        (
            "excuse no member that has sent a heartbeat since",
            "if seen is not None and seen.beat_at < began:",
            "if seen is not None:",
        ),
        (
            "lose none that sent a heartbeat before all were silent once more",
            "return seen.beat_at + silent_seconds(seen.object, self._spec) <= self._not_before",
            "return seen.beat_at <= self._not_before",
        ),
        (
            "give each node a full period after all were silent",
            "if (Timer.ALL_SILENT, None) in memory.since:",
            "if False:",
        ),
        (
            "read a member before its peers vouch for it",
            "            if seen.read_at is None or seen.read_at < silent_at:\n",
            "            if False:\n",
        ),
        (
            "count the silence of a member from the newest heartbeat that has vouched for it",
            "began = max(self._began(seen, self._before.get(name)), self._words.vouched_at(name))",
            "began = self._began(seen, self._before.get(name))",
        ),
        (
            "count no silence from before that",
            "return max(silence_begins(seen, excused, vouched), self._not_before)",
            "return silence_begins(seen, excused, vouched)",
        ),
        (
            "take no round for cut off of which a member has joined again",
            "member.name in silences and nodes[member.name].is_member(member)",
            "member.name in silences",
        ),
        (
            "keep no isolated round that ended for another reason",
            "if last is None or last.reason not in _MAY_TRAIN_ON:",
            "if last is None:",
        ),
        (
            "keep an isolated round of known pods without a limit",
            "if limit is None and all(_pod_is_known(nodes[member.name]) for member in status.participants):",
            "if False:",
        ),
        ("keep an isolated round while no node waits", "if not somebody_waits:", "if False:"),
        (
            "count only nodes that send heartbeats as waiting",
            "any(node.present and node.name not in members for",
            "any(node.name not in members for",
        ),
        (
            "add up the times in which a round was cut off",
            "silence_begins(seen, memory.excused.get(member.name), memory.vouched.get(member.name))",
            "silence_begins(seen, None, memory.vouched.get(member.name))",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/nodes.py",
        ["core/test_isolated_rounds.py", "core/test_peers.py", "core/test_outages.py"],
        (
            "forget after a heartbeat what was excused",
            "if excused is not None and excused.beat_at == seen.beat_at:",
            "if excused is not None:",
        ),
    ),
]
