"""What the tests of the handler's connections share."""

import pytest
import trustme
from tests.support.raw_client import trust_in

from rendezvous_handler.kube.tls import Tls


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Signs the certificates of servers."""
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> Tls:
    """TLS of a client that accepts that authority alone."""
    return trust_in(authority)
