"""What every decision keeps to, in groups that are too large for the search (see `random_worlds`)."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.core.random_worlds import random_world
from tests.unit.core.small_world_objects import NOW
from tests.unit.core.write_rules import check_write

from rendezvous_api.codec import decode, encode
from rendezvous_api.rendezvous import RendezvousStatus
from rendezvous_operator.core.decide import decide
from rendezvous_operator.core.world import Evidence


@settings(max_examples=1_000, deadline=None, database=None)
@given(seed=st.integers(0, 2**64))
def test_a_decision_is_pure_and_what_it_writes_keeps_to_the_rules(seed: int) -> None:
    world, memory = random_world(Random(seed))
    decision = decide(NOW, world, memory)
    assert decision == decide(NOW, world, memory)
    if isinstance(decision, Evidence):
        assert decision.targets
        return
    assert decision.wake_at is None or decision.wake_at > NOW.monotonic
    check_write(world.rendezvous.spec, world.rendezvous.status, decision.status)
    assert decode(RendezvousStatus, encode(decision.status)) == decision.status
