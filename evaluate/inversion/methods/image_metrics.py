"""PSNR and SSIM of each inverted image: a table and a file. See `print_metrics`."""

import csv
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from evaluate.inversion.methods.invert import Inversion
from evaluate.report.terminal import print_table

_PRINTED_IMAGES = 20


def write_metrics(path: Path, names: Sequence[str], inversions: Mapping[str, Inversion]) -> None:
    """Write a CSV file with one row per image: name, PSNR (dB) and SSIM of each inversion.

    The columns of a method begin with its name, but the encoder's.
    """
    columns = _columns(inversions)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", *(title.replace(" ", "_") for title in columns)])
        writer.writerows(zip(names, *columns.values(), strict=True))


def print_metrics(names: Sequence[str], inversions: Mapping[str, Inversion]) -> None:
    """Print the same as a table: at most 20 images, then the mean and the worst of all images."""
    columns = _columns(inversions)
    images = zip(names, *columns.values(), strict=True)
    rows = [
        [name, *map(_format, values)] for name, *values in itertools.islice(images, _PRINTED_IMAGES)
    ]
    if len(names) > _PRINTED_IMAGES:
        rows.append([f"... and {len(names) - _PRINTED_IMAGES} more", *[""] * len(columns)])
    rows.append([])
    for title, reduce in (("mean", np.mean), ("worst", np.min)):
        rows.append([title, *(_format(reduce(values)) for values in columns.values())])
    print_table(["image", *columns], rows)


def _columns(inversions: Mapping[str, Inversion]) -> dict[str, np.ndarray]:
    """{title: value of each image (n,)}."""
    return {
        metric if method == "encoder" else f"{method} {metric}": getattr(inversion, metric)
        for method, inversion in inversions.items()
        for metric in ("psnr", "ssim")
    }


def _format(value: float) -> str:
    return f"{value:.3f}"
