"""The guards of ranks by topology."""

from tests.model.mutants.mutant import of

_CORE = "operator/rendezvous_operator/core"
_TESTS = ["core/test_by_topology.py", "core/test_whole_segments.py", "core/test_topology.py"]

MUTANTS = [
    *of(
        f"{_CORE}/topology.py",
        _TESTS,
        ("read machines only for ranks by topology", "return bool(spec.topology_labels)", "return True"),
        ("remember places by the same labels only", " or topology.keys != labels", ""),
        ("remember places", "if remembered is not None and all(", "if False and all("),
        (
            "believe a pod before what is remembered",
            'all(value in ("", known) for value, known in zip(by_pod, remembered, strict=True))',
            "True",
        ),
        (
            "know nothing of a machine that is gone",
            "if machine is not None and machine.labels:",
            "if machine is not None:",
        ),
        ("put machines without a label last", "(not value, first[", "(False, first["),
        (
            "keep the order of domains",
            "(*where.places.values(), *(where.of(name) for name in found))",
            "(where.of(name) for name in found)",
        ),
        (
            "sort domains at each level",
            "for level, value in enumerate(path))\n",
            "for level, value in [(0, path[0])])\n",
        ),
        ("bound what is remembered", "() if too_long else domains", "domains"),
        ("notice ranks that are apart", "if len(found) > len({*found}):", "if False:"),
        ("notice them at each level", "for level in range(len(topology.keys)):", "for level in [0]:"),
        ("notice a segment that is not whole", "domain.nodes % segment_size for", "False for"),
    ),
    *of(
        f"{_CORE}/situation.py",
        _TESTS,
        ("begin a run with its own order", "known if known is None or self.run.has_round else", "known if True else"),
    ),
    *of(
        f"{_CORE}/machines.py",
        [*_TESTS, "core/test_policies_together.py"],
        (
            "read the machines of all nodes for their ranks",
            "= (topology.by_machines, marks.need_machines)",
            "= (marks.need_machines,)",
        ),
        (
            "read those of members that train, too",
            "    trains_on = trains_on and not topology.by_machines(world.rendezvous.spec)\n",
            "",
        ),
    ),
    *of(
        f"{_CORE}/select/choose.py",
        _TESTS,
        (
            "count only whole segments",
            "return s.sizes.fitting(by_topology.in_whole_segments(together, s.where, segment))",
            "pass",
        ),
        (
            "choose whole segments",
            "return by_topology.chosen_segments(together, s.where, segment, size // segment)",
            "pass",
        ),
        ("choose by places", "    if s.where is None or size == len(together) or", "    if True or"),
    ),
    *of(
        f"{_CORE}/select/choose.py",
        ["core/test_policies_together.py", "core/test_replacement_groups.py", "core/test_escalation.py"],
        ("count only nodes that may be together", "    if s.spec.nodes.groups is None:\n", "    if True:\n"),
        ("divide no replacement group by places", " or s.spec.nodes.groups is not None:", ":"),
    ),
    *of(
        f"{_CORE}/select/select.py",
        ["core/test_policies_together.py"],
        (
            "choose who has failed too often only after all others of its place",
            "choose(s, names_of(_without_last(s, queue, last)))",
            "choose(s, names_of(queue))",
        ),
        (
            "choose who has failed too often if the others are too few",
            "    without = {*give_way[few:]}\n",
            "    without = {*give_way}\n",
        ),
        (
            "choose as few as possible of those that give way",
            "    without = {*give_way[few:]}\n",
            "    without = {*give_way[few:]} if not few else set()\n",
        ),
    ),
    *of(
        f"{_CORE}/topology.py",
        ["core/test_policies_together.py"],
        (
            "take no label of a pod for that of its machine but zone and region",
            'said.get(label, "") if label in _OF_PODS else "" for label',
            'said.get(label, "") for label',
        ),
    ),
    *of(
        f"{_CORE}/select/by_topology.py",
        _TESTS,
        (
            "look for labels that come late",
            "return s.now.monotonic + LOOK_AGAIN_SECONDS if any(",
            "return None if any(",
        ),
        ("look for them only if one is missing", 'if any("" in where', 'if True or any("" in where'),
        ("look for none that may not be read", "if where is None or s.world.machines is None:", "if where is None:"),
        (
            "count no segment of machines without the label",
            " for path, count in counts.items() if _may_have_segments(path))",
            " for path, count in counts.items())",
        ),
        (
            "choose no segment of machines without the label",
            " for path, found in inside.items() if _may_have_segments(path)}",
            " for path, found in inside.items()}",
        ),
        (
            "keep the segments of domains",
            "in ({path: before[path] // segment for path in whole}, whole):",
            "in (whole,):",
        ),
        (
            "choose only as many segments as fit",
            "min(count, limits[path]) - taken[path], most)",
            "min(count, limits[path]) - taken[path], 9)",
        ),
        (
            "choose only whole segments of a domain",
            "in inside[path][: count * segment]}",
            "in inside[path][: count * segment + 1]}",
        ),
        (
            "choose members of a domain first",
            "in_order_of_domains(names, where):\n        inside",
            "in_order_of_domains(names[::-1], where):\n        inside",
        ),
        ("fill a place from its own domain first", "in range(len(where.labels), 0, -1):", "in range(1, 0, -1):"),
        (
            "then from the nearest one",
            "in range(len(where.labels), 0, -1):",
            "in range(len(where.labels), len(where.labels) - 1, -1):",
        ),
        ("fill only places that are free", "        free.subtract(where.of(name)[:level] for name in chosen)\n", ""),
        ("fill a place once", "                free[path] -= 1\n", ""),
        (
            "fill what is left from anywhere",
            "        if len(chosen) < size:\n            chosen.add(name)\n",
            "        pass\n",
        ),
    ),
    *of(
        f"{_CORE}/sizes/whole_segments.py",
        _TESTS,
        ("allow only whole segments", "size % spec.segment_size == 0", "True"),
    ),
    *of(
        f"{_CORE}/rank/rank.py",
        _TESTS,
        ("give ranks by topology", "    (by_machines, by_topology),\n", ""),
    ),
    *of(
        f"{_CORE}/rank/by_topology.py",
        _TESTS,
        ("keep places in a domain", "    if s.run.has_round:\n        for member", "    if False:\n        for member"),
        ("take another host", "store_host.moved_if_unfit(s, tuple(ranked))[0].name", "ranked[0].name"),
        ("bring the domain of another host to the front", "order = sorted(ranked, key=apart)", "order = list(ranked)"),
        (
            "move only its own domain at each level",
            "other[: level + 1] != path[: level + 1] for",
            "other[-1:] != path[-1:] for",
        ),
    ),
    *of(
        f"{_CORE}/rank/stable.py",
        _TESTS,
        ("keep those who stand in", "owner = member.stands_in_for if keeps else None", "owner = None"),
    ),
    *of(
        f"{_CORE}/build.py",
        _TESTS,
        ("remember where members are", "topology.of_round(members, s.where) if s.where is not None else None", "None"),
        (
            "look again while a label is missing",
            "        by_topology.changes_at(s),\n",
            "",
        ),
    ),
    *of(
        f"{_CORE}/invariants.py",
        ["core/test_invariants.py", "core/test_whole_segments.py"],
        (
            "notice a member without a domain",
            '== after.nodes, "a member is in no domain"',
            '== after.nodes or True, "a member is in no domain"',
        ),
        ("notice domains that are apart", "        _expect(not wrong, wrong)\n", ""),
        ("notice that places in a published round have changed", "status.store, status.topology", "status.store"),
    ),
    *of(
        f"{_CORE}/conditions.py",
        _TESTS,
        (
            "name who has no place among the machines",
            'if found else ""\n\n\ndef _complete',
            'if False else ""\n\n\ndef _complete',
        ),
        ("name only who takes part", " if node.present and node.name in shown]", "]"),
    ),
    *of(
        "operator/rendezvous_operator/watch/pods.py",
        ["watch/test_pods.py"],
    ),
]
