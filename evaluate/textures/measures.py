"""What is measured of texture samples, beside references. See `measure_all`."""

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evaluate.features.networks import FeatureNetwork
from evaluate.metrics.frechet import single_image_frechet_distance
from evaluate.metrics.patches import measure_copying, patch_distances
from evaluate.report.terminal import print_table
from train.textures.gaussian_field import compute_texton, draw_field

COLUMNS = ("distance 1", "1/2", "1/4", "patches used", "copying", "SIFID", "CPU seconds")
_FORMATS = ("{:.1f}", "{:.1f}", "{:.1f}", "{:.1%}", "{:.1f}", "{:.4f}", "{:.0f}")


class Sample(NamedTuple):
    """An image (height, width, 3) in [0, 1]; the seconds of a core that it took, if measured."""

    image: np.ndarray
    seconds: float = math.nan


def make_references(exemplar: np.ndarray, other: np.ndarray | None, seed: int) -> dict[str, Sample]:
    """Another crop of the same picture, if there is one, a Gaussian field, shuffled pixels."""
    generator = np.random.default_rng(seed)
    height, width = exemplar.shape[:2]
    field = draw_field(*compute_texton(exemplar), height, width, generator)
    pixels = generator.permutation(exemplar.reshape(-1, 3)).reshape(exemplar.shape)
    references = {} if other is None else {"another crop": Sample(other / 255.0)}
    return references | {
        "Gaussian field": Sample(np.clip(field, 0.0, 1.0)),
        "pixels shuffled": Sample(pixels),
    }


def to_uint8(image: np.ndarray) -> np.ndarray:
    """An image with values in [0, 1] as uint8 0 to 255, rounded."""
    return np.uint8(np.rint(image * 255.0))


def measure_all(
    exemplar: np.ndarray, samples: Mapping[str, Sample], features: FeatureNetwork | None
) -> dict[str, list[float]]:
    """The values of `COLUMNS` for each sample; NaN for what was not measured.

    Patch distances and copying are in thousandths of the range of values.
    """
    rows = {}
    for name, (image, seconds) in samples.items():
        used, copying = measure_copying(image, exemplar)
        distances = [1000.0 * x for x in patch_distances(image, exemplar)]
        sifid = _sifid(image, exemplar, features) if features else math.nan
        rows[name] = [*distances, used, 1000.0 * copying, sifid, seconds]
    return rows


def _sifid(image: np.ndarray, exemplar: np.ndarray, features: FeatureNetwork) -> float:
    maps = [features(np.float32(2.0 * x - 1.0)[None])[0] for x in (image, exemplar)]
    return single_image_frechet_distance(*maps)


def write_measures(path: Path, rows: Mapping[str, list[float]]) -> None:
    """Write a CSV file with a row for each image; what was not measured stays empty."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", *(title.replace(" ", "_") for title in COLUMNS)])
        for name, values in rows.items():
            writer.writerow([name, *("" if math.isnan(x) else x for x in values)])


def print_measures(rows: Mapping[str, list[float]]) -> None:
    """Print the same as a table."""
    texts = [
        [name, *(_format(x, text) for x, text in zip(values, _FORMATS, strict=True))]
        for name, values in rows.items()
    ]
    print_table(["image", *COLUMNS], texts)
    if all(math.isnan(values[COLUMNS.index("SIFID")]) for values in rows.values()):
        print("SIFID is not measured without --features inception_v3 or inception_v3:PATH.h5")


def _format(value: float, text: str) -> str:
    return "-" if math.isnan(value) else text.format(value)
