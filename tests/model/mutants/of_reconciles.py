"""The guards of reconciles: queue, requests, Lease, and the clock for outages."""

from tests.model.mutants.mutant import of

MUTANTS = [
    *of(
        "operator/rendezvous_operator/reconcile/reconciler.py",
        ["test_reconciler.py", "test_reconciler_unanswered.py"],
        (
            "forget a Rendezvous that a write does not find",
            "self._gone(key, Target(names.RENDEZVOUS_KIND, key.name), asked)",
            "pass",
        ),
        (
            "forget an object that a deletion does not find",
            "                    self._gone(key, Target(deletion.kind, deletion.name), asked)",
            "                    pass",
        ),
        ("adopt a write whose answer was lost", "self._settle(key, group, world)\n", "pass\n"),
        (
            "adopt only the status that was written",
            "next((one for one in group.unanswered if one[1].status == now.status), None)",
            "next(iter(group.unanswered), None)",
        ),
        ("forget the memory of a deleted Rendezvous", "if group is None or group.uid != uid:", "if group is None:"),
        ("forget the memory of the term before", "        self._groups.clear()\n", ""),
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
            "read again after a request without an answer",
            "            # It may have been carried out. And if only this request fails, as with a "
            "webhook, this is no outage.\n"
            "            await self._read_again(key)\n",
            "",
        ),
        ("write again what was refused with 429", "if not error.not_carried_out:", "if True:"),
        (
            "make the other deletions after one is refused",
            "refused = refused or error  # it must not block the other deletions",
            "raise",
        ),
        (
            "try again after a defect",
            "        except Exception:\n"
            "            # A defect in one reconcile must not stop the others, nor this Rendezvous for "
            "ever.\n"
            "            backoff = self._put_back(key)\n",
            "        except Exception:\n            backoff = 0.0\n",
        ),
        (
            "try again what the API server refuses",
            "        except ApiError as error:\n            backoff = self._put_back(key)\n",
            "        except ApiError as error:\n            backoff = 0.0\n",
        ),
        (
            "pause between two decisions",
            "self._queue.add(key, group.cooldown_until if group is not None else None)",
            "self._queue.add(key)",
        ),
        ("write minor changes later", "if self._clock() < may_write_at:", "if False:"),
        ("write nothing that has not changed", "        if before == after:\n            return False\n", ""),
        ("write a minor change in the end", "                self._queue.add(key, may_write_at)\n", ""),
        (
            "decide again on what a decision has asked to read",
            "            await self._reader.evidence(key, decision.targets)\n            self._queue.add(key)\n",
            "            await self._reader.evidence(key, decision.targets)\n",
        ),
        ("decide again after a write", "            self._queue.add(key, group.cooldown_until)\n", ""),
        (
            "let no event shorten a back-off",
            "            self._groups[key].cooldown_until = self._clock() + backoff",
            "            pass",
        ),
    ),
    *of(
        "operator/rendezvous_operator/reconcile/work_queue.py",
        ["test_work_queue.py"],
        (
            "add a key only to make it due earlier",
            "        if key in self._due and self._due[key] <= moment:\n            return\n",
            "",
        ),
        (
            "give a key to one worker",
            "next((key for key in keys if key not in self._working), None)",
            "next(iter(keys), None)",
        ),
        (
            "give a tenant no more workers than allowed",
            "if found is None or busy[tenant] >= self._most_of_one:",
            "if found is None:",
        ),
        (
            "let tenants take turns",
            "            del self._ready[tenant]\n"
            "            if keys:\n"
            "                self._ready[tenant] = keys  # after all others\n",
            "            if not keys:\n                del self._ready[tenant]\n",
        ),
        (
            "forget a moment when the key was due earlier",
            "if self._due.get(key) == moment and key not in self._are_ready:",
            "if key in self._due and key not in self._are_ready:",
        ),
        (
            "wake a worker that waits for a later key",
            "        heapq.heappush(self._heap, (moment, self._counter, key))\n        self._changed.set()\n",
            "        heapq.heappush(self._heap, (moment, self._counter, key))\n",
        ),
        (
            "wake a worker when a key is done",
            "        self._working.discard(key)\n        self._changed.set()\n",
            "        self._working.discard(key)\n",
        ),
    ),
    *of(
        "operator/rendezvous_operator/kube/outage_clock.py",
        ["test_outage_clock.py"],
        ("stand still in an outage", "if began is not None and now - began >= SHORTEST_SECONDS:", "if False:"),
        (
            "make up for a single failure",
            "if began is not None and now - began >= SHORTEST_SECONDS:",
            "if began is not None:",
        ),
        ("take 429 for no sign of an outage", 'if code == "429":', "if False:"),
        (
            "begin an outage with its first failure",
            "        if self._failing_since is None:\n            self._failing_since = max",
            "        if True:\n            self._failing_since = max",
        ),
        (
            "begin no outage before the last answer",
            "max(self._answered_at, self._real() - seconds)",
            "self._real() - seconds",
        ),
        (
            "begin no outage before the request was sent",
            "max(self._answered_at, self._real() - seconds)",
            "self._answered_at",
        ),
        ("take 5xx for no answer", "if code.isdecimal() and int(code) < 500:", "if code.isdecimal():"),
        (
            "stand while there may be an outage",
            "(self._real() if self._failing_since is None else self._failing_since)",
            "self._real()",
        ),
    ),
    *of(
        "operator/rendezvous_operator/kube/lease.py",
        ["test_lease.py"],
        (
            "take no Lease that another holds",
            "        if self.holder and not mine and now < self._expires_at:\n            return None\n",
            "",
        ),
        (
            "take a Lease that has expired",
            "if self.holder and not mine and now < self._expires_at:",
            "if self.holder and not mine:",
        ),
        (
            "take a Lease that was released",
            "if self.holder and not mine and now < self._expires_at:",
            "if not mine and now < self._expires_at:",
        ),
        (
            "count from the change of a Lease",
            "        if record != self._record:\n            self._record = record\n",
            "        if True:\n            self._record = record\n",
        ),
        (
            "end the term when another one holds the Lease",
            '        if self.holder != self._identity:\n            self._leads_until = float("-inf")\n',
            "",
        ),
        (
            "count from when the renewal was sent",
            "self._leads_until = sent_at + self._timing.renew_deadline",
            "self._leads_until = now + self._timing.renew_deadline",
        ),
        (
            "begin a new term after one has ended",
            "        if self.term(now) is None:\n            self._terms += 1\n",
            "        self._terms = self._terms or 1\n",
        ),
        (
            "release no Lease of another",
            "        if self._record is None or self.holder != self._identity:\n            return None\n        # A",
            "        if self._record is None:\n            return None\n        # A",
        ),
        (
            "end the term before the Lease is released",
            '        self._leads_until = float("-inf")\n        if self._record is None',
            "        if self._record is None",
        ),
        (
            "read the Lease again after a conflict",
            "            # Another candidate has written, or an earlier renewal succeeded without an "
            "answer.\n"
            "            await self._read()\n",
            "            pass\n",
        ),
        (
            "read it before it is released after a write without an answer",
            "            if self._writing:\n                await self._read()",
            "            if False:\n                await self._read()",
        ),
        ("try as soon as the Lease expires", "            wait = min(wait, expires_in)\n", "            pass\n"),
    ),
    *of(
        "operator/rendezvous_operator/reconcile/fence.py",
        ["test_fence.py", "test_reconciler.py", "test_reconciler_unanswered.py"],
        ("check the term before each write", "if self._current_term() != self._term:", "if False:"),
        ("keep an object that has changed", "        except ConflictError:\n", "        except ZeroDivisionError:\n"),
        ("decide only as the leader", "if term is not None else None", "if True else None"),
    ),
    *of(
        "operator/rendezvous_operator/reconcile/reader.py",
        [
            "test_reader.py",
            "test_reconciler.py",
            "test_reconciler_unanswered.py",
            "watch/test_cache.py",
            "watch/test_cache_pods.py",
            "test_reading_train_jobs.py",
        ],
        ("list pods without their label", "key.namespace, labelled=False)", "key.namespace)"),
        ("read many objects in one list", "if len(of_kind) > MOST_SINGLE_READS:", "if False:"),
        (
            "list again until the API server answers",
            "                await asyncio.sleep(failures.pause())\n",
            "                raise\n",
        ),
        (
            "decide without a read of the Rendezvous that fails",
            "        except ApiError:\n"
            "            return set()\n"
            "        return self.cache.take(Read(key, Target(names.RENDEZVOUS_KIND",
            "        except ZeroDivisionError:\n"
            "            return set()\n"
            "        return self.cache.take(Read(key, Target(names.RENDEZVOUS_KIND",
        ),
    ),
]
