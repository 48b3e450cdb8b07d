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


def in_one_line(error: BaseException) -> str:
    """A UserError or an OSError as one line for the user."""
    where = getattr(error, "filename", None)
    return f"{where}: {reason(error)}" if where else str(error)
