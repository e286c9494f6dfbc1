"""The model runs without an event loop. What the operator logs is not of interest, but for its defects."""

import logging
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from tests.model.operator import DEFECTS, one_after_the_other

from rendezvous_operator.reconcile import reader


@pytest.fixture(autouse=True)
def _no_event_loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(reader, "asyncio", SimpleNamespace(gather=one_after_the_other))
    logger = logging.getLogger("rendezvous_operator")
    logger.setLevel(logging.ERROR)
    logger.addHandler(DEFECTS)
    yield
    logger.removeHandler(DEFECTS)
    logger.setLevel(logging.NOTSET)
