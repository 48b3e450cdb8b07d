"""Fonts for the texts that users write into figures. See `drawable`."""

import functools
import warnings

from matplotlib import font_manager, rcParams
from matplotlib.font_manager import FontProperties

_FONTS = (  # for what the first font lacks, where they are installed
    "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans CJK KR", "Noto Sans JP", "Noto Sans SC",
    "Noto Sans KR", "Source Han Sans", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "IPAGothic",
    "Droid Sans Fallback", "Hiragino Sans", "PingFang SC", "Apple SD Gothic Neo", "Yu Gothic",
    "Microsoft YaHei", "Malgun Gothic", "Arial Unicode MS", "Unifont", "Noto Emoji", "Symbola",
    "Segoe UI Symbol", "Segoe UI Emoji",
)  # fmt: skip
_MISSING = "□"


def drawable(text: str) -> str:
    """The text with a box for each character that no font has, with one warning for all texts."""
    characters = _drawable_characters()
    drawn = "".join(c if c.isspace() or ord(c) in characters else _MISSING for c in text)
    if drawn != text:
        _warn_once()
    return drawn


@functools.cache
def _drawable_characters() -> frozenset[int]:
    """The characters of all fonts that are tried; from now on Matplotlib tries them too."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    families = [*rcParams["font.family"], *(name for name in _FONTS if name in installed)]
    rcParams["font.family"] = families
    paths = [font_manager.findfont(FontProperties(family=[family])) for family in families]
    return frozenset(c for path in paths for c in font_manager.get_font(path).get_charmap())


@functools.cache
def _warn_once() -> None:
    warnings.warn(
        f"some characters of the labels are in no font that is installed here; the figures show "
        f"{_MISSING} instead (fonts such as Noto Sans CJK and Noto Emoji have more)",
        stacklevel=2,
    )
