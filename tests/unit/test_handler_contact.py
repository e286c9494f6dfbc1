"""Whether the API server answers, and for how long it has not."""

from rendezvous_handler.kube.contact import Contact


def test_the_silence_begins_with_the_first_request_without_an_answer() -> None:
    now = 100.0
    contact = Contact(now=lambda: now)
    assert (contact.failing, contact.silent_seconds) == (False, 0.0)
    contact.failed("one")
    now += 3
    contact.failed("two")
    now += 3
    assert (contact.failing, contact.cause, contact.silent_seconds) == (True, "two", 6.0)
    contact.answered()
    assert (contact.failing, contact.silent_seconds) == (False, 0.0)
    contact.failed("three")
    now += 1
    assert (contact.cause, contact.silent_seconds) == ("three", 1.0)


def test_a_server_that_is_not_trusted_is_not_called_silent() -> None:
    contact = Contact()
    contact.failed("no such host")
    assert contact.state == "does not answer"
    contact.failed("its certificate is not accepted", untrusted=True)
    assert contact.state == "is not trusted"
    contact.failed("no such host")
    assert contact.state == "does not answer"
