"""What a line of a recording says of the world beside the line before it."""

import copy
from random import Random

from tests.unit.core.random_worlds import random_world
from tests.unit.core.small_world_objects import NOW

from rendezvous_operator.core.decide import decide
from rendezvous_operator.core.recorded import Lines, Recorded


def test_what_is_equal_is_not_recorded_again_also_if_it_was_read_anew() -> None:
    """As after a list of all objects, whose values are other ones in the memory of the operator."""
    tried = 0
    for seed in range(20):
        world, memory = random_world(Random(seed))
        outcome = decide(NOW, world, memory)
        lines = Lines()
        lines.line(Recorded("ns/train", NOW, world, memory, outcome))
        again = copy.deepcopy((world, memory))
        assert again[0] is not world
        assert lines.line(Recorded("ns/train", NOW, *again, outcome))["seen"] == {}
        tried += bool(world.participants)
    assert tried
