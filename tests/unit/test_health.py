"""What the probes answer, on a clock of the test's own."""

from collections.abc import Callable

import pytest

from rendezvous_operator.cache import Cache, Listed
from rendezvous_operator.cluster import KINDS, POD_KIND
from rendezvous_operator.health import DEAD_SECONDS, STALE_SECONDS, Check, Health
from rendezvous_operator.server import report
from rendezvous_operator.watching import Signs, Watches


class Place:
    """An operator that has listed everything and hears of everything, until a test says otherwise."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.defect: str | None = None
        self.cache = Cache(self.clock)
        self.watches = Watches(self.clock)
        self.health = Health(self.cache, self.watches, self.clock, [("workers", lambda: self.defect)])

    def clock(self) -> float:
        return self.now

    def list_all(self) -> None:
        for kind in KINDS:
            self.cache.take(Listed(kind, []))

    def hear_all(self) -> None:
        for signs in self.watches.signs.values():
            signs.tried_at = signs.heard_at = self.now

    @property
    def pods(self) -> Signs:
        return self.watches.signs[POD_KIND]


@pytest.fixture
def place() -> Place:
    return Place()


def problems(look: Callable[[], list[Check]]) -> dict[str, str]:
    return {check.name: check.problem for check in look() if check.problem is not None}


def test_an_operator_that_cannot_list_is_alive_and_not_ready(place: Place) -> None:
    place.now += 10_000
    assert problems(place.health.livez) == {}
    assert problems(place.health.readyz)["list-Pod"] == "not listed yet: the log says why"


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
    for signs in place.watches.signs.values():
        signs.tried_at = place.now
    assert problems(place.health.livez) == {}
    assert problems(place.health.readyz) == {
        f"watch-{kind}": f"nothing was heard from it for {STALE_SECONDS + DEAD_SECONDS:.0f} s" for kind in KINDS
    }


def test_a_watch_that_is_not_even_tried_is_dead(place: Place) -> None:
    place.list_all()
    place.health.watching_begins()
    place.hear_all()
    at = place.now
    place.now += DEAD_SECONDS + 1
    place.hear_all()
    place.pods.tried_at = at
    assert problems(place.health.livez) == {"watch-Pod": f"no request was sent for it for {DEAD_SECONDS + 1:.0f} s"}


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
