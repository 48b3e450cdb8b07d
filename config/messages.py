"""Pydantic's complaints as one line for the user. See `explain`."""

import difflib
import re
import reprlib
from collections.abc import Collection, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from config.errors import printable

_MOST_CHARACTERS = 100
_QUOTES = reprlib.Repr()  # stops at six levels and six parts
_QUOTES.maxstring = _QUOTES.maxother = _MOST_CHARACTERS - 2  # within quotation marks
_MAPPING = "takes keys with values, {{KEY: VALUE}}"
_WORDS = {  # in place of those of pydantic's that speak to programmers
    "missing": "this key is needed",
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
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
    if first["type"] == "union_tag_invalid":
        first = _choice_of_tag(first)
    fields, keys = _follow(first["loc"], model)
    key = shorten(".".join(map(str, keys)))
    kind = first["type"]
    if kind == "extra_forbidden":
        message = f"unknown key{_suggest_key(keys, fields, model)}"
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


def _choice_of_tag(fault: Any) -> dict[str, Any]:
    """Pydantic's complaint about a name that chooses a section's keys, as about other names."""
    tag = fault["ctx"]["discriminator"].strip("'")
    *known, last = fault["ctx"]["expected_tags"].split(", ")
    expected = f"{', '.join(known)} or {last}" if known else last
    return {
        "type": "literal_error",
        "loc": (*fault["loc"], tag),
        "msg": f"should be {expected}",
        "input": fault["input"][tag],
        "ctx": {"expected": expected},
    }


def _follow(
    location: tuple[int | str, ...], root: type[BaseModel]
) -> tuple[Collection[str], list[int | str]]:
    """What is known beside the last key of pydantic's location, and the location as keys alone.

    Pydantic also names which of a section's kinds it took, and whether a key itself is at fault.
    """
    model: Any = root
    fields, keys = root.model_fields.keys(), []
    for part in location:
        if part == "[key]":
            continue
        kinds = {_kind(m): m for m in _kinds(model)} if get_args(model) else {}
        if part in kinds:  # a section that has its kind may have a key of the same name
            model = kinds[part]
            continue
        keys.append(part)
        known = getattr(model, "model_fields", {})
        fields = known.keys() or ("label", "group", "set")  # of a run, within a mapping
        model = known[part].annotation if part in known else None
    return fields, keys


def _suggest_key(keys: Sequence[int | str], known: Collection[str], root: type[BaseModel]) -> str:
    """Text that suggests the most similar known key, or lists all known keys."""
    name = str(keys[-1])
    close = difflib.get_close_matches(name, known, n=1) or _find_elsewhere(name, keys[0], root)
    return f"; did you mean {close[0]}?" if close else f"; known here: {', '.join(known)}"


def _suggest_value(fault: Any) -> str:
    """Text that suggests the most similar of a few accepted texts, if one is similar."""
    known = re.findall("'([^']*)'", fault.get("ctx", {}).get("expected", ""))
    close = difflib.get_close_matches(str(fault["input"]), known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _find_elsewhere(name: str, here: int | str, root: type[BaseModel]) -> list[str]:
    """The key of this name in another section than `here`, as SECTION.KEY."""
    sections = {section: field.annotation for section, field in root.model_fields.items()}
    return [
        f"{section}.{name}"
        for section, annotation in sections.items()
        if section != here and any(name in m.model_fields for m in _kinds(annotation))
    ]


def _kind(model: type[BaseModel]) -> Any:
    """The name by which a config chooses this model among those that a section takes, if any."""
    field = model.model_fields.get("backbone")
    return field.default if field else None


def _kinds(annotation: Any) -> list[type[BaseModel]]:
    """The models that a field takes: one, or one of several kinds."""
    return [m for m in get_args(annotation) or [annotation] if hasattr(m, "model_fields")]
