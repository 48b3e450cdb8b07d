"""What the user got wrong, as one line. See `UserError`."""

import re


class UserError(Exception):
    """The user gave something wrong. The message is one line, and the exit code is 2."""


def reason(error: BaseException) -> str:
    """What the operating system says about an error, without its number and path."""
    return (getattr(error, "strerror", None) or str(error)).lower()


def first_line(error: BaseException) -> str:
    """The first line of an error's message, without the names of TensorFlow's nodes."""
    text = re.sub(r"\{\{.*?\}\}\s*", "", str(error)).strip()
    return (text or type(error).__name__).splitlines()[0]


def printable(text: str) -> str:
    """The text with control characters, line breaks and broken Unicode escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def in_one_line(error: BaseException) -> str:
    """An error as one line for the user; the operating system's without its number."""
    where = getattr(error, "filename2", None) or getattr(error, "filename", None)
    text = reason(error) if isinstance(error, OSError) else str(error)
    return printable(f"{where}: {text}" if where else text)
