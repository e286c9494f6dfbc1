"""The guards of what follows from what members say of each other."""

from tests.model.mutants.mutant import of

_TESTS = ["core/test_peer_words.py", "core/test_peers.py", "core/test_peers_of_host.py"]

MUTANTS = [
    *of(
        "operator/rendezvous_operator/core/peer_words.py",
        _TESTS,
        (
            "believe no participant that cannot be understood",
            "            node.understood\n            and node.reported_round",
            "            node.reported_round",
        ),
        (
            "believe only who reports this round",
            "and node.reported_round == self._world.rendezvous.status.round\n            and (spec",
            "and (spec",
        ),
        ("believe only who sends heartbeats", " and self._now < self.until(seen)\n", "\n"),
        (
            "believe only a member that gets answers in the place of the host",
            "        if host is not HostState.ANSWERS:\n            return False\n",
            "",
        ),
        (
            "let no member speak for a host that sends heartbeats",
            "return seen.beat_at > own.beat_at + interval_seconds(own.object, self._world.rendezvous.spec)",
            "return True",
        ),
        (
            "believe the report with the greatest number",
            "max(found, key=lambda one: (one[0].number, one[1].beat_at))",
            "found[-1]",
        ),
        (
            "vouch for no other attempt than that of the member",
            "return rank if node is not None and rank is not None and node.is_member(self.members[rank]) else None",
            "return rank if node is not None else None",
        ),
        (
            "vouch for no member if the sets do not fit",
            "if self.report is None or self.report.too_many or rank in _named(self.report):",
            "if self.report is None or rank in _named(self.report):",
        ),
        ("vouch for no member that never came", "        (HostState.NOT_CONNECTED, report.not_connected),\n", ""),
        (
            "take a host for lost by all only if all say so",
            "        return lost.issuperset(heard)",
            "        return True",
        ),
        (
            "take a host that names one of its accusers for no proof that it has outlived all",
            "return said.report is not None and all(_named(said.report).get(by) in _ACCUSES for by in closed)",
            "return said.report is not None",
        ),
        (
            "count a word that does not count any more as true when it came",
            'return max(found, default=float("-inf"))',
            'return float("-inf")',
        ),
        (
            "take the host away only if more than half do not reach it",
            "if 2 * sum(word in _ACCUSES for word, _ in self.of_host) > others > 0:",
            "if any(word in _ACCUSES for word, _ in self.of_host) and others > 0:",
        ),
        (
            "remember that they did not when they join again",
            "        if (Timer.HOST_NOT_REACHED, number) not in memory.since:\n            return False\n",
            "        if memory.since:\n            return False\n",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/peers.py",
        _TESTS,
        (
            "conclude nothing if most of those that a host accuses live",
            "if doubted and not one.left and not one.is_host:",
            "if False:",
        ),
        ("count only those that have contradicted lately", "if self._now < moment]", "if True]"),
        ("look again when they have not", "self._changes_at = earliest(self._changes_at, *lately)", "pass"),
        (
            "take an answer for a sign of life of the host",
            "return max(beat_at, self._words.answered.beat_at)",
            "return beat_at",
        ),
        (
            "keep what was concluded until the next heartbeat",
            "for name, found in self._memory.concluded.items() if",
            "for name, found in self._memory.concluded.items() if not self._memory.concluded and",
        ),
        (
            "forget it with the next heartbeat",
            "return self._world.participants[name].beat_at == found.beat_at and self._words.voucher(name) is None",
            "return self._words.voucher(name) is None",
        ),
        ("read the accused and the accuser", "        if unread:\n", "        if False:\n"),
        ("read the accuser, too", "asked = (seen, by) if witness", "asked = (seen,) if witness"),
        (
            "read a member that gets answers before the host is lost",
            "witness = self._words.answered if one.is_host else None",
            "witness = None",
        ),
        (
            "believe no accuser whose heartbeats have ended",
            "if by.beat_at < due_at - max(seconds / 2, _STILL_SECONDS):",
            "if False:",
        ),
        (
            "give who has contradicted a closed connection the time to confirm",
            "if self._heard_at(one.name) <= since and",
            "if",
        ),
        (
            "give that time to who says itself that its connection is closed",
            " and not self._words.has_lived_on(one.name):",
            ":",
        ),
        (
            "give the agents of a large group more time to contradict",
            "len(self._words.members) / NEWS_PER_SECOND",
            "0.0",
        ),
        (
            "not wait longer for the host of a large group, which contradicts at once",
            "0.0 if one.is_host else len",
            "len",
        ),
        (
            "take a heartbeat that reports the round for no farewell",
            "heard_at = one.since if self._has_stopped(one.name) else self._heard_at(one.name)",
            "heard_at = one.since",
        ),
        (
            "suspect no member that has sent a heartbeat since",
            "if accused is None or accused.left or accused.contradicted or",
            "if accused is None or accused.left or",
        ),
    ),
]
