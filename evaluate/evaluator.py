"""What is measured and drawn after an epoch. See `Evaluator`."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from config import Config, UserError
from data.loading import ordered_batches
from data.stored import Images
from evaluate.element_changes import ElementChanges
from evaluate.features.cache import images_digest, real_features
from evaluate.features.networks import FeatureNetwork
from evaluate.inverter import Inverter
from evaluate.metrics.bootstrap import interval
from evaluate.metrics.correlation import rank_correlation
from evaluate.metrics.frechet import frechet_distance
from evaluate.metrics.image_quality import psnr, ssim
from evaluate.metrics.precision_recall import NEIGHBOURS, neighbour_metrics
from evaluate.metrics.table import FROM_FEATURES, IMPORTANCE, METRICS
from evaluate.sheet_layout import COLUMNS
from evaluate.sheets import NOISY_COPIES, draw_sheets
from models.latent import differential_entropy, informative_elements, sample_prior
from train.losses import encoder_loss
from train.model import Model
from train.runtime.distribution import Processes

# Evaluation draws its latents from seeds of 2**31 and above, training from lower ones. So
# `evaluate.every` does not change what is trained.
_EVALUATION_SEED = 2**31
_NOISE_SEED = 2**32 - 1
_MOVED_LATENTS = 8  # whose elements are moved: few, since each costs 2 d_z images


class Evaluator:
    """Measures a `train.model.Model` on the test split, always with the same images.

    All replicas of `processes` take part; several processes measure together. `features` is a
    `FeatureNetwork`, or None to leave out the metrics that need one; the features of the test
    images are kept in `cache_folder`.
    """

    def __init__(
        self,
        config: Config,
        model: Model,
        processes: Processes,
        test_images: Images,
        features: FeatureNetwork | None = None,
        cache_folder: Path | None = None,
    ) -> None:
        self.model = model
        self.features = features
        self.inverter = Inverter(model.networks)
        self.processes = processes
        self.batch_size = config.evaluate.batch_size
        positions = processes.positions(self.batch_size)
        self.batches = ordered_batches(config, test_images, positions)
        self.measure_batch = processes.map(self._measure_batch, self.batch_size)
        self.size = len(self.batches) * self.batch_size
        self.replicates = config.evaluate.bootstrap
        self.images_digest = images_digest(ordered_batches(config, test_images))
        if features:
            self.real_features = real_features(
                cache_folder,
                features.protocol,
                self.batches,
                self.images_digest,
                processes.map(features.extract, self.batch_size),
                processes,
            )
        pairs = min(COLUMNS * COLUMNS // 2, len(test_images))
        self.sheet_images = test_images.read(np.arange(pairs))
        self.sheet_latents = model.sample_latents(COLUMNS * COLUMNS, _EVALUATION_SEED)
        noise_shape = (NOISY_COPIES, model.networks.latent_dim)
        self.sheet_noise = sample_prior(noise_shape, "normal", _NOISE_SEED)
        moved = self.sheet_latents[:_MOVED_LATENTS]
        self.element_changes = ElementChanges(
            model, self.inverter, processes, moved, self.batch_size
        )

    def protocol(self, epoch: int) -> dict[str, Any]:
        """How the numbers of an epoch are made; every row of metrics.jsonl holds it."""
        protocol = self.features.protocol if self.features else {"features": "none"}
        return protocol | {
            "frechet_ddof": 0,
            "neighbours": NEIGHBOURS,
            "real_images": self.size,
            "real_images_sha256": self.images_digest,
            "fake_images": self.size,
            "resolution": int(self.sheet_images.shape[1]),
            "split": "test",
            "seed": _EVALUATION_SEED + epoch,
            "bootstrap": self.replicates,
        }

    def measure(self, epoch: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """(row, per_image): the metrics after `epoch` (from 1), and each image's values by name.

        `row` maps names to numbers, and "intervals" to 95 % intervals [low, high] by name. Without
        features the metrics that need them are None. The paper's L_enc is not here: it is the mean
        over training steps; "fresh_encoder_loss" is L_enc of the latents drawn here.

        All processes have to call this; the chief gets the results, the others two empty dicts.
        Raises UserError if L_enc of the fresh latents is not finite.
        """
        per_image = self._measure_images(epoch)
        changes = self.element_changes.measure() if self.model.dynamic_scale else None
        if not self.processes.is_chief:
            return {}, {}
        fake_features = per_image.pop("fake_features", None)
        are_finite = np.all(per_image.pop("is_finite"))
        row = {
            "latent_entropy": float(differential_entropy(self.model.scale(), self.model.prior)),
            "informative_elements": int(informative_elements(self.model.variance())),
        }
        row |= dict.fromkeys((*FROM_FEATURES, IMPORTANCE)) | {"intervals": {}}
        if changes is not None:
            self._measure_importance(changes, row)
            self._add_entropy_interval(row)
        if fake_features is not None and are_finite:
            self._compare_features(fake_features, row, per_image)
        for name, values in per_image.items():
            row[name] = float(np.mean(values))
            self._add_interval(name, np.mean, [values], row)
        if not math.isfinite(row["fresh_encoder_loss"]):
            raise UserError(
                f"training diverged in epoch {epoch}: L_enc of fresh latents is "
                f"{row['fresh_encoder_loss']}; try a smaller train.learning_rate"
            )
        return row, per_image

    def scale(self) -> np.ndarray:
        """The current s (d_z,)."""
        return self.model.scale().numpy()

    def sheets(self) -> dict[str, np.ndarray]:
        """The current image sheets: uint8 images (height, width, 3) by name."""
        return draw_sheets(
            self.inverter,
            self.model.scale(),
            self.model.prior,
            self.sheet_latents,
            self.sheet_noise,
            self.sheet_images,
        )

    def _measure_images(self, epoch: int) -> dict[str, np.ndarray]:
        """What `_measure_batch` returns, for all images, with new latents in every epoch."""
        latents = self.model.sample_latents(self.size, _EVALUATION_SEED + epoch)
        values = []
        for index, real in enumerate(self.batches):
            start = index * self.batch_size
            batch_latents = self.processes.part(latents[start : start + self.batch_size])
            values.append(self.measure_batch(real, batch_latents))
        return {name: np.concatenate([batch[name] for batch in values]) for name in values[0]}

    def _compare_features(
        self, fake_features: np.ndarray, row: dict[str, Any], per_image: dict[str, np.ndarray]
    ) -> None:
        """Add metrics of the features (n, width) of all images to `row`, of each to `per_image`."""
        samples = [self.real_features, fake_features]
        row["fid"] = frechet_distance(*samples)
        self._add_interval("fid", frechet_distance, samples, row)
        per_image |= neighbour_metrics(*samples)._asdict()

    def _measure_importance(self, changes: np.ndarray, row: dict[str, Any]) -> None:
        """Add to `row` whether s and the changes (latents, d_z) of the image rise together."""
        scale = self.scale()

        def correlate(changes: np.ndarray) -> float:
            return rank_correlation(scale, np.mean(changes, axis=0))

        correlation = correlate(changes)
        if math.isfinite(correlation):  # otherwise one of the two is constant
            row[IMPORTANCE] = correlation
            self._add_interval(IMPORTANCE, correlate, [changes], row)

    def _add_entropy_interval(self, row: dict[str, Any]) -> None:
        """Add the interval of the entropy over the steps of the variance window.

        Initial rows of the window are no samples: while there are some, there is no interval. A
        running variance has no rows to sample from.
        """
        window = self.model.variance_window.numpy()
        if len(window) == 1 or np.all(window[0] == 1.0):  # the oldest row
            return

        def entropy(window: np.ndarray) -> float:
            """But for a constant: the sum of log s_i."""
            variance = np.mean(window, axis=0)
            return 0.5 * float(np.sum(np.log(variance / np.mean(variance))))

        self._add_interval("latent_entropy", entropy, [window], row)

    def _add_interval(
        self,
        name: str,
        statistic: Callable[..., float],
        samples: Sequence[np.ndarray],
        row: dict[str, Any],
    ) -> None:
        """Add the interval of `row[name]`, which is `statistic(*samples)`, if there are any."""
        if self.replicates:
            row["intervals"][name] = interval(
                statistic, samples, row[name], self.replicates, METRICS[name].bounds
            )

    def _measure_batch(self, real: tf.Tensor, latents: tf.Tensor) -> dict[str, tf.Tensor]:
        """The metrics of real and generated images, by name: a value for each image.

        Input: images (batch, height, width, 3), unscaled latents (batch, d_z). The output also says
        whether a generated image is finite, and holds its features.
        """
        scale = self.model.scale()
        generated = self.model.networks.generate(latents, scale)
        recovered = self.inverter.encode(generated)
        fake = tf.clip_by_value(generated, -1.0, 1.0)
        fake_again, real_again = (self.inverter.reconstruct(x, scale) for x in (fake, real))
        are_finite = tf.reduce_all(tf.math.is_finite(fake), axis=(1, 2, 3))
        values = {
            "fake_psnr": psnr(fake, fake_again),
            "fake_ssim": ssim(fake, fake_again),
            "real_psnr": psnr(real, real_again),
            "real_ssim": ssim(real, real_again),
            "fresh_encoder_loss": encoder_loss(latents, recovered, scale),
            "is_finite": tf.cast(are_finite, tf.float32),  # float32, so that replicas can sum it
        }
        return values | ({"fake_features": self.features.extract(fake)} if self.features else {})
