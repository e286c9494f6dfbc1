"""Text that others have written, as a part of what people read, and of names."""

import hashlib


def one_line(text: str) -> str:
    """A text of others in one line: what is not printable is escaped, so that nobody can forge a line of a log."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def fingerprint(text: str, length: int) -> str:
    """So many hexadecimal digits of a hash of a text: they tell apart names that were made of a part of it."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:length]
