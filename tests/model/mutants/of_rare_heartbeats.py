"""The guards of heartbeats that are rare while the members of a round hear each other."""

from tests.model.mutants.mutant import of

_OF_RARE = ["core/test_rare_heartbeats.py"]

MUTANTS = [
    *of(
        "api/rendezvous_api/participant.py",
        _OF_RARE,
        (
            "take what an agent says of its rare heartbeats",
            "        return min(said, LONGEST",
            "        return min(0, LONGEST",
        ),
        (
            "believe no rarer heartbeats than one in five minutes",
            "return min(said, LONGEST_INTERVAL_SECONDS)",
            "return said",
        ),
        ("take rare heartbeats only while the host answers", " or peers.host is not HostState.ANSWERS:", ":"),
        (
            "take no rare heartbeats of an earlier agent of that name",
            "        if self.status.incarnation != self.spec.incarnation:\n            return 0\n",
            "",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/liveness.py",
        _OF_RARE,
        (
            "read no member that says that its heartbeats are rare",
            "if self._now < began + late_seconds(seen.object, self._spec) and",
            "if False and",
        ),
        (
            "show no path as broken before a heartbeat is late",
            "                self.rare.append(name)\n",
            "                self.by_peers_only.append(name)\n",
        ),
        (
            "look again at who is silent and whose heartbeats are rare",
            "if silence is not Silence.NONE and late_seconds(",
            "if False and late_seconds(",
        ),
        (
            "note often enough that its peers vouch for a member",
            "earliest(self.changes_at, self._words.until(voucher), again_at)",
            "earliest(self.changes_at, self._words.until(voucher))",
        ),
        (
            "excuse no silence from before its peers vouched for it",
            "memory.excused.get(member.name), memory.vouched.get(member.name))",
            "memory.excused.get(member.name), None)",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/peer_words.py",
        _OF_RARE,
        (
            "take what members have said of the host until they say something else",
            "heard = (member.name for member, seen in self._others() if self._stands(member, seen))",
            "heard = (member.name for member, seen in self._others() if self._counts(member, seen))",
        ),
        (
            "count members that have reached the host again and whose heartbeats are rare",
            "_answers(seen) and self._stands(member, seen) for",
            "_answers(seen) and self._counts(member, seen) for",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/end/scale_up.py",
        _OF_RARE,
        (
            "take no node in before the heartbeats of all members arrive",
            "s.liveness.by_peers_only or s.liveness.rare",
            "s.liveness.by_peers_only",
        ),
    ),
    *of(
        "operator/rendezvous_operator/core/relevance.py",
        _OF_RARE,
        (
            "decide nothing for a heartbeat that is rare",
            ">= late_seconds(before.object, spec or _DEFAULT_SPEC)",
            ">= 15",
        ),
    ),
    *of(
        "handler/rendezvous_handler/agent/rarity.py",
        ["test_handler_rarity.py"],
        ("keep the usual interval while no other member hears the agent", "not heard or ", ""),
        ("keep the usual interval without a round", " or not number:", ":"),
        ("keep the interval of a large group if that is longer", "seconds <= rendezvous.heartbeat_seconds", "False"),
        ("keep the usual interval in a round that is not the last one", "status.round == number and ", ""),
        ("keep the usual interval when the members are asked", "status.waiting_nodes == 0 and ", ""),
        ("keep the usual interval while nodes wait", " and status.formation is None", ""),
    ),
    *of(
        "handler/rendezvous_handler/agent/agent.py",
        ["test_handler_agent.py"],
        (
            "hasten a heartbeat when it is waited for",
            "            if self._rare_seconds() is None:\n",
            "            if False:\n",
        ),
        ("hasten it once", "            self._noticed = known\n", ""),
    ),
    *of(
        "handler/rendezvous_handler/agent/request_thread.py",
        ["test_handler_request_thread.py"],
        (
            "send the next heartbeat soon after one that has failed",
            "self._next_beat = self._moment_of_next(now, self._base)  #",
            "self._next_beat = self._moment_of_next(now, self._interval or self._base)  #",
        ),
        (
            "send rare heartbeats after one that has arrived",
            "            self._next_beat = self._moment_of_next(now, self._interval or self._base)\n",
            "",
        ),
    ),
    *of(
        "handler/rendezvous_handler/peers/view.py",
        ["test_peers_view.py"],
        (
            "be known to live only while the host answers",
            "self.state(now) is HostState.ANSWERS and not self.is_accused",
            "not self.is_accused",
        ),
        ("be known to live only if the host does not accuse", " and not self.is_accused and", " and"),
        ("be known to live only while the host reaches the API server", " and not self._is_relayed", ""),
        ("send usual heartbeats while it passes the report on", "relayed or passes_on", "relayed"),
    ),
    *of(
        "handler/rendezvous_handler/peers/haste.py",
        ["test_peers_haste.py"],
        (
            "send a heartbeat at once when the host does not hear it any more",
            " and not again and not unheard",
            " and not again",
        ),
        ("do so once", "unheard = was_heard and not self._was_heard", "unheard = not self._was_heard"),
    ),
]
