"""Lists of numbers as users write them: 3, 1-8 or 0,5,7. See `parse_ranges`."""

import itertools
import re

from config import UserError


def parse_ranges(text: str, kind: str, least: int, greatest: int) -> list[range]:
    """The ranges of a list of numbers, in its order.

    `kind` names a number in messages: element, rank or seed. Raises UserError for any other text,
    for a number beyond `least` to `greatest`, and for one that occurs twice.
    """
    ranges = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,20})(?:-(\d{1,20}))?\s*", part, re.ASCII)
        if not match:
            raise UserError(f"{kind}s are given as 3, 1-8 or 1,5,7. Received: {text}")
        first, last = int(match[1]), int(match[2] or match[1])
        require_number(first, kind, least, greatest)
        require_number(last, kind, least, greatest)
        if first > last:
            raise UserError(f"a range goes upwards. Received: {text}")
        ranges.append(range(first, last + 1))
    in_order = sorted(ranges, key=lambda numbers: numbers.start)
    for before, after in itertools.pairwise(in_order):
        if after.start < before.stop:
            raise UserError(f"{kind} {after.start} is given twice. Received: {text}")
    return ranges


def require_number(number: int, kind: str, least: int, greatest: int) -> None:
    """Raise UserError for a number beyond `least` to `greatest`."""
    if not least <= number <= greatest:
        raise UserError(f"there is no {kind} {number}: use {least} to {greatest}")
