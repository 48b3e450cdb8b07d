"""What the user got wrong, as one line. See `UserError`."""


class UserError(Exception):
    """The user gave something wrong. The message is one line, and the exit code is 2."""


def reason(error: BaseException) -> str:
    """What the operating system says about an error, without its number and path."""
    return (getattr(error, "strerror", None) or str(error)).lower()


def in_one_line(error: BaseException) -> str:
    """A UserError or an OSError as one line for the user."""
    where = getattr(error, "filename", None)
    return f"{where}: {reason(error)}" if where else str(error)
