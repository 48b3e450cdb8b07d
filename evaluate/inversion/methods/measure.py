"""Methods of inversion measured on one run, on the same images. See `measure`."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from config import Config
from data.loading import open_images
from evaluate.features.networks import FeatureNetwork
from evaluate.inversion.methods.choices import METHODS, Choice
from evaluate.inversion.methods.invert import Inversion, Inverting
from evaluate.measuring import Measuring
from evaluate.metrics.bootstrap import interval
from evaluate.metrics.inversion import (
    INVERSION_METRICS,
    count_recovered,
    mean_recovery,
    recovery,
    squared_norms,
)
from evaluate.sheet_layout import INTERPOLATION_LIMIT
from evaluate.trained_run import TrainedRun

LATENTS_SEED = 2**31 - 1  # of the generated images
_SHOWN = 4  # test images, in the sheet
_REPLICATES = 200
# by name: a statistic, and the samples that it is computed from
Samples = dict[str, tuple[Callable[..., float], Sequence[np.ndarray]]]


class Measured(NamedTuple):
    """A method on a run: a row for tables and files, and test images with their reconstructions."""

    row: dict[str, Any]
    images: np.ndarray  # (shown, height, width, 3)
    reconstructed: np.ndarray


def list_choices(config: Config, steps: int | None) -> list[Choice]:
    """The methods that are compared on a run; `steps` replaces those of each optimisation.

    Codes are latents, and for the projector w too, in which its authors optimise. A run whose
    encoder is not trained has the methods that begin without it.
    """
    return [
        Choice(name, method.steps if steps is None or not method.steps else steps, space)
        for name, method in METHODS.items()
        for space in (("z",) if method.from_encoder else ("z", "w"))
        if config.train.trains_encoder or not method.from_encoder
    ]


def measure(
    trained: TrainedRun,
    choices: Sequence[Choice],
    count: int,
    begin: Callable[[int], Callable[[int, int], None]],
) -> Iterator[Measured]:
    """Invert the first `count` test images and as many generated ones by each method.

    `begin(steps)` is called before each, and gives what is called with how much is done, of how
    much. Raises UserError for test images or features that cannot be had.
    """
    test_images = open_images(trained.config.data, "test")
    real = test_images.read(np.arange(min(count, len(test_images))))
    latents = trained.sample_latents(len(real), LATENTS_SEED)
    images = np.concatenate([real, trained.generate(latents)])
    measuring = Measuring(trained.folder.results_folder)
    extract = measuring.load_features(trained.config)
    for choice in choices:
        inverting = Inverting(trained, choice)
        found = inverting(images, begin(choice.steps))
        samples = _compare(trained, extract, images, found)
        if choice.space == "z":
            samples |= _judge_codes(trained, real, latents, found.codes)
        row = _describe(trained, choice, len(real)) | {
            "features": extract.label if extract else "none",
            "compared": inverting.features if choice.steps else "none",
            **_summarise(samples),
            "seconds": found.seconds,
            "passes": found.passes,
            "history": {k: v.mean(axis=1).tolist() for k, v in _halves(found.history).items()},
        }
        shown = slice(min(_SHOWN, len(real)))
        yield Measured(row, real[shown], found.images[shown])


def _describe(trained: TrainedRun, choice: Choice, count: int) -> dict[str, Any]:
    return {
        "run": trained.name,
        "label": trained.record.label,
        "seed": trained.seed,
        "epoch": trained.epoch,
        "method": choice.name,
        "space": choice.space,
        "steps": choice.steps,
        "images": count,
    }


def _halves(values: np.ndarray) -> dict[str, np.ndarray]:
    """Values (..., 2n) of test images, then of generated ones, by kind."""
    return dict(zip(("real", "fake"), np.split(values, 2, axis=-1), strict=True))


def _compare(
    trained: TrainedRun, extract: FeatureNetwork | None, images: np.ndarray, found: Inversion
) -> Samples:
    """PSNR, SSIM and distance of features: the values of test and of generated images."""
    values = {"psnr": found.psnr, "ssim": found.ssim}
    if extract:
        features = (trained.in_batches(extract.extract, x) for x in (images, found.images))
        values["feature_distance"] = np.linalg.norm(np.subtract(*features), axis=1)
    return {
        f"{kind}_{name}": (np.mean, [part])
        for name, of_all in values.items()
        for kind, part in _halves(of_all).items()
    }


def _judge_codes(
    trained: TrainedRun, real: np.ndarray, latents: np.ndarray, codes: np.ndarray
) -> Samples:
    """What is measured on latents (2n, d_z): those of test images, then of generated ones."""
    of_real, of_fake = np.split(codes, 2)
    samples: Samples = {
        "recovery": (mean_recovery, [latents, of_fake]),
        "recovered_elements": (count_recovered, [latents, of_fake]),
        "squared_norm": (np.mean, [squared_norms(of_real)]),
    }
    if has_realism(trained.config):
        edited = trained.generate(move_element(trained, of_real))
        values = [trained.in_batches(partial(_judge, trained), x) for x in (edited, real)]
        samples["realism"] = (np.mean, [np.subtract(*values)])
    return samples


def has_realism(config: Config) -> bool:
    """Whether a run has a judge of images, and elements of known importance.

    A post-hoc encoder stands in D's place, and its adversarial head is not trained. Without a
    trained encoder the variance of recovered latents says nothing about the elements.
    """
    return config.train.method != "post_hoc_encoder" and config.train.trains_encoder


def _judge(trained: TrainedRun, images: tf.Tensor) -> tf.Tensor:
    """D's adversarial values (n,)."""
    return trained.networks.discriminate(images)[0]


def move_element(trained: TrainedRun, latents: np.ndarray) -> np.ndarray:
    """Latents (n, d_z) with the most important element moved to the end on its other side."""
    element = trained.elements_by_importance[0]
    limit = INTERPOLATION_LIMIT[trained.config.latent.prior]
    moved = latents.copy()
    moved[:, element] = np.where(latents[:, element] < 0, limit, -limit)
    return moved


def _summarise(samples: Samples) -> dict[str, Any]:
    """Each statistic by name, and under "intervals" its bootstrap 95 % interval."""
    values: dict[str, Any] = {
        name: float(statistic(*arrays)) for name, (statistic, arrays) in samples.items()
    }
    if "recovery" in samples:
        values["recovery_by_element"] = recovery(*samples["recovery"][1]).tolist()
    intervals = {
        name: _interval(name, statistic, arrays, values[name])
        for name, (statistic, arrays) in samples.items()
    }
    return values | {"intervals": intervals}


def _interval(
    name: str, statistic: Callable[..., float], arrays: Sequence[np.ndarray], value: float
) -> list[float]:
    """Latents and recovered latents belong together, and are drawn together."""
    bounds = INVERSION_METRICS[name].bounds
    if name in ("recovery", "recovered_elements"):
        paired = partial(_of_pairs, statistic)
        return interval(paired, [np.stack(arrays, axis=1)], value, _REPLICATES, bounds)
    return interval(statistic, arrays, value, _REPLICATES, bounds)


def _of_pairs(statistic: Callable[..., float], pairs: np.ndarray) -> float:
    return statistic(pairs[:, 0], pairs[:, 1])
