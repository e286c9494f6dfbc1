"""The rules of the leader election, on a clock of the test's own."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rendezvous_api.api_errors import ConflictError, NotFoundError, UnreachableError
from rendezvous_operator.kube.client import Client, Json
from rendezvous_operator.kube.lease import Candidate, Election, Record, Timing

TIMING = Timing(lease_duration=15, renew_deadline=10, retry_period=2)


def election(identity: str = "a") -> Election:
    return Election(identity, TIMING)


def held_by(holder: str, renewed: str = "2030-01-01T00:00:00.000000Z", transitions: int = 3) -> Record:
    return Record(holder, 15, "2030-01-01T00:00:00.000000Z", renewed, transitions)


def leader(identity: str = "a", at: float = 100.0) -> Election:
    candidate = election(identity)
    candidate.seen(None, at)
    record = candidate.wanted(at, "now")
    assert record is not None
    candidate.written(record, at, at)
    return candidate


@pytest.mark.parametrize("lease", [None, held_by("")], ids=["absent", "released"])
def test_a_lease_without_a_holder_is_taken_at_once(lease: Record | None) -> None:
    candidate = election()
    candidate.seen(lease, 100)
    record = candidate.wanted(100, "now")
    assert record == Record("a", 15, "now", "now", 0 if lease is None else 4)


def test_a_held_lease_is_taken_when_no_change_was_seen_for_its_duration() -> None:
    candidate = election()
    candidate.seen(held_by("b"), 100)
    candidate.seen(held_by("b"), 110)
    assert candidate.wanted(114.9, "now") is None
    record = candidate.wanted(115, "now")
    assert record == Record("a", 15, "now", "now", 4)


def test_each_renewal_that_is_seen_restarts_the_wait() -> None:
    candidate = election()
    candidate.seen(held_by("b", "first"), 100)
    candidate.seen(held_by("b", "second"), 112)
    assert candidate.wanted(126.9, "now") is None
    assert candidate.wanted(127, "now") is not None


def test_the_writers_clock_does_not_matter() -> None:
    for renewed in ("1970-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z"):
        candidate = election()
        candidate.seen(held_by("b", renewed), 100)
        assert candidate.wanted(114, "now") is None
        assert candidate.wanted(115, "now") is not None


def test_the_holders_own_duration_counts() -> None:
    candidate = election()
    candidate.seen(replace(held_by("b"), duration_seconds=60), 100)
    assert candidate.wanted(159, "now") is None
    assert candidate.wanted(160, "now") is not None


def test_a_term_ends_by_itself_counted_from_when_the_renewal_was_sent() -> None:
    candidate = leader(at=100)
    assert candidate.term(109.9) == 1
    record = candidate.wanted(104, "later")
    assert record is not None
    candidate.written(record, sent_at=104, now=109)
    assert candidate.term(113.9) == 1
    assert candidate.term(114) is None


def test_a_term_ends_when_another_holder_is_seen() -> None:
    candidate = leader()
    candidate.seen(held_by("b"), 101)
    assert candidate.term(101) is None
    assert candidate.wanted(101, "now") is None


def test_a_term_ends_when_the_lease_was_deleted() -> None:
    candidate = leader()
    candidate.seen(None, 101)
    assert candidate.term(101) is None
    assert candidate.wanted(101, "now") is not None


def test_who_comes_back_to_its_own_lease_leads_another_term() -> None:
    candidate = leader(at=100)
    assert candidate.term(120) is None
    record = candidate.wanted(120, "later")
    assert record == Record("a", 15, "now", "later", 0), "it has not changed hands"
    candidate.written(record, 120, 120)
    assert candidate.term(121) == 2


def test_a_leader_hands_the_lease_over() -> None:
    candidate = leader()
    record = candidate.resigned("end")
    assert record == Record("", 1, "end", "end", 0)
    assert candidate.term(101) is None, "it stops before it asks"
    other = election("b")
    other.seen(record, 102)
    taken = other.wanted(102, "now")
    assert taken is not None
    assert (taken.holder, taken.transitions) == ("b", 1)


def test_a_follower_has_nothing_to_hand_over() -> None:
    candidate = election()
    assert candidate.resigned("end") is None
    candidate.seen(held_by("b"), 100)
    assert candidate.resigned("end") is None


def test_a_leader_tries_each_period_and_until_its_term_ends() -> None:
    candidate = leader(at=100)
    assert candidate.delay(100, 0.9) == 2
    assert candidate.delay(109.5, 0.9) == pytest.approx(0.5)


def test_followers_come_with_jitter_and_not_later_than_the_lease_expires() -> None:
    candidate = election()
    candidate.seen(held_by("b"), 100)
    assert [candidate.delay(100, jitter) for jitter in (0.0, 0.5, 1.0)] == [2, 1.5, 1]
    assert candidate.delay(114.5, 0) == pytest.approx(0.5)


@pytest.mark.parametrize("now", [115.0, 116.0, 1000.0])
def test_a_try_that_fails_after_the_lease_has_expired_is_followed_by_a_pause(now: float) -> None:
    candidate = election()
    candidate.seen(held_by("b"), 100)
    assert [candidate.delay(now, jitter) for jitter in (0.0, 1.0)] == [2, 1]


@pytest.mark.parametrize("timing", [TIMING, Timing(6, 4, 1), Timing(4, 3, 1)])
def test_two_renewals_without_an_answer_end_within_the_term(timing: Timing) -> None:
    assert timing.request_timeout > 0
    assert 2 * (timing.retry_period + timing.request_timeout) <= timing.renew_deadline


@dataclass
class _Sent:
    record: Record
    version: int
    at: float
    applied: bool = False


@dataclass
class _Node:
    election: Election
    version: int = 0
    sent: _Sent | None = None


class _Lease:
    """The Lease at an API server, between candidates whose requests and answers take any time, or get lost."""

    def __init__(self) -> None:
        self.record: Record | None = None
        self.version = 0
        self.now = 0.0
        self.nodes = [_Node(Election(name, TIMING)) for name in ("a", "b")]

    def read(self, node: _Node) -> None:
        node.version = self.version
        node.election.seen(self.record, self.now)

    def send(self, node: _Node) -> None:
        record = node.election.wanted(self.now, f"{self.now}")
        if record is not None:
            node.sent = _Sent(record, node.version, self.now)

    def apply(self, node: _Node) -> None:
        """The API server takes the request if the version is the one that was read."""
        if node.sent is not None and not node.sent.applied:
            if node.sent.version == self.version:
                self.record, self.version = node.sent.record, self.version + 1
                node.sent.applied = True
            else:
                node.sent = None

    def answer(self, node: _Node) -> None:
        if node.sent is not None and node.sent.applied:
            if self.version == node.sent.version + 1:
                node.version = self.version
            node.election.written(node.sent.record, node.sent.at, self.now)
            node.sent = None

    def lose(self, node: _Node) -> None:
        node.sent = None

    def try_(self, node: _Node) -> None:
        """All of it without delay."""
        for step in (self.read, self.send, self.apply, self.answer):
            step(node)

    def check(self) -> None:
        leading = [number for number, node in enumerate(self.nodes) if node.election.term(self.now) is not None]
        assert len(leading) <= 1, f"{leading} lead at {self.now}"


_STEPS = st.tuples(
    st.integers(0, 1),
    st.sampled_from(["try_", "read", "send", "apply", "answer", "lose"]),
    st.sampled_from([0.0, 0.0, 2.0, 6.0, 9.0, 15.0]),
)


# The answer to a renewal comes late: the term that it gives is nearly over.
@example(
    [(0, "read", 0.0), (0, "send", 0.0), (0, "apply", 0.0), (1, "read", 9.0), (0, "answer", 6.0), (1, "try_", 0.0)]
)
@settings(max_examples=500)
@given(st.lists(_STEPS, max_size=40))
def test_there_are_never_two_leaders_however_slow_requests_are(steps: list[tuple[int, str, float]]) -> None:
    lease = _Lease()
    for who, action, passes in steps:
        getattr(lease, action)(lease.nodes[who])
        lease.check()
        lease.now += passes
        lease.check()


def test_the_simulation_does_have_leaders() -> None:
    lease = _Lease()
    for who, since in ((0, 0.0), (1, 15.0)):
        lease.now = since
        lease.try_(lease.nodes[who])
        lease.check()
        assert lease.nodes[who].election.term(since) == (1 if who == 0 else None)
    lease.now = 30.0
    lease.try_(lease.nodes[1])
    assert lease.nodes[1].election.term(30.0) == 1, "it had to see the Lease unchanged for 15 s first"


class _Server(Client):
    """Has the Lease, and notes the requests. The answers to some writes are lost, or say that another one was first."""

    def __init__(self, **writes: str) -> None:
        self.item: Json = {}
        self.requests: list[str] = []
        self.after = writes
        """What happens to the n-th write: ``answer is lost``, ``another was first``."""
        self.version = 0

    async def request(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        *,
        body: Json | None = None,
        content_type: str = "",
    ) -> Json:
        self.requests.append(method)
        if method == "GET":
            if not self.item:
                raise NotFoundError("no", method, "leases", "ns")
            return self.item
        assert body is not None
        number = f"write_{len(self.requests) - self.requests.count('GET')}"
        if self.after.get(number) == "another was first":
            spec = {"holderIdentity": "b", "leaseDurationSeconds": 15, "renewTime": "then", "leaseTransitions": 1}
            self.item = {**body, "spec": spec}
            raise ConflictError("changed", method, "leases", "ns")
        known = self.item.get("metadata", {}).get("resourceVersion")
        if body["metadata"].get("resourceVersion") != known:
            raise ConflictError("changed", method, "leases", "ns")
        self.version += 1
        self.item = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.version)}}
        if self.after.get(number) == "answer is lost":
            raise UnreachableError("lost", method, "leases", "ns")
        return self.item


def runs(server: _Server, until: Callable[[Candidate], bool]) -> Candidate:
    """A candidate runs until something is true of it, and is then ended."""
    quick = Timing(lease_duration=15, renew_deadline=10, retry_period=0)
    candidate = Candidate(server, "ns", "operator", Election("a", quick), time.monotonic, lambda: None, lambda: None)

    async def whole() -> None:
        task = asyncio.create_task(candidate.run())
        deadline = time.monotonic() + 10
        while not until(candidate):
            assert time.monotonic() < deadline, server.requests
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(whole())
    return candidate


def test_a_leader_whose_renewal_had_no_answer_reads_the_lease_and_goes_on() -> None:
    """The next renewal has the version from before, so it is refused: with its own success."""
    server = _Server(write_2="answer is lost")
    renewed = runs(server, lambda candidate: server.version >= 4)
    assert renewed.term is None
    assert server.requests[:6] == ["GET", "POST", "PUT", "PUT", "GET", "PUT"], "it reads after the conflict only"
    assert server.item["spec"]["holderIdentity"] == "", "and hands over at its end"


def test_whoever_another_candidate_was_faster_than_follows_it() -> None:
    server = _Server(write_1="another was first")
    follower = runs(server, lambda candidate: server.requests.count("GET") >= 3)
    assert follower.term is None
    assert server.item["spec"]["holderIdentity"] == "b"
    assert server.requests.count("POST") + server.requests.count("PUT") == 1


def test_a_lease_that_was_taken_without_an_answer_is_released_all_the_same() -> None:
    """Else the next leader would wait for its end."""
    server = _Server(write_1="answer is lost")
    runs(server, lambda candidate: len(server.requests) == 2)
    assert server.requests == ["GET", "POST", "GET", "PUT"]
    assert server.item["spec"]["holderIdentity"] == ""
