"""Text that others have written, as a part of what people read."""


def one_line(text: str) -> str:
    """A text of others in one line: what is not printable is escaped, so that nobody can forge a line of a log."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
