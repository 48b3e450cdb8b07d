"""What `python main.py check-data` finds in the images. See `check_data`."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from config import Config, UserError
from data.cache import require_memory
from data.digits import DigitImages
from data.images import EXTENSIONS
from data.inventory import Inventory, require_good, scan
from data.loading import SPLITS, check_size, open_images
from data.notices import describe_kinds
from data.sources import open_source
from data.sources.base import Splits, full_name, require_folders
from data.splits import split_images

_LINES_SHOWN = 10
_BAR_WIDTH = 40
_Result = TypeVar("_Result")


def check_data(
    config: Config, on_progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Read every image once and return all findings, as a dict that JSON can hold.

    "images" (their number), "splits" (number by split; "unused": in neither), "sizes" (number by
    "height x width"), "shorter_side" (number by range of pixels), "bad" (names and reasons),
    "unread_folders" (a line each), "unusual" (names of good images and remarks), "other_files"
    (number and an example by ending), "smaller" (names of images smaller than the resolution),
    "duplicates" (lists of names of equal files, within a split and "between" them), "failures"
    (why training would fail; empty if it would not). Calls `on_progress(done, total)` on the way.
    Raises UserError for a source that cannot be opened.
    """
    if config.data.source == "digits":
        return _check_digits(config)
    return _check_files(config, on_progress)


def _check_digits(config: Config) -> dict[str, Any]:
    def count_images() -> dict[str, int]:
        return {split: len(open_images(config.data, split)) for split in SPLITS}

    failures: list[str] = []
    sizes = _call_noting_failure(failures, count_images) or {}
    return _summarise(config, len(DigitImages(config.data.resolution)), sizes, failures)


