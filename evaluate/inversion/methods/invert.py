"""GAN inversion of given images with a trained run, by any method. See `Inverting`."""

import itertools
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from evaluate.inversion.methods.choices import Choice
from evaluate.inversion.methods.features import find_features
from evaluate.inversion.methods.optimisation import Problem, compile_gradient, optimise
from evaluate.inversion.methods.spaces import open_space
from evaluate.metrics.image_quality import psnr, ssim
from evaluate.trained_run import TrainedRun

_NOISE_SEED = 0


class Inversion(NamedTuple):
    """Codes of images, the images generated from them, how close these come, and the cost.

    Codes are in the method's space: unscaled latents (n, d_z), or w. `history` is the PSNR of each
    image along the way (points, n), a point for each image that the generator made of it; the last
    is the result's.
    """

    codes: np.ndarray
    images: np.ndarray  # (n, height, width, 3)
    psnr: np.ndarray  # (n,), in dB
    ssim: np.ndarray  # (n,)
    history: np.ndarray
    seconds: float  # an image

    @property
    def passes(self) -> int:
        """How many images the generator made for each image."""
        return len(self.history)


class Inverting:
    """Inverts images with a run, by the method, in the space and with the features of a choice.

    `features` says in words which features are compared. Raises UserError for a space or features
    that the run has not.
    """

    def __init__(self, trained: TrainedRun, choice: Choice) -> None:
        self.trained, self.choice = trained, choice
        networks = trained.networks.present()
        self.space = open_space(trained, networks, choice.space)
        extract, self.features = find_features(trained, networks, choice.features)
        self.problem = Problem(
            self.space.generate,
            extract,
            lambda codes, images: self.space.distance(codes, networks.encode(images)),
            self.space.spread,
        )
        codes, images = tf.constant(self.space.mean[None]), tf.zeros((1, *networks.image_shape))
        self.gradient = compile_gradient(self.problem, choice.method, codes, images)
        self.generate = tf.function(
            lambda codes: tf.clip_by_value(self.space.generate(codes), -1.0, 1.0),
            input_signature=[tf.TensorSpec((None, *codes.shape[1:]))],
            autograph=False,
        )

    def __call__(
        self, images: np.ndarray, on_progress: Callable[[int, int], None] = lambda *_: None
    ) -> Inversion:
        """Invert images (n, height, width, 3) in [-1, 1].

        `on_progress(done, total)` counts the steps of all batches. The seconds are without those
        for compiling. Raises UserError where codes or images are not finite.
        """
        size = self.trained.batch_size
        batches = [images[first : first + size] for first in range(0, len(images), size)]
        done, total = itertools.count(1), len(batches) * self.choice.steps
        self._invert_batch(batches[0], min(self.choice.steps, 1))  # which compiles
        began = time.perf_counter()
        found = [
            self._invert_batch(batch, self.choice.steps, lambda: on_progress(next(done), total))
            for batch in batches
        ]
        seconds = (time.perf_counter() - began) / len(images)
        codes, generated = (np.concatenate([part[i] for part in found]) for i in range(2))
        self.trained.require_finite(codes, "codes of such images")
        self.trained.require_finite(generated, "images of such codes")
        history = np.concatenate([part[2] for part in found], axis=1)
        values = [self.trained.in_batches(metric, images, generated) for metric in (psnr, ssim)]
        return Inversion(codes, generated, *values, history, seconds)

    def _invert_batch(
        self, images: np.ndarray, steps: int, on_step: Callable[[], None] = lambda: None
    ) -> tuple[tf.Tensor, tf.Tensor, np.ndarray]:
        """(codes, images generated from them, history (points, n)) of images."""
        start = codes = tf.constant(self._start(images))
        chosen = _Chosen(images, codes, self.generate(codes), self.choice.method.keeps_best)
        for step in optimise(
            self.gradient,
            self.problem,
            self.choice.method,
            tf.constant(images),
            start,
            steps,
            lambda step: tf.random.stateless_normal(start.shape[1:], (_NOISE_SEED, step)),
        ):
            chosen.consider(codes, step.images)
            codes = step.codes
            on_step()
        if steps:
            chosen.consider(codes, self.generate(codes))
        return chosen.codes, chosen.generated, np.stack(chosen.history)

    def _start(self, images: np.ndarray) -> np.ndarray:
        """The codes at which optimisation of images (n, height, width, 3) begins."""
        if self.choice.method.from_encoder:
            return self.trained.in_batches(self.space.from_latents, self.trained.encode(images))
        return np.repeat(self.space.mean[None], len(images), axis=0)


class _Chosen:
    """The codes of images so far, and the images generated from them; `history` is their PSNR.

    With `keeps_best`, other codes of an image are chosen only if its PSNR is higher.
    """

    def __init__(
        self, images: np.ndarray, codes: tf.Tensor, generated: tf.Tensor, keeps_best: bool
    ) -> None:
        self.images, self.codes, self.generated, self.keeps_best = (
            images, codes, generated, keeps_best,
        )  # fmt: skip
        self.history = [psnr(images, generated).numpy()]

    def consider(self, codes: tf.Tensor, generated: tf.Tensor) -> None:
        values = psnr(self.images, generated).numpy()
        if self.keeps_best:
            is_better = values > self.history[-1]
            codes, generated = (
                tf.where(is_better.reshape(-1, *[1] * (len(new.shape) - 1)), new, old)
                for new, old in ((codes, self.codes), (generated, self.generated))
            )
            values = np.maximum(values, self.history[-1])
        self.codes, self.generated = codes, generated
        self.history.append(values)
