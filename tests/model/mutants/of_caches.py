"""The guards of what the operator has seen: the cache and what it keeps of a pod."""

from tests.model.mutants.mutant import of

MUTANTS = [
    *of(
        "operator/rendezvous_operator/watch/cache.py",
        ["watch/test_cache.py", "watch/test_cache_pods.py", "watch/test_cache_order.py"],
        (
            "read a pod that is shown no more",
            "entry.vanished.add(Target(names.POD_KIND, name, uid))",
            "entry.absent.add(Target(names.POD_KIND, name, uid))",
        ),
        (
            "read only pods in which a participant is",
            "            if entry.has_participant_of(uid):\n",
            "            if True:\n",
        ),
        ("forget what was read before another round was seen", "self._another_round(key, entry)", "pass"),
        (
            "take no participant for read that was read before another round",
            "                entry.keep(replace(seen, read_at=None))",
            "                pass",
        ),
        (
            "take no participant for absent that was so before another round",
            "        entry.absent = {target for target in entry.absent if target.kind == names.POD_KIND}\n",
            "",
        ),
        (
            "count a read that was under way when another round was seen for none",
            "if read is not None and key not in read.outdated:",
            "if read is not None:",
        ),
        (
            "take an absence for one of that round only",
            "target.kind == names.PARTICIPANT_KIND and read.key not in read.asked.outdated",
            "target.kind == names.PARTICIPANT_KIND",
        ),
        (
            "wait for a read before a member whose object is shown no more is gone",
            "spec = entry.drop(name).object.spec",
            "spec = entry.drop(name).object.spec; entry.absent.add(Target(names.PARTICIPANT_KIND, name))",
        ),
        ("compare the versions of pods", "if before is not None and version < before.version:", "if False:"),
        (
            "take no pod away that has its label again",
            "key = place.key if place is not None and place.version <= version_of(item) else None",
            "key = place.key if place is not None else None",
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
        ("notice that a version goes back", "if listed.version < asked.newest:", "if False:"),
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
            "take no newer version that a watch has shown for one that goes back",
            "if reference_of(item) not in read.asked.shown and version_of(item) < known:",
            "if version_of(item) < known:",
        ),
        (
            "keep an object that was made again when the deletion of its predecessor is shown",
            "if entry.participants[name].object.metadata.uid != uid:",
            "if False:",
        ),
        (
            "keep a Rendezvous that was made again when the deletion of its predecessor is shown",
            "and entry.rendezvous is not None and entry.rendezvous.metadata.uid == uid:",
            "and entry.rendezvous is not None:",
        ),
        (
            "keep an object that was made while a read of it was under way",
            "if not target.uid and (read.key.namespace, uid) in read.asked.shown:",
            "if False:",
        ),
        (
            "take another pod of that name for the absence of the first",
            'if item is None or (target.uid and item["metadata"]["uid"] != target.uid):',
            "if item is None:",
        ),
        (
            "take an object of another Rendezvous for absent here",
            "if target.kind == names.PARTICIPANT_KIND and _rendezvous_name(item) != read.key.name:",
            "if False:",
        ),
        (
            "keep what a participant was when it cannot be understood",
            "seen.object if seen is not None and same else NOTHING_KNOWN",
            "NOTHING_KNOWN",
        ),
        (
            "forget what another object of its name was",
            "seen.object if seen is not None and same else NOTHING_KNOWN",
            "seen.object if seen is not None else NOTHING_KNOWN",
        ),
        (
            "take only a change for a heartbeat of what cannot be understood",
            "beats=changed, understood=False",
            "beats=True, understood=False",
        ),
        (
            "say that a participant cannot be understood",
            "if not self._hold(key, participant, read, beats=changed, understood=False):",
            "if not self._hold(key, participant, read, beats=changed):",
        ),
        (
            "take a write of another client for no heartbeat",
            "beat_at = self.clock() if seen is None or beats else seen.beat_at",
            "beat_at = self.clock()",
        ),
        (
            "forget an absence when the object is shown",
            "        entry.absent.discard(Target(names.PARTICIPANT_KIND, name))\n",
            "",
        ),
        (
            "forget that a pod is shown no more when it is",
            "        entry.vanished.discard(Target(names.POD_KIND, pod.name, pod.uid))\n        return touched",
            "        return touched",
        ),
        (
            "take a pod out of the Rendezvous whose label it had",
            "if before is not None and before.key is not None and before.key != key:",
            "if False:",
        ),
        (
            "decide nothing on a pod that has not changed",
            "if entry.keep_pod(pod, self.clock()):",
            "if [entry.keep_pod(pod, self.clock())]:",
        ),
        (
            "decide on all once all kinds are listed",
            "            touched |= set(self._entries)\n",
            "            pass\n",
        ),
        (
            "count as complete only when all kinds are listed",
            "return self._listed.issuperset(KINDS)",
            "return bool(self._listed)",
        ),
    ),
    *of(
        "operator/rendezvous_operator/watch/entry.py",
        ["watch/test_cache.py", "watch/test_cache_pods.py"],
        ("note when a pod or container has ended", "            self.ended_at[pod.uid] = now\n", "            pass\n"),
        (
            "note only a new end of a pod or container",
            "before is None or (before.phase, before.ended) != (pod.phase, pod.ended)",
            "True",
        ),
    ),
    *of(
        "operator/rendezvous_operator/watch/pods.py",
        ["watch/test_pods.py", "test_ended_containers.py"],
        (
            "know no addresses of a pod in the network of its machine",
            'if spec.get("hostNetwork") or spec.get("resourceClaims") or',
            'if spec.get("resourceClaims") or',
        ),
        (
            "know no addresses of a pod with claimed devices",
            'spec.get("hostNetwork") or spec.get("resourceClaims") or',
            'spec.get("hostNetwork") or',
        ),
        ("know no addresses of a pod in further networks", " or names.ANNOTATION_NETWORKS in annotations:", ":"),
        (
            "know no addresses before the pod has one",
            '    if not status.get("podIPs"):\n        return frozenset()\n',
            "",
        ),
        (
            "take only the controller for the workload",
            '        if reference.get("controller"):\n',
            "        if True:\n",
        ),
        (
            "believe no end of a container that runs since an unknown time",
            'if ended and ("running" not in state or runs_since):',
            "if ended:",
        ),
        (
            "call no container over that another one may start again",
            'if any(rule.get("action") == "RestartAllContainers" for rule in rules):',
            "if False:",
        ),
        (
            "keep when an end was first seen",
            "tuple(known.get(end, end._replace(seen_at=now)) for end in pod.ended)",
            "tuple(end._replace(seen_at=now) for end in pod.ended)",
        ),
        ("take only a disruption that is true for one", ' and condition["status"] == "True":', ":"),
    ),
]
