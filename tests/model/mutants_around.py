"""The guards around the decision core: cache, reader, reconciler, fence, clock for outages, and the handler."""

from tests.model.mutant import of

MUTANTS = [
    *of(
        "operator/rendezvous_operator/watch/cache.py",
        (
            "read a pod that is shown no more",
            "entry.vanished.add(Target(names.POD_KIND, name, uid))",
            "entry.absent.add(Target(names.POD_KIND, name, uid))",
        ),
        (
            "forget what was read before another round was seen",
            "self._another_round(key, entry)",
            "pass",
        ),
        (
            "wait for a read before a member whose object is shown no more is gone",
            "spec = entry.drop(name).object.spec",
            "spec = entry.drop(name).object.spec; entry.absent.add(Target(names.PARTICIPANT_KIND, name))",
        ),
        (
            "compare the versions of pods",
            "if before is not None and version < before.version:",
            "if False:",
        ),
        (
            "ignore an older version of a participant or a Rendezvous",
            "return version_number(new.metadata.resource_version) < version_number(known.metadata.resource_version)",
            "return False",
        ),
        (
            "notice that an object was deleted while a read was under way",
            "if reference_of(item) in read.asked.gone:",
            "if False:",
        ),
        (
            "notice that a version goes back",
            "if listed.version < asked.newest:",
            "if False:",
        ),
        (
            "keep what a watch has shown while a list was under way",
            "present = asked.shown.union(map(reference_of, items))",
            "present = set(map(reference_of, items))",
        ),
        (
            "leave out of a list what was deleted while it was under way",
            "if reference_of(item) not in asked.gone]",
            "if True]",
        ),
        (
            "notice by a read that a version goes back",
            "if reference_of(item) not in read.asked.shown and version_of(item) < known:",
            "if False:",
        ),
        (
            "keep an object that was made again when the deletion of its predecessor is shown",
            "if entry.participants[name].object.metadata.uid != uid:",
            "if False:",
        ),
        (
            "keep an object that was made while a read of it was under way",
            "if not target.uid and (read.key.namespace, uid) in read.asked.shown:",
            "if False:",
        ),
    ),
    *of(
        "operator/rendezvous_operator/reconcile/reconciler.py",
        (
            "forget a Rendezvous that a write does not find",
            "self._gone(key, Target(names.RENDEZVOUS_KIND, key.name), asked)",
            "pass",
        ),
        (
            "adopt a write whose answer was lost",
            "self._settle(key, group, world)\n",
            "pass\n",
        ),
        (
            "forget the memory of a deleted Rendezvous",
            "if group is None or group.uid != uid:",
            "if group is None:",
        ),
        (
            "decide nothing after a restore of etcd",
            "if fenced is None or self._cache.restored is not None:",
            "if fenced is None:",
        ),
        (
            "read again after a conflict",
            "self._put_back(key)\n                await self._read_again(key)",
            "self._put_back(key)",
        ),
        (
            "write again what was refused with 429",
            "if not error.not_carried_out:",
            "if True:",
        ),
    ),
    *of(
        "operator/rendezvous_operator/kube/outage_clock.py",
        (
            "stand still in an outage",
            "if began is not None and now - began >= SHORTEST_SECONDS:",
            "if False:",
        ),
        (
            "make up for a single failure",
            "if began is not None and now - began >= SHORTEST_SECONDS:",
            "if began is not None:",
        ),
        (
            "take 429 for no sign of an outage",
            'if code == "429":',
            "if False:",
        ),
    ),
    *of(
        "operator/rendezvous_operator/reconcile/fence.py",
        (
            "check the term before each write",
            "if self._current_term() != self._term:",
            "if False:",
        ),
    ),
    *of(
        "operator/rendezvous_operator/reconcile/reader.py",
        (
            "list pods without their label",
            "key.namespace, labelled=False)",
            "key.namespace)",
        ),
    ),
    *of(
        "handler/rendezvous_handler/join/answer.py",
        (
            "ask another Rendezvous of the same name again",
            "if rendezvous.metadata.uid != attempt.spec.rendezvous_uid:",
            "if False:",
        ),
        (
            "take only the entry of its own attempt",
            "if (member.name, member.incarnation, member.attempt) == asked:",
            "if member.name == attempt.name:",
        ),
        (
            "take only a refusal of its own attempt",
            "if (refusal.name, refusal.incarnation, refusal.attempt) == asked:",
            "if refusal.name == attempt.name:",
        ),
        (
            "stop when its own object is gone",
            "    if name_lost:\n        return 1\n",
            "",
        ),
        (
            "stop when the Rendezvous was recreated",
            "if (rendezvous.metadata.uid, status.round, status.store) != (membership.uid,",
            "if (membership.uid, status.round, status.store) != (membership.uid,",
        ),
        (
            "stop when another round is the last one",
            "if (rendezvous.metadata.uid, status.round, status.store) != (membership.uid,",
            "if (rendezvous.metadata.uid, membership.round, status.store) != (membership.uid,",
        ),
        (
            "stop when the round has another store",
            "if (rendezvous.metadata.uid, status.round, status.store) != (membership.uid,",
            "if (rendezvous.metadata.uid, status.round, membership.store) != (membership.uid,",
        ),
        (
            "stop when the round has other members",
            "return (mine.name, mine.incarnation, mine.attempt, mine.rank) in entries",
            "return True",
        ),
    ),
    *of(
        "handler/rendezvous_handler/agent/rendezvous_watch.py",
        (
            "ignore an older version",
            "if version_number(found.metadata.resource_version) < version_number(known.metadata.resource_version):",
            "if False:",
        ),
        (
            "ignore a lower round",
            "return found.status.round >= known.status.round",
            "return True",
        ),
        (
            "ignore an older deletion",
            'elif event.type == "DELETED" and version_number(self._resource_version) >= self._known_version():',
            'elif event.type == "DELETED":',
        ),
    ),
    *of(
        "handler/rendezvous_handler/agent/participant.py",
        (
            "leave a name that another agent has taken",
            'if theirs.get("incarnation") != spec.incarnation and not may_take_over:',
            "if False:",
        ),
    ),
    *of(
        "handler/rendezvous_handler/join/clock.py",
        (
            "stop its join clock while it is a spare",
            "if aside or self._aside:",
            "if False:",
        ),
        (
            "stop its join clock while no time counts",
            "elif counts:",
            "else:",
        ),
    ),
]