def _check_files(
    config: Config, on_progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    source = open_source(config.data)
    inventory = scan(source, config.data.cache_folder, on_progress)
    names = np.array([full_name(source, index) for index in range(len(source.names))], object)
    failures: list[str] = []
    if config.data.on_bad_image != "skip":
        _call_noting_failure(failures, require_folders, source)
    splits = _call_noting_failure(failures, split_images, config.data, source, inventory) or {}
    for indices in splits.values():
        _call_noting_failure(failures, require_good, source, inventory, indices)
    sizes = {split: len(indices) for split, indices in splits.items()}
    findings = _summarise(config, len(names), sizes, failures)
    good = np.flatnonzero(inventory.good)
    pixels = inventory.sizes[good]  # (n, 2)
    shorter_sides = pixels.min(axis=1)
    counts = Counter(f"{height} x {width}" for height, width in pixels.tolist())
    return findings | {
        "sizes": dict(counts.most_common()),
        "shorter_side": _count_by_range(shorter_sides),
        "bad": _name_texts(names, inventory.problems, "reason"),
        "unread_folders": source.passed_over.folders,
        "unusual": _name_texts(names, inventory.remarks, "remark"),
        "other_files": source.passed_over.kinds,
        "smaller": names[good[shorter_sides < config.data.resolution]].tolist(),
        "duplicates": _find_duplicates(names, inventory, splits),
    }


def _name_texts(names: np.ndarray, texts: dict[int, str], key: str) -> list[dict[str, str]]:
    """The texts, given by index, with the names of their images."""
    return [{"name": names[index], key: text} for index, text in sorted(texts.items())]


def _summarise(
    config: Config, count: int, sizes: dict[str, int], failures: list[str]
) -> dict[str, Any]:
    """The findings that any source has; adds to `failures` what the sizes of the splits forbid."""
    for split, size in sizes.items():
        _call_noting_failure(failures, check_size, config, split, size)
    if config.data.cache == "memory":
        _call_noting_failure(failures, require_memory, config.data, sum(sizes.values()))
    return {
        "source": config.data.source,
        "resolution": config.data.resolution,
        "on_bad_image": config.data.on_bad_image,
        "images": count,
        "splits": sizes | {"unused": count - sum(sizes.values())},
        "sizes": {},
        "shorter_side": {},
        "bad": [],
        "unread_folders": [],
        "unusual": [],
        "other_files": {},
        "smaller": [],
        "duplicates": {"train": [], "test": [], "between": []},
        "failures": failures,
    }


def _call_noting_failure(
    failures: list[str], function: Callable[..., _Result], *arguments: Any
) -> _Result | None:
    """What the function returns; if it raises UserError, add the message to `failures`."""
    try:
        return function(*arguments)
    except UserError as error:
        failures.append(str(error))
        return None


def _count_by_range(sides: np.ndarray) -> dict[str, int]:
    """Number of sides, (n,) in pixels, by ranges that double: {"64 to 127": number, ...}."""
    powers = np.sort(np.log2(np.maximum(sides, 1)).astype(int))
    return dict(Counter(f"{2**power} to {2 ** (power + 1) - 1}" for power in powers.tolist()))


def _find_duplicates(
    names: np.ndarray, inventory: Inventory, splits: Splits
) -> dict[str, list[list[str]]]:
    """Names of equal files: lists of two or more, by "train", "test" and "between" the two."""
    files = defaultdict(list)
    for split, indices in splits.items():
        for index in indices[inventory.good[indices]]:
            files[inventory.digests[index].tobytes()].append((split, names[index]))
    duplicates: dict[str, list[list[str]]] = {"train": [], "test": [], "between": []}
    for equal_files in files.values():
        if len(equal_files) > 1:
            found_in = {split for split, _ in equal_files}
            place = found_in.pop() if len(found_in) == 1 else "between"
            duplicates[place].append([name for _, name in equal_files])
    return duplicates


def summary_lines(findings: dict[str, Any]) -> Iterator[str]:
    """The findings of `check_data` as lines for the terminal."""
    yield f"{findings['source']}: {findings['images']} images"
    yield "  " + ", ".join(f"{count} {split}" for split, count in findings["splits"].items())
    largest = max(findings["shorter_side"].values(), default=0)
    if largest:
        yield "pixels of the shorter side:"
    for sides, count in findings["shorter_side"].items():
        yield f"  {sides:>14} {'█' * max(1, _BAR_WIDTH * count // largest)} {count}"
    consequence = "left out" if findings["on_bad_image"] == "skip" else "training refuses them"
    if findings["bad"]:
        yield f"{len(findings['bad'])} bad images ({consequence}):"
    for bad in findings["bad"]:
        yield f"  {bad['name']}: {bad['reason']}"
    yield from _count_and_first_lines(f"unread folders ({consequence})", findings["unread_folders"])
    unusual = [f"{image['name']}: {image['remark']}" for image in findings["unusual"]]
    yield from _count_and_first_lines("unusual images (training reads them)", unusual)
    if findings["other_files"]:
        yield f"other files (not read; images end in {', '.join(EXTENSIONS)}):"
    for kind in describe_kinds(findings["other_files"]):
        yield f"  {kind}"
    smaller = f"smaller than {findings['resolution']} pixels, to be enlarged"
    yield from _count_and_first_lines(smaller, findings["smaller"])
    for place, title in (
        ("between", "in both splits, which makes test metrics too good"),
        ("train", "more than once in the training split"),
        ("test", "more than once in the test split"),
    ):
        lines = [" = ".join(names) for names in findings["duplicates"][place]]
        yield from _count_and_first_lines(title, lines)
    for failure in findings["failures"]:
        yield f"training would fail: {failure}"
    if not findings["failures"]:
        yield "training can begin"


def _count_and_first_lines(title: str, lines: Sequence[str]) -> Iterator[str]:
    """The title with the number of lines, then the first ten lines; nothing if there are none."""
    if lines:
        yield f"{len(lines)} {title}:"
    for line in lines[:_LINES_SHOWN]:
        yield f"  {line}"
    if len(lines) > _LINES_SHOWN:
        yield f"  and {len(lines) - _LINES_SHOWN} more"
