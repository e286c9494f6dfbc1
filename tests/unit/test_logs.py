"""The log says what is new."""

import logging

from rendezvous_operator.logs import OneLine, RetryLimit
from rendezvous_operator.rate_limit import QUIET_SECONDS


def test_a_request_that_is_tried_again_and_again_is_reported_now_and_then() -> None:
    now = 0.0
    few = RetryLimit(lambda: now)

    def passes(message: str) -> bool:
        return few.filter(logging.LogRecord("kopf", logging.ERROR, "", 0, message, None, None))

    def attempt(number: int, what: str = "GET https://10.0.0.1/api/v1/pods?watch=true") -> str:
        return f"Request attempt #{number} failed; will retry: {what} -> ClientConnectorError(...)"

    assert passes(attempt(1))
    assert not passes(attempt(2))
    assert not passes(attempt(3, "GET https://10.0.0.1/api/v1/pods?watch=true&resourceVersion=7"))
    assert passes(attempt(3, "GET https://10.0.0.1/apis/rdzv.dev/v1alpha1/rendezvous")), "another request"
    assert passes("anything else")
    assert passes("anything else")
    now = QUIET_SECONDS
    assert passes(attempt(40))
    assert not passes(attempt(41))


def test_a_value_of_others_forges_no_line() -> None:
    """An error of the API server may quote what an agent or a webhook has written."""
    forged = "x\n[2030-01-01] rendezvous_operator [INFO] team-b/train: run 'run-1' is closed"
    record = logging.LogRecord("a", logging.ERROR, "", 0, "%s", (forged + "y" * 200_000,), None)
    line = OneLine("%(levelname)s %(message)s").format(record)
    assert "\n" not in line
    assert line.startswith("ERROR x\\n[2030")
    assert len(line) < 9000
