"""A trained run, ready for use. See `TrainedRun`."""

import numpy as np
import tensorflow as tf

from config import Run, UserError
from evaluate.reconstruction import Inverter
from models import build_networks
from models.latent import sample_prior, scale_from_window
from train.checkpoints import Progress, restore_newest
from train.run_folder import RunFolder


class TrainedRun:
    """Networks and scale of a run's newest checkpoint; the run may be training meanwhile.

    Latents z (n, d_z) are unscaled, images are float32 (n, height, width, 3) in [-1, 1]; both are
    NumPy arrays of any length, of which the networks see `evaluate.batch_size` at once. All is
    computed in float32, in whatever precision the run was trained.

    Raises UserError for a folder that holds no run, or none with a checkpoint that can be read.
    """

    def __init__(self, path):
        self.folder = RunFolder(path)
        self.config, self.name, self.seed = self.folder.read_config()
        self.run = Run.parse(self.name)
        self.networks = build_networks(self.config)
        latent = self.config.latent
        window = tf.Variable(tf.ones((latent.variance_window, latent.dim)), trainable=False)
        progress = Progress()
        state = self.networks._asdict() | {"variance_window": window, "progress": progress}
        checkpoint = tf.train.Checkpoint(**state)
        self.step = restore_newest(checkpoint, self.folder, is_whole=False)
        if self.step is None:
            raise UserError(f"{path}: nothing is trained yet (no checkpoint)")
        self.epoch = int(progress.epoch)
        self.variance_window = window.numpy()
        self.scale = scale_from_window(window, self.run.dynamic_scale).numpy()
        self._inverter = Inverter(self.networks)
        self.batch_size = self.config.evaluate.batch_size

    def __str__(self):
        return f"{self.folder.path} (epoch {self.epoch}, step {self.step})"

    @property
    def elements_by_importance(self):
        """Indices (d_z,) of the latent elements, that of the largest traced variance first.

        With dynamic latent scale that is the order of s.
        """
        return np.argsort(-self.variance_window.mean(axis=0), kind="stable")

    def sample_latents(self, count, seed):
        """Latents (count, d_z) from the run's prior."""
        return sample_prior((count, len(self.scale)), self.run.prior, seed).numpy()

    def generate(self, latents):
        """clip(G(z∘s)): images. Raises UserError where they are not finite."""
        images = self.in_batches(lambda z: self._inverter.generate(z, self.scale), latents)
        return self._finite(images, "images of such latents")

    def encode(self, images):
        """E(x): latents. Raises UserError where they are not finite."""
        return self._finite(
            self.in_batches(self._inverter.encode, images), "latents of such images"
        )

    def _finite(self, values, what):
        if not np.all(np.isfinite(values)):
            raise UserError(f"{self.folder.path}: {what} are not finite")
        return values

    def in_batches(self, function, *arrays):
        """function(*arrays) of arrays (n, ...), `evaluate.batch_size` of each at once."""
        parts = [slice(s, s + self.batch_size) for s in range(0, len(arrays[0]), self.batch_size)]
        return np.concatenate([function(*(a[part] for a in arrays)).numpy() for part in parts])
