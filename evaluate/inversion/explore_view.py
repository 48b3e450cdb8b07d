"""What the page of `python main.py explore` shows, as a value and in its address. See `View`."""

import re
import secrets
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

from config import UserError
from data.sources.base import printable
from evaluate.inversion.editing import LARGEST_VALUE, parse_changes
from evaluate.options import LARGEST_SEED
from evaluate.trained_run import TrainedRun

COUNT = 8
DIRECTION = "direction"
Key = int | str  # of a slider: the index of a latent element, or DIRECTION
_NAMES = ("seed", "image", "element", DIRECTION, "sliders")


class View(NamedTuple):
    """A sample by its `seed`, or the user's `image` by its key in `Explorer.images`, and its edits.

    `moved` has the values of the sliders that the user moved, by key. There are sliders for the
    `count` most important elements.
    """

    seed: int | None
    image: str | None
    moved: Mapping[Key, float]
    count: int

    def move(self, key: Key, value: float) -> "View":
        """The view with a slider moved to a value."""
        return self._replace(moved={**self.moved, key: value})

    def reset(self, key: Key) -> "View":
        """The view with a slider where it was at first."""
        moved = {other: value for other, value in self.moved.items() if other != key}
        return self._replace(moved=moved)

    def show_image(self, key: str) -> "View":
        """The view of an image, not edited."""
        return self._replace(seed=None, image=key, moved={})

    def show_sample(self, seed: int) -> "View":
        """The view of a sample, not edited."""
        return self._replace(seed=seed, image=None, moved={})


def random_seed() -> int:
    """A seed for a sample."""
    return secrets.randbelow(LARGEST_SEED + 1)


def write_query(view: View) -> str:
    """The view as the end of the page's address, behind the question mark."""
    pairs = [("seed", view.seed) if view.image is None else ("image", view.image)]
    for key, value in view.moved.items():
        name, text = (DIRECTION, "") if key == DIRECTION else ("element", f"{key}=")
        pairs.append((name, f"{text}{value:.6g}"))
    if view.count != COUNT:
        pairs.append(("sliders", view.count))
    return urlencode(pairs, safe="=")


def read_query(query: str, trained: TrainedRun, has_direction: bool) -> View:
    """The view that `write_query` wrote; an empty text gives a random sample.

    `element=30=1.5` is an element and its value, as `edit` takes them. Raises UserError.
    """
    texts: dict[str, list[str]] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        texts.setdefault(name, []).append(text)
        if name not in _NAMES or (name != "element" and len(texts[name]) > 1):
            raise UserError(
                f"the address takes {', '.join(_NAMES)}, and only element more than once. "
                f"Received: {name}"
            )
    elements = texts.pop("element", [])
    first = {name: text for name, (text, *_) in texts.items()}
    moved: dict[Key, float] = dict(parse_changes(elements, [], trained))
    if DIRECTION in first:
        moved[DIRECTION] = _parse_amount(first[DIRECTION], has_direction)
    count = parse_count(first["sliders"], trained) if "sliders" in first else COUNT
    if "image" in first:
        return View(None, first["image"], moved, count)
    seed = parse_seed(first["seed"]) if "seed" in first else random_seed()
    return View(seed, None, moved, count)


def parse_seed(text: str) -> int:
    """A seed from what a user typed. Raises UserError."""
    return _parse_number(text, "a seed", 0, LARGEST_SEED)


def parse_count(text: str, trained: TrainedRun) -> int:
    """How many elements have sliders, from what a user typed. Raises UserError."""
    return _parse_number(text, "the number of sliders", 1, len(trained.scale))


def _parse_number(text: str, what: str, least: int, greatest: int) -> int:
    if not re.fullmatch(r"\d{1,20}", text, re.ASCII) or not least <= int(text) <= greatest:
        raise UserError(
            f"{what} is a whole number from {least} to {greatest}. Received: {printable(text)}"
        )
    return int(text)


def _parse_amount(text: str, has_direction: bool) -> float:
    if not has_direction:
        raise UserError(
            "there is a direction only if explore was started with --with and --without"
        )
    try:
        amount = float(text)
        if not abs(amount) <= LARGEST_VALUE:
            raise ValueError
    except ValueError as error:
        raise UserError(
            f"{DIRECTION} is a number from -{LARGEST_VALUE} to {LARGEST_VALUE}. Received: "
            f"{printable(text)}"
        ) from error
    return amount
