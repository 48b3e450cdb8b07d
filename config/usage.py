"""What is wrong with a command line, as one line. See `require_values` and `explain_usage`."""

import re
from collections.abc import Sequence

from typer import TyperException

from config.errors import UserError, printable


def require_values(arguments: Sequence[str]) -> None:
    """Raise UserError for an empty argument: as a path it would mean the working folder."""
    for before, argument in zip(["", *arguments], arguments, strict=False):
        if not argument or re.fullmatch("--[a-z-]+=", argument):
            named = argument.rstrip("=") or (before if before.startswith("--") else "an argument")
            raise UserError(f"{named} is empty; give it a value or leave it out")


def explain_usage(error: TyperException) -> str:
    """What was wrong, and which help says what is accepted."""
    words = " ".join(error.format_message().split()).rstrip(".").replace(": Input ", ": ")
    context = getattr(error, "ctx", None)
    help_of = f" ({context.command_path} --help)" if context else ""
    return printable(words[0].lower() + words[1:]) + help_of
