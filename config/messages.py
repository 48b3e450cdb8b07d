"""Pydantic's complaints as one line for the user. See `explain`."""

import difflib
import re
import reprlib
from typing import Any

from pydantic import BaseModel, ValidationError

from config.errors import printable

_MOST_CHARACTERS = 100
_QUOTES = reprlib.Repr()  # stops at six levels and six parts
_QUOTES.maxstring = _QUOTES.maxother = _MOST_CHARACTERS - 2  # within quotation marks
_MAPPING = "takes keys with values, {{KEY: VALUE}}"
_WORDS = {  # in place of those of pydantic's that speak to programmers
    "missing": "this key is needed",
    "model_type": _MAPPING,
    "dict_type": _MAPPING,
    "list_type": "takes a list, [VALUE, ...]",
    "too_short": "takes one value or more",
    "too_long": "takes {max_length} values or fewer",
    "string_type": "takes text; a number or date needs quotes",
    "string_too_short": "takes text that is not empty",
    "string_too_long": "takes {max_length} characters or fewer",
}


def quote(value: Any) -> str:
    """A value as Python writes it, with "..." where it is long, deep or has many parts."""
    return shorten(_QUOTES.repr(value))


def shorten(text: str) -> str:
    """A text in one line, without its end if it is long."""
    end = "..." if len(text) > _MOST_CHARACTERS else ""
    shown = text[:_MOST_CHARACTERS]
    return printable(shown) + end


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """The first complaint as one line: the key, what is accepted, what was received."""
    first, *others = error.errors()
    location = [part for part in first["loc"] if part != "[key]"]
    key = shorten(".".join(map(str, location)))
    kind = first["type"]
    if kind == "extra_forbidden":
        message = f"unknown key{_suggest_key(first['loc'], model)}"
    elif kind in _WORDS:
        message = _WORDS[kind].format(**first.get("ctx", {}))
    else:
        message = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
        message += _suggest_value(first)
    if (key or kind == "model_type") and kind not in ("extra_forbidden", "missing"):
        end = "" if message.endswith("?") else "."
        message = f"{message}{end} Received: {quote(first['input'])}"
    more = f" (and {len(others)} more)" if others else ""
    return (f"{key}: " if key else "") + message + more


def _suggest_key(location: tuple[int | str, ...], root: type[BaseModel]) -> str:
    """Text that suggests the most similar known key, or lists all known keys."""
    model: Any = root
    for part in location[:-1]:
        fields = getattr(model, "model_fields", {})
        model = fields[part].annotation if part in fields else None
    known = getattr(model, "model_fields", ("label", "set"))  # of a run, within a mapping
    name = str(location[-1])
    close = difflib.get_close_matches(name, known, n=1) or _find_elsewhere(name, root)
    return f"; did you mean {close[0]}?" if close else f"; known here: {', '.join(known)}"


def _suggest_value(fault: Any) -> str:
    """Text that suggests the most similar of a few accepted texts, if one is similar."""
    known = re.findall("'([^']*)'", fault.get("ctx", {}).get("expected", ""))
    close = difflib.get_close_matches(str(fault["input"]), known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _find_elsewhere(name: str, root: type[BaseModel]) -> list[str]:
    """The key of this name in another section, as SECTION.KEY."""
    sections = {section: field.annotation for section, field in root.model_fields.items()}
    return [f"{s}.{name}" for s, m in sections.items() if name in getattr(m, "model_fields", ())]
