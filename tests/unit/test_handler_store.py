"""The check-in at the store of a round, without an API server."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from tests.support.waiting import wait_until
from torch.distributed import PrefixStore
from torch.distributed.rendezvous import rendezvous

from rendezvous_api.rendezvous import Member, Store
from rendezvous_handler.agent.store_port import StorePort
from rendezvous_handler.join.answer import Membership
from rendezvous_handler.join.join import Seen
from rendezvous_handler.torchrun import compat, round_store
from rendezvous_handler.torchrun.round_store import RoundStore


@pytest.fixture
def cleanup() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


class Group:
    """Some members of one round, all in this process."""

    def __init__(self, size: int, timeout: int = 10, shared: bool = True, host: str = "127.0.0.1"):
        self.ports = [StorePort(host, range(0, 1)) for _ in range(size)]
        self.store = Store(host, self.ports[0].port)
        self.size, self.timeout, self.shared = size, timeout, shared
        self.bells = [threading.Event() for _ in range(size)]
        self.members = [self.member(rank) for rank in range(size)]

    def member(
        self, rank: int, uid: str = "uid", store: Store | None = None, kind: type[RoundStore] = RoundStore
    ) -> RoundStore:
        entry = Member(f"train.{rank}", "abcd1234", 1, rank)
        place = Membership(uid, 1, rank, self.size, store or self.store, "run", entry)
        return kind(place, self.ports[rank], self.timeout, self.shared, self.bells[rank].set)

    def check_in(self, *ranks: int) -> None:
        for rank in ranks:
            self.members[rank].start_check_in()
        for rank in ranks:
            assert self.bells[rank].wait(20)

    def close(self) -> None:
        for member in self.members:
            member.close()


def test_all_check_in_whoever_comes_first(cleanup: ExitStack) -> None:
    group = Group(3)
    cleanup.callback(group.close)
    for rank in (2, 1):
        group.members[rank].start_check_in()
    time.sleep(0.2)
    start = time.monotonic()
    group.members[0].start_check_in()
    for bell in group.bells:
        assert bell.wait(10)
    assert time.monotonic() - start < 8  # the 10 s of the check-in
    assert [member.complete for member in group.members] == [True, True, True]
    assert {str(member.bootstrap) for member in group.members} == {str(group.members[0].bootstrap)}
    stores = [member.agent_store() for member in group.members]
    stores[0].set("key", "value")
    assert [store.get("key") for store in stores] == [b"value"] * 3
    # A key that the agent or a worker calls "check-in" is another one.
    assert stores[1].add("check-in", 1) == 1


def test_a_member_that_does_not_come_is_counted(cleanup: ExitStack) -> None:
    group = Group(3, timeout=5)
    cleanup.callback(group.close)
    group.check_in(0, 1)
    for member in group.members[:2]:
        assert not member.complete
        assert "2 of 3 members have come" in str(member.error)
        assert member.seen == Seen(reached=True, missing=(2,))


def test_a_store_that_is_not_served_is_named(cleanup: ExitStack) -> None:
    group = Group(2, timeout=1)
    cleanup.callback(group.close)
    group.check_in(1)
    assert f"no store at 127.0.0.1:{group.ports[0].port}" in str(group.members[1].error)
    assert group.members[1].seen == Seen(reached=False)


def test_a_host_that_no_member_reaches_misses_all_of_them(cleanup: ExitStack) -> None:
    group = Group(4, timeout=1)
    cleanup.callback(group.close)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        for rank in (1, 2, 3):
            group.members[rank] = group.member(rank, store=Store("127.0.0.1", closed.getsockname()[1]))
        group.check_in(0, 1, 2, 3)
    assert [member.seen for member in group.members] == [Seen(True, (1, 2, 3)), *[Seen(False)] * 3]


def test_a_host_that_cannot_serve_says_so_at_once(cleanup: ExitStack) -> None:
    class Broken(RoundStore):
        def _connect(self) -> None:
            raise OSError("too many open files")

    group = Group(2, timeout=60)
    cleanup.callback(group.close)
    group.members[0] = group.member(0, kind=Broken)
    group.check_in(0)
    assert group.members[0].seen == Seen(reached=False)


def test_the_host_serves_for_longer_than_the_others_wait(cleanup: ExitStack) -> None:
    """So each of them can still ask who is missing, although the host ends its store when its own time has passed."""
    group = Group(3, timeout=3)
    cleanup.callback(group.close)
    host, other, _ = group.members
    host.start_check_in()
    wait_until(lambda: host._client, "the store")
    time.sleep(1)  # as long as a change of the Rendezvous may take on its way to the other
    other.start_check_in()
    assert group.bells[0].wait(20)
    host.close()
    assert group.bells[1].wait(20)
    assert [host.seen, other.seen] == [Seen(True, (2,))] * 2


def test_a_member_that_was_given_no_time_says_nothing(cleanup: ExitStack) -> None:
    group = Group(2, timeout=4)
    cleanup.callback(group.close)
    _, member = group.members
    assert member.seen is None
    member.start_check_in()
    assert member.seen is None
    assert not member.ends_within(1)
    assert member.ends_within(5)
    wait_until(lambda: member.seen == Seen(reached=False), "half of its time to pass")
    assert not group.bells[1].is_set()


def test_one_that_has_reached_the_store_says_so_also_if_the_round_is_ended_then(cleanup: ExitStack) -> None:
    group = Group(2, timeout=60)
    cleanup.callback(group.close)
    group.members[0].start_check_in()
    wait_until(lambda: group.members[0].seen, "rank 0 at its store")
    assert group.members[0].seen == Seen(reached=True)


def test_a_store_that_goes_is_named_as_the_cause(cleanup: ExitStack) -> None:
    group = Group(3, timeout=60)
    cleanup.callback(group.close)
    for member in group.members[:2]:
        member.start_check_in()
    wait_until(lambda: all(member.seen for member in group.members[:2]), "both at the store")
    group.members[0].close()
    assert group.bells[1].wait(20)
    assert "it was closed while this member waited for the others" in str(group.members[1].error)
    assert group.members[1].seen == Seen(reached=True)


class Earlier(RoundStore):
    """A member whose release only counts."""

    def _claim(self) -> None:
        pass

    def _await_members(self) -> None:
        store = self._members_store()
        if store.add("check-in", 1) == self.membership.nodes:
            store.set("complete", "1")
        store.wait(["complete"], timedelta(seconds=self._timeout))


@pytest.mark.parametrize("earlier", [0, 1])
def test_members_of_two_releases_meet(cleanup: ExitStack, monkeypatch: pytest.MonkeyPatch, earlier: int) -> None:
    monkeypatch.setattr(round_store, "_OWNER_SECONDS", 0.5)
    group = Group(2)
    cleanup.callback(group.close)
    group.members[earlier] = group.member(earlier, kind=Earlier)
    group.check_in(0, 1)
    assert [member.complete for member in group.members] == [True, True]


def test_who_is_missing_is_not_known_where_some_members_are_only_counted(cleanup: ExitStack) -> None:
    group = Group(3, timeout=2)
    cleanup.callback(group.close)
    group.members[1] = group.member(1, kind=Earlier)
    group.check_in(0, 1)
    assert "2 of 3 members have come" in str(group.members[0].error)
    assert group.members[0].seen == Seen(reached=True)


def test_a_member_of_another_rendezvous_at_a_reused_address_is_not_counted(cleanup: ExitStack) -> None:
    group = Group(2)
    cleanup.callback(group.close)
    stray = group.member(1, uid="another")
    group.members[0].start_check_in()
    wait_until(lambda: group.members[0].seen, "rank 0 at its store")
    stray.start_check_in()
    wait_until(lambda: stray.error, "the stray to fail")
    where = f"127.0.0.1:{group.store.port}"
    assert str(stray.error).startswith(f"the store at {where} is that of another Rendezvous (UID uid)")
    assert not group.members[0].complete
    group.members[1].start_check_in()
    wait_until(lambda: group.members[0].complete and group.members[1].complete, "the group to meet")


class SlowHost(RoundStore):
    """A host whose own connect takes long: torch looks up the name of the address."""

    def _connect(self) -> None:
        time.sleep(1)
        super()._connect()


def test_a_member_of_another_rendezvous_is_not_faster_than_the_host(cleanup: ExitStack) -> None:
    group = Group(2)
    cleanup.callback(group.close)
    stray = group.member(1, uid="another")
    stray.start_check_in()
    group.members[0] = group.member(0, kind=SlowHost)
    group.check_in(0, 1)
    assert [member.error for member in group.members] == [None, None]
    wait_until(lambda: stray.error, "the stray to fail")
    assert "is that of another Rendezvous (UID uid)" in str(stray.error)


class FirstToCome(RoundStore):
    """A member of a release that claims the store at once."""

    def _claim(self) -> None:
        self._members_store().compare_set("rendezvous", "", self.membership.uid)


def test_a_host_that_finds_a_counted_member_of_another_rendezvous_meets_nobody(cleanup: ExitStack) -> None:
    """Else the stray would be counted in the place of a member that has not come."""
    group = Group(2)
    cleanup.callback(group.close)
    stray = group.member(1, uid="another", kind=FirstToCome)

    class Late(RoundStore):
        def _claim(self) -> None:
            stray.start_check_in()
            wait_until(lambda: stray.seen, "the stray at the store")
            super()._claim()

    group.members[0] = group.member(0, kind=Late)
    group.check_in(0)
    assert "is that of another Rendezvous (UID another)" in str(group.members[0].error)
    stray.close()


class Counting(RoundStore):
    """A member that counts its requests to the store."""

    requests = 0

    def _members_store(self) -> Any:
        store = super()._members_store()

        class Counted:
            def __getattr__(_, name: str) -> Any:  # noqa: N805
                self.requests += 1
                return getattr(store, name)

        return Counted()


def test_a_member_makes_the_same_few_requests_in_a_group_of_any_size(cleanup: ExitStack) -> None:
    groups = [Group(size, timeout=6) for size in (3, 12)]
    for group in groups:
        cleanup.callback(group.close)
        group.members = [group.member(rank, kind=Counting) for rank in range(group.size - 1)]
        for member in group.members:
            member.start_check_in()
    for group in groups:
        assert all(bell.wait(20) for bell in group.bells[:-1])
        assert {member.seen for member in group.members} == {Seen(True, (group.size - 1,))}
        host, *others = [member.requests for member in group.members if isinstance(member, Counting)]
        assert (host, {*others}) == (6, {7})


def test_a_check_in_that_is_given_up_ends_and_serves_no_more(cleanup: ExitStack) -> None:
    group = Group(2, timeout=30)
    cleanup.callback(group.close)
    number = group.ports[0].port
    group.members[0].start_check_in()
    wait_until(lambda: group.members[0]._client, "its connection: torch would try to connect for 30 s after the close")
    socket.create_connection(("127.0.0.1", number)).close()
    group.members[0].close()
    assert group.bells[0].wait(20)
    assert group.members[0].error is not None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", number), timeout=1)
    group.members[1].start_check_in()
    time.sleep(0.2)
    group.members[1].close()
    assert group.bells[1].wait(20)


def test_members_count_themselves_out(cleanup: ExitStack) -> None:
    group = Group(3)
    cleanup.callback(group.close)
    for member in group.members:
        member.start_check_in()
    for bell in group.bells:
        assert bell.wait(10)
    first, *others = group.members
    assert [member.others_left() for member in group.members] == [False, True, True]
    for member in others:
        assert member.check_out().wait(5)
    assert first.check_out().wait(5)
    assert first.others_left()


def test_an_unshared_store_agrees_on_another_port(cleanup: ExitStack) -> None:
    group = Group(2, shared=False)
    cleanup.callback(group.close)
    for member in group.members:
        member.start_check_in()
    for bell in group.bells:
        assert bell.wait(10)
    first, second = (member.bootstrap for member in group.members)
    assert first == second
    assert first is not None
    assert first.master_addr == "127.0.0.1"
    assert first.master_port != group.members[0].membership.store.port


@pytest.mark.parametrize("shared", [True, False])
def test_workers_meet_at_an_ipv6_address(cleanup: ExitStack, monkeypatch: pytest.MonkeyPatch, shared: bool) -> None:
    """By MASTER_ADDR and MASTER_PORT, as torchrun gives them to workers and init_process_group("env://") reads them."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    group = Group(2, shared=shared, host="::1")
    cleanup.callback(group.close)
    group.check_in(1, 0)
    assert [member.error for member in group.members] == [None, None]
    bootstrap = group.members[1].bootstrap
    assert bootstrap is not None
    variables = {"MASTER_ADDR": bootstrap.master_addr, "MASTER_PORT": bootstrap.master_port}
    for name, value in {**variables, "TORCHELASTIC_USE_AGENT_STORE": shared, "TORCHELASTIC_RESTART_COUNT": 0}.items():
        monkeypatch.setenv(name, str(value))

    def worker(rank: int) -> Any:
        return next(rendezvous(f"env://?rank={rank}&world_size=2", timeout=timedelta(seconds=20)))[0]

    with ThreadPoolExecutor() as both:
        stores = list(both.map(worker, range(2)))
    stores[0].set("key", "value")
    assert stores[1].get("key") == b"value"


def test_who_has_not_checked_in_counts_as_no_member_that_has_left(cleanup: ExitStack) -> None:
    """Else the host would let its store go while another member still needs it."""
    group = Group(3, timeout=1)
    cleanup.callback(group.close)
    group.check_in(0, 1)
    assert not group.members[1].complete
    assert group.members[1].check_out().wait(10)
    store = PrefixStore(group.members[0]._prefix("members"), group.members[0]._server)
    assert store.add(round_store._LEFT, 0) == 0


def test_a_store_that_was_served_when_its_round_was_given_up_already_is_let_go(
    cleanup: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Group(2)
    cleanup.callback(group.close)

    def serve_late(*how: Any) -> Any:
        group.members[0].close()
        return compat.serve_store(*how)

    monkeypatch.setattr(round_store, "serve_store", serve_late)
    group.check_in(0)
    assert "given up" in str(group.members[0].error)
    assert group.members[0]._server is None
