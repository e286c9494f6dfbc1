"""KubernetesStore: torch's Store in a ConfigMap, for the small keys of the control plane."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from torch.distributed import DistNetworkError, DistStoreError, Store

from rendezvous_api.api_errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    NotFoundError,
    TooLargeError,
    UnreachableError,
)
from rendezvous_api.backoff import Backoff, Failures
from rendezvous_handler.kube.client import Client
from rendezvous_handler.kube.errors import advise
from rendezvous_handler.operatorless.config_map import (
    CONFIG_MAP_BYTES,
    ConfigMap,
    CorruptError,
    Owner,
    Snapshot,
    conflict_back_off,
    patiently,
)
from rendezvous_handler.operatorless.keys import KEY, QUEUE, Rounds, decode, encode, join, split
from rendezvous_handler.torchrun.compat import QueueEmptyError

_POLLS = Backoff(first=0.02, longest=1.0)

Values = Mapping[str, bytes]
"""What the ConfigMap holds, by encoded name."""
Changes = dict[str, bytes | None]
"""New values by encoded name; None removes."""


class KubernetesStore(Store):  # type: ignore[misc]  # torch is not type-checked here
    """A `torch.distributed.Store` whose keys are those of one ConfigMap: the counterpart of torch's EtcdStore.

    It is for the few small keys by which agents agree on ranks and ports and wait for each other, not for tensors: all
    keys share the 1 MiB of a ConfigMap, a write takes a few milliseconds and more when others write at the same time,
    and who waits for a key asks for it up to once a second. Values are any bytes; ``str`` is stored as UTF-8. It works
    under `torch.distributed.PrefixStore`, which must be kept together with it: torch does not keep a Python store
    alive. All methods may be called by several threads at once.

    The ConfigMap is created by the first write, and goes with its owner.

    Every method raises DistStoreError when the API server refuses, and DistNetworkError when it does not answer within
    the timeout, or when it is unknown whether a call that must not be repeated (add, append, queue_push, queue_pop) was
    carried out. Both are RuntimeErrors, as those of torch's TCPStore.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        timeout: timedelta | None = None,
        owner: Callable[[], Owner | None] = lambda: None,
        label: str | None = None,
        rounds: str | None = None,
    ):
        """Make no request yet.

        Args:
            client: of the API server; made by `kube_rendezvous.connect`.
            namespace: of the ConfigMap.
            name: of the ConfigMap.
            timeout: for waiting, and for one call with all its tries; default 300 s, as for every Store of torch.
            owner: says with whom the ConfigMap goes; None: it stays until it is deleted. Keys in one that was made for
                another owner are of the past: they do not count, and go with the first write.
            label: value of the label ``rdzv.dev/rendezvous`` that the ConfigMap gets when it is created, if any.
            rounds: forget the past. Once a key ``<rounds>.<N>/...`` is written, those of N - 2 and before are removed.
                torch's DynamicRendezvousHandler puts ``torch.rendezvous.<run id>.<round>/`` before each key
                (dynamic_rendezvous.py, ``_wrap_store``); without this, restarts would fill the ConfigMap. It may be any
                text: a long one stands as a hash in the names of keys.
        """
        super().__init__()
        self._map = ConfigMap(client, namespace, name, label)
        self._owner = owner
        self._rounds = None if rounds is None else Rounds(rounds)
        if timeout is not None:
            self.set_timeout(timeout)

    def set(self, key: str, value: str | bytes) -> None:
        """Set a key.

        Raises:
            ValueError: the key is too long.
            DistStoreError: the value does not fit into the ConfigMap any more.
        """
        self.multi_set([key], [value])

    def get(self, key: str) -> bytes:
        """The value of a key; waits for it.

        Raises:
            DistStoreError: the key is not there within the timeout.
        """
        return self.multi_get([key])[0]

    def add(self, key: str, amount: int) -> int:
        """Add to a decimal number, which is 0 if the key is not there. Returns the sum.

        Raises:
            ValueError: the value of the key is no decimal number.
        """
        name = self._name(key)
        total = 0

        def change(values: Values) -> Changes:
            nonlocal total
            present = values.get(name, b"0")
            try:
                total = int(present) + amount
            except ValueError:
                raise ValueError(f"cannot add to the key {key!r}: its value {present!r} is no number") from None
            return {name: str(total).encode()}

        self._update(change, repeatable=False)
        return total

    def compare_set(self, key: str, expected: str | bytes, desired: str | bytes) -> bytes:
        """Set a key if it has the expected value, or if it is not there and that is empty. Returns what it then has.

        As in TCPStore, the expected value is returned if the key is not there and was to have one.
        """
        name, old, new = self._name(key), _bytes(expected), _bytes(desired)
        result = new

        def change(values: Values) -> Changes:
            nonlocal result
            present = values.get(name)
            if present == old or (present is None and not old):
                result = new
                return {name: new}
            result = old if present is None else present
            return {}

        self._update(change)
        return result

    def append(self, key: str, value: str | bytes) -> None:
        """Put bytes behind the value of a key, which is empty if the key is not there."""
        name = self._name(key)
        self._update(lambda values: {name: values.get(name, b"") + _bytes(value)}, repeatable=False)

    def check(self, keys: Sequence[str]) -> bool:
        """Whether all keys are there now, or are queues that are not empty."""
        return not self._missing(self._values(), keys)

    def wait(self, keys: Sequence[str], timeout: timedelta | None = None) -> None:
        """Wait until all keys are there.

        Args:
            keys: to wait for.
            timeout: default: that of the store.

        Raises:
            DistStoreError: not within the timeout; the message names what is missing.
        """
        self._await(keys, self.timeout if timeout is None else timeout)

    def multi_get(self, keys: Sequence[str]) -> list[bytes]:
        """The values of all keys; waits until all are there. They are of one moment.

        Raises:
            DistStoreError: not within the timeout.
        """
        values = self._await(keys, self.timeout, queues=False)
        return [values[self._name(key)] for key in keys]

    def multi_set(self, keys: Sequence[str], values: Sequence[str | bytes]) -> None:
        """Set all keys at once.

        Raises:
            ValueError: there are not as many values as keys, or a key is too long.
            DistStoreError: they do not fit into the ConfigMap any more.
        """
        if len(keys) != len(values):
            raise ValueError(f"multi_set needs one value for each key, not {len(values)} for {len(keys)}")
        changes: Changes = {self._name(key): _bytes(value) for key, value in zip(keys, values, strict=True)}
        self._update(lambda _: changes)

    def delete_key(self, key: str) -> bool:
        """Remove a key. Returns whether it was there."""
        name = self._name(key)
        deleted = False

        def change(values: Values) -> Changes:
            nonlocal deleted
            # Not to be forgotten when a try that got no answer has removed it.
            deleted = deleted or name in values
            return {name: None} if name in values else {}

        self._update(change)
        return deleted

    def num_keys(self) -> int:
        """How many keys there are, not counting queues."""
        return len(self.list_keys())

    def list_keys(self) -> list[str]:
        """All keys, in the order of their names, without queues."""
        return sorted(self._key(name) for name in self._values() if name.startswith(KEY))

    def has_extended_api(self) -> bool:
        """Whether append, multi_get and multi_set work: yes."""
        return True

    def clone(self) -> Store:
        """The store itself: it has no connection that two threads could not share."""
        return self

    def queue_push(self, key: str, value: str | bytes) -> None:
        """Put a value at the end of a queue. torch's PrefixStore passes no queue calls on to a store in Python."""
        name, item = self._name(key, QUEUE), join([_bytes(value)])
        self._update(lambda values: {name: values.get(name, b"") + item}, repeatable=False)

    def queue_pop(self, key: str, block: bool = True) -> bytes:
        """Take the first value of a queue.

        Args:
            key: the queue.
            block: wait for a value.

        Raises:
            DistStoreError: there was none within the timeout.
            torch.distributed.QueueEmptyError: there is none, and ``block`` is False.
        """
        name = self._name(key, QUEUE)
        taken: bytes | None = None

        def change(values: Values) -> Changes:
            nonlocal taken
            items = split(values.get(name, b""))
            taken = items[0] if items else None
            return {name: join(items[1:]) or None} if items else {}

        deadline = time.monotonic() + self.timeout.total_seconds()
        while True:
            self._update(change, repeatable=False)
            if taken is not None:
                return taken
            if not block:
                raise QueueEmptyError(f"the queue {key!r} is empty")
            self._await([key], timedelta(seconds=max(0.0, deadline - time.monotonic())))

    def queue_len(self, key: str) -> int:
        """How many values a queue has."""
        return len(split(self._values().get(self._name(key, QUEUE), b"")))

    # The names by which torch calls these two from C++, as under a PrefixStore (torch/csrc/distributed/c10d/init.cpp).
    deleteKey = delete_key  # noqa: N815
    getNumKeys = num_keys  # noqa: N815

    def _name(self, key: str, kind: str = KEY) -> str:
        return encode(key if self._rounds is None else self._rounds.shorten(key), kind)

    def _key(self, name: str) -> str:
        return decode(name) if self._rounds is None else self._rounds.restore(decode(name))

    def _missing(self, values: Values, keys: Sequence[str], queues: bool = True) -> list[str]:
        return [
            key for key in keys if self._name(key) not in values and not (queues and self._name(key, QUEUE) in values)
        ]

    def _shown(self, changes: Changes) -> str:
        written = [repr(self._key(name)) for name, value in changes.items() if value is not None]
        keys = ", ".join(written[:3]) + (f" and {len(written) - 3} more" if len(written) > 3 else "")
        return f"the key {keys}" if len(written) == 1 else f"the keys {keys}"

    def _values(self) -> Values:
        return self._current(self._read(self._deadline()), self._owner())

    def _deadline(self) -> float:
        return time.monotonic() + float(self.timeout.total_seconds())

    def _read(self, deadline: float) -> Snapshot | None:
        try:
            # A store with a timeout of a millisecond is one that wants no waiting, not one that is to fail.
            return self._map.read(max(deadline, time.monotonic() + 1.0))
        except (ApiError, CorruptError) as error:
            raise _translated(error) from None

    def _await(self, keys: Sequence[str], timeout: timedelta, queues: bool = True) -> Values:
        """Poll until all keys are there. A watch would need more rights, and bring each write to all who wait."""
        deadline = time.monotonic() + timeout.total_seconds()
        pause = Failures(_POLLS)
        while True:
            values = self._current(self._read(deadline), self._owner())
            missing = self._missing(values, keys, queues)
            if not missing:
                return values
            left = deadline - time.monotonic()
            if left <= 0:
                raise DistStoreError(
                    f"wait timeout after {timeout.total_seconds():g} s; the ConfigMap {self._map.reference} has no "
                    f"{', '.join(missing[:10])}" + (f" and {len(missing) - 10} more" if len(missing) > 10 else "")
                )
            time.sleep(min(left, pause.pause()))

    def _update(self, change: Callable[[Values], Changes], repeatable: bool = True) -> None:
        """Read, change and write until no other client has written in between."""
        deadline = self._deadline()
        back_off = conflict_back_off()
        while True:
            seen, owner = self._read(deadline), self._owner()
            values = self._current(seen, owner)
            changes = change(values)
            if not changes:
                return
            changes = {**self._outdated(values, changes), **changes}
            if seen is not None and values is not seen.data:
                changes = {**dict.fromkeys(seen.data), **changes}
                seen = replace(seen, owners=())
            try:
                self._write(seen, changes, owner, deadline, repeatable)
            except (AlreadyExistsError, ConflictError, NotFoundError) as error:
                if isinstance(error, NotFoundError) and seen is None:  # the namespace is missing
                    raise _translated(error) from None
                if time.monotonic() >= deadline:
                    raise DistStoreError(
                        f"{self._shown(changes)} could not be written within {self.timeout.total_seconds():g} s: "
                        f"others changed the ConfigMap {self._map.reference} each time, {back_off.count + 1} times"
                    ) from None
                time.sleep(back_off.pause())
            except TooLargeError:
                size = sum(len(value) for value in changes.values() if value is not None)
                raise DistStoreError(
                    f"{self._shown(changes)} with {size} bytes does not fit into the ConfigMap {self._map.reference}: "
                    f"it holds {seen.size if seen else 0} bytes, and may hold {CONFIG_MAP_BYTES}"
                ) from None
            except ApiError as error:
                raise _translated(error, unknown=not repeatable) from None
            else:
                return

    def _write(
        self, seen: Snapshot | None, changes: Changes, owner: Owner | None, deadline: float, repeatable: bool
    ) -> None:
        values = {name: value for name, value in changes.items() if value is not None}
        if sum(map(len, values.values())) > CONFIG_MAP_BYTES:  # too much of it, and the server hangs up without a word
            raise TooLargeError("too large", "patch", "configmaps", self._map.reference)
        if seen is None:
            patiently(lambda timeout: self._map.create(values, owner, timeout), deadline, repeatable)
        else:
            patiently(lambda timeout: self._map.write(seen, changes, owner, timeout), deadline, repeatable)

    def _current(self, seen: Snapshot | None, owner: Owner | None) -> Values:
        """The keys that count: not those of a run that has ended and whose ConfigMap has not been collected yet."""
        if seen is None or (owner is not None and all(known["uid"] != owner.uid for known in seen.owners)):
            return {}
        return seen.data

    def _outdated(self, values: Values, changes: Changes) -> Changes:
        """The keys of rounds that have ended, to be removed."""
        if self._rounds is None:
            return {}
        newest = max((self._rounds.number(name) or 0 for name in changes), default=0)
        numbers = ((name, self._rounds.number(name)) for name in values)
        return {name: None for name, number in numbers if number is not None and number < newest - 1}


def _bytes(value: str | bytes) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    raise TypeError(f"a value must be str or bytes, not {type(value).__name__}: {value!r}")


def _translated(error: ApiError | CorruptError, unknown: bool = False) -> Any:  # an exception of torch
    if not isinstance(error, ApiError):
        return DistStoreError(str(error))
    if not isinstance(error, UnreachableError):
        return DistStoreError(advise(error))
    doubt = "; it is not known whether it was carried out" if unknown and not error.not_carried_out else ""
    return DistNetworkError(advise(error) + doubt)
