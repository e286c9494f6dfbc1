"""What an answer of the API server means, as an error."""

import json

import pytest

from rendezvous_api import api_errors
from rendezvous_api.api_errors import ApiError, NotFoundError, UnreachableError, error_from_answer


def error(code: int, body: str | bytes = b"", reason: str = "") -> ApiError:
    return error_from_answer(code, body, reason=reason, verb="create", resource="pods", namespace="ns")


def status(**fields: object) -> bytes:
    return json.dumps({"kind": "Status", "message": "the API server's words", **fields}).encode()


@pytest.mark.parametrize(
    ("code", "body", "expected"),
    [
        (400, status(), api_errors.ApiError),
        (401, status(), api_errors.UnauthorizedError),
        (403, status(), api_errors.ForbiddenError),
        (404, status(), api_errors.NotFoundError),
        (409, status(reason="Conflict"), api_errors.ConflictError),
        (409, status(reason="AlreadyExists"), api_errors.AlreadyExistsError),
        (410, status(), api_errors.ExpiredError),
        (413, status(), api_errors.TooLargeError),
        (422, status(), api_errors.InvalidError),
        (422, status(details={"causes": [{"reason": "FieldValueTooLong"}]}), api_errors.TooLargeError),
        (422, status(details={"causes": [{"reason": "FieldValueInvalid"}]}), api_errors.InvalidError),
        *((code, status(), api_errors.UnreachableError) for code in (0, 408, 429, 500, 502, 503, 504)),
    ],
)
def test_each_answer_has_its_error(code: int, body: bytes, expected: type[ApiError]) -> None:
    found = error(code, body)
    assert type(found) is expected
    assert found.describe().endswith("the API server's words")


def test_an_error_describes_what_was_asked_for() -> None:
    assert error(403, status()).describe() == "cannot create pods in namespace ns: the API server's words"
    everywhere = ApiError("no", "list", "pods", "")
    assert everywhere.describe() == "cannot list pods: no"


def test_only_too_many_requests_are_certainly_not_carried_out() -> None:
    answers = [error(code) for code in (429, 500, 503, 0)]
    assert [isinstance(found, UnreachableError) and found.not_carried_out for found in answers] == [
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("body", "reason", "message"),
    [
        (b"<html>Please log in</html>", "Forbidden", "<html>Please log in</html>"),
        ("plain words", "Forbidden", "plain words"),
        (b"", "Forbidden", "Forbidden"),
        (b"[1]", "Forbidden", "[1]"),
        (b"\xff", "Forbidden", "\ufffd"),
        (b"x" * 5000, "Forbidden", "x" * 1000),
    ],
)
def test_an_answer_may_be_that_of_a_proxy(body: str | bytes, reason: str, message: str) -> None:
    assert str(error(403, body, reason)) == message


def test_a_missing_object_is_told_from_a_missing_api() -> None:
    missing = error(404, status(details={"kind": "pods", "name": "p"}))
    assert isinstance(missing, NotFoundError)
    assert (missing.kind, missing.name, missing.api_is_missing) == ("pods", "p", False)
    no_crd = error(404, b"404 page not found")
    assert isinstance(no_crd, NotFoundError)
    assert no_crd.api_is_missing
