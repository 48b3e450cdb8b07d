"""Pydantic's complaints as one line for the user. See `explain`."""

import difflib
import reprlib
from typing import Any

from pydantic import BaseModel, ValidationError

_MOST_CHARACTERS = 100
_QUOTES = reprlib.Repr()  # stops at six levels and six parts
_QUOTES.maxstring = _QUOTES.maxother = _MOST_CHARACTERS - 2  # within quotation marks


def quote(value: Any) -> str:
    """A value as Python writes it, with "..." where it is long, deep or has many parts."""
    return shorten(_QUOTES.repr(value))


def shorten(text: str) -> str:
    """A text in one line, without its end if it is long."""
    end = "..." if len(text) > _MOST_CHARACTERS else ""
    shown = text[:_MOST_CHARACTERS]
    return "".join(c if c.isprintable() else repr(c).strip("'") for c in shown) + end


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """The first complaint as one line: the key, what is accepted, what was received."""
    first, *others = error.errors()
    location = [part for part in first["loc"] if part != "[key]"]
    key = shorten(".".join(map(str, location)))
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if first["type"] == "extra_forbidden":
        message = f"unknown key{_suggest_key(first['loc'], model)}"
    elif first["type"] == "missing":
        message = "this key is needed"
    elif first["type"] == "model_type":
        message = f"takes keys with values, {{KEY: VALUE}}. Received: {quote(first['input'])}"
    elif key:
        message = f"{message}. Received: {quote(first['input'])}"
    more = f" (and {len(others)} more)" if others else ""
    return (f"{key}: " if key else "") + message + more


def _suggest_key(location: tuple[int | str, ...], model: Any) -> str:
    """Text that suggests the most similar known key, or lists all known keys."""
    for part in location[:-1]:
        fields = getattr(model, "model_fields", {})
        model = fields[part].annotation if part in fields else None
    known = getattr(model, "model_fields", ("label", "set"))  # of a run, within a mapping
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known here: {', '.join(known)}"
