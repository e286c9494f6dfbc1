"""What the operator logs is not of interest, but for its defects."""

import logging
from collections.abc import Iterator

import pytest
from tests.model.operator import DEFECTS


@pytest.fixture(autouse=True)
def _defects_only() -> Iterator[None]:
    logger = logging.getLogger("rendezvous_operator")
    logger.setLevel(logging.ERROR)
    logger.addHandler(DEFECTS)
    yield
    logger.removeHandler(DEFECTS)
    logger.setLevel(logging.NOTSET)
