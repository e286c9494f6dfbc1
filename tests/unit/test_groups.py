"""The groups of tests that one worker of pytest-xdist runs: whether it knows of them."""

import os

import pytest
from tests.support.groups import OWN_CONTROL_PLANE


@OWN_CONTROL_PLANE
@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="all tests run in one process")
def test_the_group_of_a_test_is_known(request: pytest.FixtureRequest) -> None:
    """Some releases of pytest and pytest-xdist together forget it without a word; then each worker starts its own."""
    assert request.node.nodeid.endswith("@own control plane")
