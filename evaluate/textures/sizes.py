"""The exemplar and the sizes that the user gives, and whether methods take them."""

import os
import re

from config import UserError
from config.textures.base import TextureConfig
from data.made_exemplars import MADE

_MADE = "made:"
_MEASURED = 5  # pixels: the measures compare patches of 5x5
_SIFID = 23  # pixels that give Inception's layer two places in each direction


def made_name(picture: str) -> str | None:
    """The name in `MADE` that made:NAME gives, or None for a path. Raises UserError."""
    if not picture.startswith(_MADE):
        return None
    name = picture.removeprefix(_MADE)
    if name not in MADE:
        names = ", ".join(_MADE + known for known in MADE)
        raise UserError(f"IMAGE takes a path or one of {names}. Received: {picture}")
    return name


def parse_size(text: str, option: str = "--size") -> tuple[int, int]:
    """(height, width) in pixels from a text such as 128x192. Raises UserError."""
    match = re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})", text, re.ASCII)
    if not match:
        raise UserError(f"{option} takes HEIGHTxWIDTH in pixels, such as 128x192. Received: {text}")
    return int(match[1]), int(match[2])


def parse_crop(text: str) -> tuple[int, ...]:
    """(height, width) or (height, width, top, left) from 128x128 or 128x128+0+64."""
    match = re.fullmatch(r"(\w+)(?:\+(\d{1,6})\+(\d{1,6}))?", text, re.ASCII)
    if not match:
        raise UserError(f"--crop takes HxW or HxW+TOP+LEFT in pixels. Received: {text}")
    place = [int(x) for x in match.groups()[1:] if x is not None]
    return *parse_size(match[1], "--crop"), *place


def require_size(
    config: TextureConfig, method: str, size: tuple[int, int], what: str, tile: bool = False
) -> None:
    """Raise UserError if a method takes no image of this size, named `what`.

    Or none that repeats, or none that this machine's memory holds.
    """
    height, width = size
    given = f"{what} is {height}x{width}"
    smallest = max(config.smallest_side, _MEASURED)
    _require_side(size, what, smallest, f"{method} with these settings")
    multiple = config.tile_multiple
    if tile and multiple is None:
        raise UserError(f"--tile: {method} with these settings makes no images that repeat")
    if tile and (height % multiple or width % multiple):
        raise UserError(f"{given} pixels: with --tile this model takes multiples of {multiple}")
    needed = config.rough_bytes(height * width)
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise UserError(
            f"{given} pixels: {method} takes about {needed / 2**30:,.0f} GiB of memory for it; "
            f"this machine has {there / 2**30:,.0f} GiB"
        )


def require_features(size: tuple[int, int], what: str) -> None:
    """Raise UserError if an image of this size, named `what`, is too small for SIFID."""
    _require_side(size, what, _SIFID, "SIFID")


def _require_side(size: tuple[int, int], what: str, smallest: int, taker: str) -> None:
    height, width = size
    if min(size) < smallest:
        raise UserError(
            f"{what} is {height}x{width} pixels: {taker} takes {smallest} and more "
            "in each direction"
        )
