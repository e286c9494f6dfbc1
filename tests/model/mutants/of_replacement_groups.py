"""The guards of replacement groups: who becomes a member together, and who is waited for."""

from tests.model.mutants.mutant import of

_TESTS = ["core/test_replacement_groups.py", "core/test_escalation.py"]

MUTANTS = [
    *of(
        "operator/rendezvous_operator/core/select/replacement_groups.py",
        _TESTS,
        ("leave out who has no replacement group", "if name is None:", "if False:"),
        ("leave out replacement groups that are not whole", "elif len(found) < size:", "elif False:"),
        ("take no more nodes of one than it has places for", "eligible += found[:size]", "eligible += found"),
        ("say who is beyond its places", "for node in found[size:]]", "for node in ()]"),
        (
            "take an empty label for none",
            "if node.pod is not None else None) or None",
            "if node.pod is not None else None)",
        ),
        (
            "wait for members only",
            "for item in picked.left_out if item.name in s.entries]",
            "for item in picked.left_out]",
        ),
        ("wait for none that is whole", "others = [*picked.queue, *(", "others = [*("),
        (
            "wait for none of which a node is held out",
            "nobody_waits_for = s.names_unhealthy | picked.names_out\n    others",
            "nobody_waits_for = s.names_unhealthy\n    others",
        ),
        (
            "wait for none of which a node is unhealthy",
            "nobody_waits_for = s.names_unhealthy | picked.names_out\n    others",
            "nobody_waits_for = picked.names_out\n    others",
        ),
        (
            "wait for none that has no name",
            " if (name := name_of(node, key)) is not None)",
            " if (name := name_of(node, key)) or True)",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/select/eligible.py",
        _TESTS,
        ("ask every rule who may become a member", "for rule in ELIGIBILITY_RULES:", "for rule in ():"),
        ("say whom a rule leaves out", "left_out += also", "pass"),
    ),
    *of(
        "operator/rendezvous_operator/core/sizes/whole_groups.py",
        _TESTS,
        ("let a round have whole replacement groups only", "groups is None or size % groups[1] == 0", "True"),
    ),
    *of(
        "operator/rendezvous_operator/core/start/escalation.py",
        _TESTS,
        ("keep a replacement group with Escalate only", "if not s.run.has_round or not kept_seconds:", "if True:"),
        (
            "keep a replacement group in a later round only",
            "if not s.run.has_round or not kept_seconds:",
            "if not kept_seconds:",
        ),
        (
            "wait for no replacement group that is whole",
            "if not groups or timers.passed(until):",
            "if timers.passed(until):",
        ),
        ("stop to wait for one node", "if not groups or timers.passed(until):", "if not groups:"),
        (
            "stop to wait before members give up",
            "    until = min(until, asked + _PART_OF_JOIN_TIMEOUT * s.spec.timeouts.join_seconds)\n",
            "",
        ),
        ("decide again when the time has passed", "absent, until)", "absent)"),
    ),
    *of(
        "operator/rendezvous_operator/core/start/replacements.py",
        _TESTS,
        ("wait for no lost member of a replacement group", " or s.spec.nodes.groups is not None:", ":"),
    ),
    *of(
        "operator/rendezvous_operator/core/start/size.py",
        _TESTS,
        ("say that not all who have joined may become members", "    if picked.left_out:\n", "    if False:\n"),
    ),
    *of(
        "operator/rendezvous_operator/core/select/select.py",
        _TESTS,
        (
            "see newcomers beside the members",
            "eligible(s, [*nodes_of(s.members), *waiting])",
            "eligible(s, waiting)",
        ),
        (
            "take no member of a running round for a newcomer",
            "for node in found.nodes if node.name not in s.entries)",
            "for node in found.nodes)",
        ),
        (
            "leave out no member of a running round",
            "for item in found.left_out if item.name not in s.entries)",
            "for item in found.left_out)",
        ),
        (
            "list nodes that a running round leaves out as spares",
            "spares.while_running([*queue, *_nodes(s, [item.name for item in left_out])], len(newcomers))",
            "spares.while_running(queue, len(newcomers))",
        ),
        (
            "list nodes that a round leaves out as spares before it starts",
            "spares.while_forming(s, [*queue, *_nodes(s, [item.name for item in left_out])],",
            "spares.while_forming(s, queue,",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/invariants.py",
        _TESTS,
        (
            "write no round with a part of a replacement group",
            "return None not in found and set(found.values()) == {size}",
            "return None not in found",
        ),
        (
            "write no round with a node that has no replacement group",
            "return None not in found and set(found.values()) == {size}",
            "return set(found.values()) == {size}",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/build.py",
        _TESTS,
        (
            "list nodes that a new round leaves out as spares",
            "*(item.name for item in picked.left_out)]",
            "]",
        ),
        ("tell people whom a round leaves out", "    if picked.left_out:\n", "    if False:\n"),
    ),
    *of(
        "operator/rendezvous_operator/core/conditions.py",
        _TESTS,
        ("say whom a running round leaves out", ", *picked.left_out]", "]"),
    ),
    *of(
        "api/rendezvous_api/rendezvous_spec.py",
        _TESTS,
        (
            "have replacement groups only with a label and a size",
            "if self.group_key is None or self.group_size is None:",
            "if self.group_key is None and self.group_size is None:",
        ),
        (
            "keep a replacement group only if there are some",
            "if self.groups is None or self.mode != ESCALATE:",
            "if self.mode != ESCALATE:",
        ),
        (
            "keep a replacement group with Escalate only, whatever the time says",
            "if self.groups is None or self.mode != ESCALATE:",
            "if self.groups is None:",
        ),
    ),
]
