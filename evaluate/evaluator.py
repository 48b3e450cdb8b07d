"""What is measured and drawn after an epoch. See `Evaluator`."""

import numpy as np
import tensorflow as tf

from data import ordered_batches
from evaluate.bootstrap import interval
from evaluate.feature_cache import images_digest, real_features
from evaluate.frechet import frechet_distance
from evaluate.precision_recall import NEIGHBOURS, NeighbourMetrics, neighbour_metrics
from evaluate.reconstruction import Inverter, psnr, ssim
from evaluate.sheets import COLUMNS, NOISY_COPIES, draw_sheets
from models.latent import differential_entropy, informative_elements, sample_prior
from train.losses import encoder_loss

# Training draws its latents from seeds below 2**31, evaluation from those above: changing how often
# one evaluates does not change the training.
_EVALUATION_SEED = 2**31
_NOISE_SEED = 2**32 - 1
_BOUNDS = {
    "fid": (0.0, np.inf),
    "precision": (0.0, 1.0),
    "recall": (0.0, 1.0),
    "density": (0.0, np.inf),
    "coverage": (0.0, 1.0),
}
_FROM_FEATURES = ("fid", *NeighbourMetrics._fields)


class Evaluator:
    """Measures a `train.step.Trainer` on the test split, always with the same images.

    All replicas of the trainer take part; several processes measure together.
    `features` is a `FeatureNetwork`, or None to go without what needs one; the features of the test
    images are kept in `cache_folder`.
    """

    def __init__(self, config, trainer, test_images, features=None, cache_folder=None):
        self.trainer = trainer
        self.features = features
        self.inverter = Inverter(trainer.networks)
        self.workers = workers = trainer.workers
        self.batch_size = config.evaluate.batch_size
        positions = workers.positions(self.batch_size)
        self.batches = ordered_batches(config, test_images, positions)
        self.measure_batch = workers.map(self._measure_batch, self.batch_size)
        self.size = len(self.batches) * self.batch_size
        self.replicates = config.evaluate.bootstrap
        self.images_digest = images_digest(ordered_batches(config, test_images))
        if features:
            self.real_features = real_features(
                cache_folder,
                features.protocol,
                self.batches,
                self.images_digest,
                self.size,
                workers.map(features.extract, self.batch_size),
                workers,
            )
        pairs = min(COLUMNS * COLUMNS // 2, len(test_images))
        self.sheet_images = test_images.read(np.arange(pairs))
        self.sheet_latents = self._sample(COLUMNS * COLUMNS, _EVALUATION_SEED)
        self.sheet_noise = sample_prior((NOISY_COPIES, config.latent.dim), "normal", _NOISE_SEED)

    def protocol(self, epoch):
        """How the numbers of an epoch are made; it stands in every row of metrics.jsonl."""
        protocol = self.features.protocol if self.features else {"features": "none"}
        return protocol | {
            "frechet_ddof": 0,
            "neighbours": NEIGHBOURS,
            "real_images": self.size,
            "real_images_sha256": self.images_digest,
            "fake_images": self.size,
            "split": "test",
            "seed": _EVALUATION_SEED + epoch,
            "bootstrap": self.replicates,
        }

    def measure(self, epoch):
        """(row, per_image): the metrics after `epoch` (from 1), and those that each image has.

        `row` maps names to numbers, and "intervals" to 95 % intervals [low, high] by name. What
        needs features is None without them. The paper's L_enc is not here: it is the mean over
        training steps; "fresh_encoder_loss" is that of the latents drawn here.

        Of several processes, all have to call it, and the chief alone gets an answer.
        """
        latents = self._sample(self.size, _EVALUATION_SEED + epoch)  # fresh ones in every epoch
        values = []
        for index, real in enumerate(self.batches):
            start = index * self.batch_size
            batch_latents = self.workers.part(latents[start : start + self.batch_size])
            values.append(self.measure_batch(real, batch_latents))
        if not self.workers.is_chief:
            return {}, {}
        per_image = {name: np.concatenate([v[name] for v in values]) for name in values[0]}
        fake_features = per_image.pop("fake_features", None)
        are_finite = np.all(per_image.pop("is_finite"))
        scale = self.trainer.scale()
        row = {
            "latent_entropy": float(differential_entropy(scale, self.trainer.run.prior)),
            "informative_elements": int(informative_elements(self.trainer.variance())),
        }
        row |= dict.fromkeys(_FROM_FEATURES) | {"intervals": {}}
        if fake_features is not None and are_finite:
            self._compare_features(fake_features, row, per_image)
        for name, of_images in per_image.items():
            row[name] = float(np.mean(of_images))
            if self.replicates:
                bounds = _BOUNDS.get(name, (-np.inf, np.inf))
                row["intervals"][name] = interval(
                    np.mean, [of_images], row[name], self.replicates, bounds
                )
        return row, per_image

    def scale(self):
        """s (d_z,) of this moment, as an array."""
        return self.trainer.scale().numpy()

    def sheets(self):
        """The image sheets of this moment: a dict of names to uint8 images."""
        trainer = self.trainer
        return draw_sheets(
            self.inverter,
            trainer.scale(),
            trainer.run.prior,
            self.sheet_latents,
            self.sheet_noise,
            self.sheet_images,
        )

    def _sample(self, count, seed):
        dim = self.trainer.variance_window.shape[1]
        return sample_prior((count, dim), self.trainer.run.prior, seed)

    def _compare_features(self, fake_features, row, per_image):
        """Add what compares the features of all images to a row, and what each image has of it."""
        samples = [self.real_features, fake_features]
        row["fid"] = frechet_distance(*samples)
        if self.replicates:
            row["intervals"]["fid"] = interval(
                frechet_distance, samples, row["fid"], self.replicates, _BOUNDS["fid"]
            )
        per_image |= neighbour_metrics(*samples)._asdict()

    def _measure_batch(self, real, latents):
        """The metrics of real and generated images, by name: arrays with a value an image.

        Also whether a generated image is finite, and its features.
        """
        scale = self.trainer.scale()
        generated = self.trainer.networks.generate(latents, scale)
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
            "is_finite": tf.cast(are_finite, tf.float32),  # to be summed as the rest is
        }
        return values | ({"fake_features": self.features.extract(fake)} if self.features else {})
