"""The guards of recorded decisions: what is read again is what was decided on, and a line that is damaged is named."""

from tests.model.mutants.mutant import of

MUTANTS = [
    *of(
        "operator/rendezvous_operator/core/recorded.py",
        ["core/test_recorded.py"],
        ("say how many decisions were left out", "        if left_out:\n", "        if False:\n"),
        (
            "record of a world only what is new",
            "encode(seen) if before is None else difference(before, seen, {})",
            "encode(seen)",
        ),
        (
            "call a line whole that has entries in another order",
            '            before, line["seen"] = None, encode(seen)\n',
            '            line["seen"] = encode(seen)\n',
        ),
        (
            "call the first line of a Rendezvous whole",
            '        if before is None:\n            line["whole"] = True\n',
            "",
        ),
        (
            "refuse a file that begins with no object",
            "    said = line if isinstance(line, dict) else {}\n",
            "    said = line\n",
        ),
        ("refuse a file of another format", '    if said.get("format") != FORMAT:\n', "    if False:\n"),
        (
            "refuse a line that is no object",
            'not isinstance(line, dict) or not isinstance(line.get("rendezvous"), str)',
            'not isinstance(line.get("rendezvous"), str)',
        ),
        (
            "refuse a line of no Rendezvous",
            'not isinstance(line, dict) or not isinstance(line.get("rendezvous"), str)',
            "not isinstance(line, dict)",
        ),
        (
            "build on no line before one of which the Rendezvous is not known",
            "            self._before.clear()  # whose line it was is not known, and others may build on it\n",
            "",
        ),
        (
            "build on no line that could not be read",
            "        before = self._before.pop(name, None)\n",
            "        before = self._before.get(name)\n",
        ),
        ("build with a whole line on no other one", "        before = {} if whole else before\n", ""),
        (
            "refuse a line that builds on one that is missing",
            "        before = {} if whole else before\n",
            "        before = {} if whole or before is None else before\n",
        ),
        (
            "refuse a line with two outcomes",
            '    if others or kind not in ("decision", "evidence", "failure"):\n',
            '    if kind not in ("decision", "evidence", "failure"):\n',
        ),
        (
            "refuse an outcome of another kind",
            '    if others or kind not in ("decision", "evidence", "failure"):\n',
            "    if others:\n",
        ),
        (
            "refuse an outcome that is no object",
            'tree.items() if isinstance(tree, dict) and tree else [("", None)]',
            'tree.items() if tree else [("", None)]',
        ),
        (
            "refuse an outcome that is empty",
            'tree.items() if isinstance(tree, dict) and tree else [("", None)]',
            'tree.items() if isinstance(tree, dict) else [("", None)]',
        ),
        (
            "refuse a decision that is no object",
            '        raise DecodeError(f"{path}: {content!r} is no object")\n',
            "        pass\n",
        ),
        (
            "refuse a status or memory of a decision that is no object",
            'json_object(content.get(field, {}), f"{path}.{field}")',
            "content.get(field, {})",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/recorded_values.py",
        ["core/test_recorded.py"],
        (
            "record entries in another order as a whole",
            "        if order != list(after):\n            raise OrderError\n",
            "",
        ),
        (
            "record of the outcome only what the decision has changed",
            "        if (value := getattr(after, field)) is not (was := getattr(before, field)) and value != was\n",
            "        for value in [getattr(after, field)]\n",
        ),
        (
            "record that a field is empty which may be None",
            " and field not in _may_be_none(cast(Hashable, type(record)))",
            "",
        ),
        (
            "record that the decision has emptied a field",
            "        name: None if _is_left_out(after, field, value) else encode(value)\n",
            "        name: encode(value)\n",
        ),
        (
            "replace what is no object by a patch",
            "    result = dict(target) if isinstance(target, dict) else {}\n",
            "    result = dict(target)\n",
        ),
        (
            "change no argument by a patch",
            "    result = dict(target) if isinstance(target, dict) else {}\n",
            "    result = target if isinstance(target, dict) else {}\n",
        ),
        (
            "remove by a patch what is None in it",
            "        if value is None:\n            result.pop(name, None)\n",
            "        if value is None:\n            result[name] = None\n",
        ),
        (
            "write no number that JSON does not have",
            "        return value if math.isfinite(value) else str(value)\n",
            "        return value\n",
        ),
        (
            "write sets in one order",
            "        return [encode(item) for item in sorted(value)]\n",
            "        return [encode(item) for item in sorted(value, reverse=True)]\n",
        ),
        (
            "record a record in the place of nothing as a whole",
            "    if type(before) is type(after) and (names := _names(after)):\n",
            "    if names := _names(after):\n",
        ),
        (
            "record the facts that are remembered as a whole",
            " and not (_has_facts(before) or _has_facts(after))",
            "",
        ),
        (
            "record which entries are gone",
            "        found = {name: None for name in before if name not in after}\n",
            "",
        ),
        (
            "leave out what users write in annotations",
            'text if name.startswith(f"{GROUP}/") else ""',
            "text",
        ),
        (
            "keep the annotations that decisions read",
            'text if name.startswith(f"{GROUP}/") else ""',
            '""',
        ),
        (
            "keep the key of a fact that is a set apart from a list",
            '    return {"set": sorted(key)} if isinstance(key, frozenset) else encode(key)\n',
            "    return sorted(key) if isinstance(key, frozenset) else encode(key)\n",
        ),
        (
            "refuse a number that is none",
            "value if isinstance(value, (int, float)) else float(str(value))",
            "value",
        ),
        (
            "refuse a time without a zone",
            "    if found.tzinfo is None:\n",
            "    if False:\n",
        ),
        (
            "name a field that is missing",
            '        elif required:\n            raise DecodeError(f"{path}.{name}: is required")\n',
            "",
        ),
        (
            "refuse what is no object",
            '        raise DecodeError(f"{path}: {str(value)[:200]!r} is no object")\n',
            "        pass\n",
        ),
        ("refuse what is no list", "    if not isinstance(value, list):\n", "    if False:\n"),
        ("refuse a fact that is no list", "not isinstance(fact, list) or len(fact) != 3", "len(fact) != 3"),
        (
            "refuse a fact without a key or a moment",
            "not isinstance(fact, list) or len(fact) != 3",
            "not isinstance(fact, list)",
        ),
        (
            "leave out the facts of another release",
            "        if (timer := known.get(str(name))) is not None:\n",
            "        if (timer := known[str(name)]) is not None:\n",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/recorded.py",
        ["cli/test_replay_foreign.py"],
        (
            "build on no line without an object for what was seen",
            'patched(before, json_object(line.get("seen"), "seen"))',
            'patched(before, line.get("seen"))',
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/recorded_values.py",
        ["core/test_recorded_changes.py"],
        (
            "record no value that is the same",
            "    if before == after:\n        return same\n    return encode",
            "    return encode",
        ),
    ),
]
