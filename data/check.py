"""The report of `python main.py check-data`. See `check_data`."""

from collections import Counter, defaultdict

import numpy as np

from config import UserError
from data import SPLITS, check_size, open_images
from data.cache import require_memory
from data.digits import DigitImages
from data.inventory import require_good, scan
from data.sources import full_name, open_source
from data.splits import split_images

_SHOWN = 10
_BAR_WIDTH = 40


def check_data(config, report=None):
    """Read every image once and tell all about them: a dict that JSON can hold.

    "images", "splits" (images by split; "unused": in neither), "sizes" (images by "height x
    width"), "shorter_side" (images by range of pixels), "bad" (names and reasons), "smaller" (names
    of those smaller than the resolution), "duplicates" (lists of names of equal files, within a
    split and "between" them), "failures" (why training would fail; empty if it would not).
    `report(done, total)` is called on the way. Raises UserError for a source that cannot be opened.
    """
    settings = config.data
    if settings.source == "digits":
        failures = []
        splits = _note(failures, lambda: {s: len(open_images(settings, s)) for s in SPLITS}) or {}
        return _describe(config, len(DigitImages(settings.resolution)), splits, failures)
    source = open_source(settings)
    inventory = scan(source, settings.cache_folder, report)
    names = np.array([full_name(source, index) for index in range(len(source.names))], object)
    failures = []
    splits = _note(failures, split_images, settings, source, inventory) or {}
    for indices in splits.values():
        _note(failures, require_good, source, inventory, indices)
    result = _describe(config, len(names), {k: len(v) for k, v in splits.items()}, failures)
    good = np.flatnonzero(inventory.good)
    sizes = inventory.sizes[good]
    counts = Counter(f"{height} x {width}" for height, width in sizes.tolist())
    result["sizes"] = dict(counts.most_common())
    result["shorter_side"] = _by_range(sizes.min(axis=1))
    result["bad"] = [
        {"name": names[index], "reason": reason}
        for index, reason in sorted(inventory.problems.items())
    ]
    result["smaller"] = names[good[sizes.min(axis=1) < settings.resolution]].tolist()
    result["duplicates"] = _duplicates(names, inventory, splits)
    return result


def _describe(config, count, splits, failures=()):
    """The part of the report that any source has."""
    failures = list(failures)
    for split, size in splits.items():
        _note(failures, check_size, config, split, size)
    if config.data.cache == "memory":
        _note(failures, require_memory, config.data, sum(splits.values()))
    return {
        "source": config.data.source,
        "resolution": config.data.resolution,
        "on_bad_image": config.data.on_bad_image,
        "images": count,
        "splits": splits | {"unused": count - sum(splits.values())},
        "sizes": {},
        "shorter_side": {},
        "bad": [],
        "smaller": [],
        "duplicates": {"train": [], "test": [], "between": []},
        "failures": failures,
    }


def _note(failures, check, *arguments):
    try:
        return check(*arguments)
    except UserError as error:
        failures.append(str(error))


def _by_range(sides):
    """Number of images by ranges of the shorter side that double: {"64 to 127": n, ...}."""
    powers = np.sort(np.log2(np.maximum(sides, 1)).astype(int))
    return dict(Counter(f"{2**power} to {2 ** (power + 1) - 1}" for power in powers.tolist()))


def _duplicates(names, inventory, splits):
    """Names of equal files: lists of two or more, by "train", "test" and "between" the two."""
    files = defaultdict(list)
    for split, indices in splits.items():
        for index in indices[inventory.good[indices]]:
            files[inventory.digests[index].tobytes()].append((split, names[index]))
    found = {"train": [], "test": [], "between": []}
    for same in files.values():
        if len(same) > 1:
            of = {split for split, _ in same}
            found[of.pop() if len(of) == 1 else "between"].append([name for _, name in same])
    return found


def report_lines(result):
    """The report for the terminal."""
    yield f"{result['source']}: {result['images']} images"
    yield "  " + ", ".join(f"{count} {split}" for split, count in result["splits"].items())
    largest = max(result["shorter_side"].values(), default=0)
    if largest:
        yield "pixels of the shorter side:"
    for sides, count in result["shorter_side"].items():
        yield f"  {sides:>14} {'█' * max(1, _BAR_WIDTH * count // largest)} {count}"
    consequence = "left out" if result["on_bad_image"] == "skip" else "training refuses them"
    if result["bad"]:
        yield f"{len(result['bad'])} bad images ({consequence}):"
    for bad in result["bad"]:
        yield f"  {bad['name']}: {bad['reason']}"
    smaller = f"smaller than {result['resolution']} pixels, to be enlarged"
    yield from _some(smaller, result["smaller"])
    for where, text in (
        ("between", "in both splits, so that test metrics flatter"),
        ("train", "more than once in the training split"),
        ("test", "more than once in the test split"),
    ):
        yield from _some(text, [" = ".join(same) for same in result["duplicates"][where]])
    for failure in result["failures"]:
        yield f"training would fail: {failure}"
    if not result["failures"]:
        yield "training can begin"


def _some(title, lines):
    """A title with the number of lines, and the first ten of them."""
    if lines:
        yield f"{len(lines)} {title}:"
    for line in lines[:_SHOWN]:
        yield f"  {line}"
    if len(lines) > _SHOWN:
        yield f"  and {len(lines) - _SHOWN} more"
