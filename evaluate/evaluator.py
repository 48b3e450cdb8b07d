"""What is measured and drawn after an epoch. See `Evaluator`."""

import numpy as np
import tensorflow as tf

from data import ordered_batches
from evaluate.frechet import frechet_distance
from evaluate.reconstruction import Inverter, psnr, ssim
from evaluate.sheets import COLUMNS, NOISY_COPIES, draw_sheets
from models.latent import differential_entropy, informative_elements, sample_prior

# Training draws its latents from seeds below 2**31, evaluation from those above: changing how often
# one evaluates does not change the training.
_EVALUATION_SEED = 2**31
_NOISE_SEED = 2**32 - 1


class Evaluator:
    """Measures a `train.step.Trainer` on the test split, always with the same images.

    `features` is a `FeatureNetwork`, or None to go without the Fréchet distance.
    """

    def __init__(self, config, trainer, test_images, features):
        self.trainer = trainer
        self.features = features
        self.inverter = Inverter(trainer.networks)
        self.batches = ordered_batches(config, test_images)
        self.size = len(self.batches) * config.evaluate.batch_size
        self.batch_size = config.evaluate.batch_size
        self.real_features = None
        pairs = min(COLUMNS * COLUMNS // 2, len(test_images))
        self.sheet_images = test_images.read(np.arange(pairs))
        self.sheet_latents = self._sample(COLUMNS * COLUMNS, _EVALUATION_SEED)
        self.sheet_noise = sample_prior((NOISY_COPIES, config.latent.dim), "normal", _NOISE_SEED)

    def protocol(self, epoch):
        """How the numbers of an epoch are made; it stands in every row of metrics.jsonl."""
        protocol = self.features.protocol if self.features else {"features": "none"}
        return protocol | {
            "real_images": self.size,
            "fake_images": self.size,
            "split": "test",
            "seed": _EVALUATION_SEED + epoch,
        }

    def measure(self, epoch):
        """The paper's metrics after `epoch` (from 1), a dict of numbers.

        "fid" is None without features. L_enc is not here: it is the mean over training steps.
        """
        scale = self.trainer.scale()
        latents = self._sample(self.size, _EVALUATION_SEED + epoch)  # fresh ones in every epoch
        quality, fake_features, real_features = [], [], []
        for index, real in enumerate(self.batches):
            start = index * self.batch_size
            fake, values = self._measure_batch(
                real, latents[start : start + self.batch_size], scale
            )
            quality.append(values)
            if self.features:
                fake_features.append(self.features(fake))
                if self.real_features is None:
                    real_features.append(self.features(real))
        if real_features:
            self.real_features = np.concatenate(real_features)
        return {
            "latent_entropy": float(differential_entropy(scale, self.trainer.run.prior)),
            "informative_elements": int(informative_elements(self.trainer.variance())),
            "fid": self._frechet_distance(fake_features),
        } | {name: float(np.mean([values[name] for values in quality])) for name in quality[0]}

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

    def _frechet_distance(self, fake_features):
        if not self.features:
            return None
        fake_features = np.concatenate(fake_features)
        if not np.all(np.isfinite(fake_features)):
            return None  # the images are not finite, which their PSNR tells
        return frechet_distance(self.real_features, fake_features)

    @tf.function
    def _measure_batch(self, real, latents, scale):
        fake = self.inverter.generate(latents, scale)
        fake_again, real_again = (self.inverter.reconstruct(x, scale) for x in (fake, real))
        return fake, {
            "fake_psnr": psnr(fake, fake_again),
            "fake_ssim": ssim(fake, fake_again),
            "real_psnr": psnr(real, real_again),
            "real_ssim": ssim(real, real_again),
        }
