"""What the demo says about the Rendezvous that it applies."""

import yaml
from demo.stage import RENDEZVOUS_FILE, ROOT
from demo.story import differences

from rendezvous_api.codec import decode
from rendezvous_api.rendezvous import Rendezvous
from rendezvous_api.rendezvous_spec import RendezvousSpec


def test_every_time_that_the_example_sets_is_named_with_its_default() -> None:
    applied = yaml.safe_load((ROOT / RENDEZVOUS_FILE).read_text(encoding="utf-8"))
    status = {"metadata": {**applied["metadata"], "namespace": "default", "uid": "u", "resourceVersion": "1"}}
    found = differences(decode(Rendezvous, applied | status).spec)
    inner = {part: value for part, value in applied["spec"].items() if isinstance(value, dict)}
    wanted = [f"{part}.{key} {value}" for part, values in inner.items() for key, value in values.items()]
    assert len(wanted) > 3
    assert [line.partition(" (default ")[0] for line in found] == wanted
    assert "timeouts.lastCallSeconds 8 (default 30)" in found


def test_defaults_are_not_named() -> None:
    assert differences(RendezvousSpec(2, 4)) == []
