"""What the probes answer, on a clock of the test's own."""

from collections.abc import Callable

import pytest

from rendezvous_api import names
from rendezvous_operator.kube.client import KINDS
from rendezvous_operator.kube.login import Login
from rendezvous_operator.kube.outage_clock import OutageClock
from rendezvous_operator.serve.health import DEAD_SECONDS, STALE_SECONDS, Check, Health
from rendezvous_operator.serve.http_server import report
from rendezvous_operator.watch.cache import Cache
from rendezvous_operator.watch.kopf_watches import WatchActivity, Watches
from rendezvous_operator.watch.seen import Listed


class Place:
    """An operator that has listed everything and hears of everything, until a test says otherwise."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.defect: str | None = None
        self.cache = Cache(self.clock)
        self.watches = Watches(self.clock, OutageClock(self.clock), Login())
        self.health = Health(self.cache, self.watches, self.clock, [("workers", lambda: self.defect)])

    def clock(self) -> float:
        return self.now

    def list_all(self) -> None:
        for kind in KINDS:
            self.cache.take(Listed(self.cache.asks(kind), [], 1))

    def hear_all(self) -> None:
        for activity in self.watches.activity.values():
            activity.requested_at = activity.answered_at = self.now

    @property
    def pods(self) -> WatchActivity:
        return self.watches.activity[names.POD_KIND]


@pytest.fixture
def place() -> Place:
    return Place()


def problems(look: Callable[[], list[Check]]) -> dict[str, str]:
    return {check.name: check.problem for check in look() if check.problem is not None}


def test_an_operator_that_cannot_list_is_alive_and_not_ready(place: Place) -> None:
    place.now += 10_000
    assert problems(place.health.livez) == {}
    assert problems(place.health.readyz)["list-Pod"] == "not listed yet, see the log"


def test_it_is_ready_when_all_is_listed_and_all_watches_are_answered(place: Place) -> None:
    place.list_all()
    assert set(problems(place.health.readyz)) == {f"watch-{kind}" for kind in KINDS}
    place.hear_all()
    assert problems(place.health.readyz) == {}


def test_a_watch_that_the_api_server_does_not_answer_makes_it_unready_but_not_dead(place: Place) -> None:
    place.list_all()
    place.health.watching_begins()
    place.hear_all()
    place.now += STALE_SECONDS + DEAD_SECONDS
    for activity in place.watches.activity.values():
        activity.requested_at = place.now
    assert problems(place.health.livez) == {}
    assert problems(place.health.readyz) == {
        f"watch-{kind}": f"no answer and no event for {STALE_SECONDS + DEAD_SECONDS:.0f} s" for kind in KINDS
    }


def test_a_watch_that_is_not_even_tried_is_dead(place: Place) -> None:
    place.list_all()
    place.health.watching_begins()
    place.hear_all()
    at = place.now
    place.now += DEAD_SECONDS + 1
    place.hear_all()
    place.pods.requested_at = at
    assert problems(place.health.livez) == {"watch-Pod": f"no request was sent for {DEAD_SECONDS + 1:.0f} s"}


def test_a_watch_that_never_begins_is_dead(place: Place) -> None:
    place.list_all()
    place.health.watching_begins()
    place.now += DEAD_SECONDS
    assert problems(place.health.livez) == {}
    place.now += 1
    assert set(problems(place.health.livez)) == {f"watch-{kind}" for kind in KINDS}


def test_defects_make_it_dead(place: Place) -> None:
    place.defect = "has ended: reconciler-3"
    assert problems(place.health.livez) == {"workers": "has ended: reconciler-3"}


def test_the_report_is_like_that_of_kubernetes() -> None:
    assert (
        report("livez", [Check("a", None), Check("b", "is bad")])
        == "[+]a ok\n[-]b failed: is bad\nlivez check failed\n"
    )
    assert report("livez", [Check("a", None)]) == "[+]a ok\nlivez check passed\n"
