"""A trained run, ready for use. See `TrainedRun`."""

from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import tensorflow as tf

from config import UserError
from evaluate.inverter import Inverter
from train.averaging import averaged_parts
from train.model import Model
from train.runs.checkpoints import restore_newest
from train.runs.folder import RunFolder

LAST, BEST = "last", "best"


class TrainedRun:
    """Networks and scale of a run's checkpoint; the run may be training meanwhile.

    `checkpoint` is "last", "best" (by FID) or a step.

    Latents z (n, d_z) are unscaled, images are float32 (n, height, width, 3) in [-1, 1]; both are
    NumPy arrays of any length, and the networks see `evaluate.batch_size` of them at once. All is
    computed in `precision`, whatever precision the run was trained in. The weights are averages if
    the run has them (`train.average_decay`); `raw` takes the last weights. With `steps`, only
    checkpoints of these steps count; "last" may then be the best one.

    Raises UserError for a folder that holds no run, or no such checkpoint that can be read, and
    for `raw` if the run has no averages.
    """

    def __init__(
        self,
        path: str | Path,
        checkpoint: str = LAST,
        precision: str = "float32",
        steps: Collection[int] | None = None,
        raw: bool = False,
    ) -> None:
        self.checkpoint, self.raw = checkpoint, raw
        self.folder = RunFolder(path)
        self.record = self.folder.read()
        self.config, self.name, self.seed = self.record.config, self.record.run, self.record.seed
        self.model = Model(self.config, precision)
        self.networks = self.model.networks
        self.has_averages = self.config.train.average_decay is not None
        if raw and not self.has_averages:
            raise UserError(
                f"{path}: --raw is for a run with train.average_decay; this one has none"
            )
        parts = (
            self.networks.parts() if raw or not self.has_averages else averaged_parts(self.networks)
        )
        epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        state = tf.train.Checkpoint(
            **parts,
            variance_window=self.model.variance_window,
            progress=tf.train.Checkpoint(epoch=epoch),
        )
        step = _restore(state, self.folder, checkpoint, steps)
        if step is None and steps is None:
            raise UserError(f"{path}: nothing is trained yet (no checkpoint)")
        if step is None:
            raise UserError(
                f"{path}: no checkpoint of an epoch with metrics (--checkpoint {checkpoint})"
            )
        self.step, self.epoch = step, int(epoch)
        self.variance_window = self.model.variance_window.numpy()
        self.scale = self.model.scale().numpy()
        self._inverter = Inverter(self.networks)
        self.batch_size = self.config.evaluate.batch_size

    def __str__(self) -> str:
        return f"{self.folder.path} ({self.describe_checkpoint()})"

    def describe_checkpoint(self) -> str:
        """Epoch and step of the checkpoint, why it was chosen, and which weights if it has two."""
        best = ", best by FID" if self.checkpoint == BEST else ""
        weights = (", raw weights" if self.raw else ", averaged weights") * self.has_averages
        return f"epoch {self.epoch}, step {self.step}{best}{weights}"

    @property
    def variance(self) -> np.ndarray:
        """v (d_z,): the traced variance of the recovered latents."""
        return self.variance_window.mean(axis=0)

    @property
    def elements_by_importance(self) -> np.ndarray:
        """Indices (d_z,) of the latent elements, the one with the largest traced variance first.

        With dynamic latent scale that is the order of s.
        """
        return np.argsort(-self.variance, kind="stable")

    def sample_latents(self, count: int, seed: int) -> np.ndarray:
        """Latents (count, d_z) from the run's prior."""
        return self.model.sample_latents(count, seed).numpy()

    def generate(self, latents: np.ndarray) -> np.ndarray:
        """clip(G(z∘s)): images (n, height, width, 3) from latents (n, d_z).

        Raises UserError where they are not finite.
        """
        images = self.in_batches(lambda z: self._inverter.generate(z, self.scale), latents)
        return self.require_finite(images, "images of such latents")

    def encode(self, images: np.ndarray) -> np.ndarray:
        """E(x): latents (n, d_z) of images (n, height, width, 3).

        Raises UserError where they are not finite, and if the run's encoder learned nothing.
        """
        if not self.config.train.trains_encoder:
            raise UserError(
                f"{self.folder.path}: its encoder learned nothing (train.encoder_weight 0), so no "
                "image can be encoded; train.method post_hoc_encoder trains one for its generator"
            )
        latents = self.in_batches(self._inverter.encode, images)
        return self.require_finite(latents, "latents of such images")

    def require_finite(self, values: np.ndarray, what: str) -> np.ndarray:
        """The values. Raises UserError where they are not finite; `what` names them."""
        if not np.all(np.isfinite(values)):
            raise UserError(f"{self.folder.path}: {what} are not finite")
        return values

    def in_batches(self, function: Callable[..., tf.Tensor], *arrays: np.ndarray) -> np.ndarray:
        """function(*arrays) of arrays (n, ...), `evaluate.batch_size` samples of each at once."""
        parts = [slice(s, s + self.batch_size) for s in range(0, len(arrays[0]), self.batch_size)]
        return np.concatenate([function(*(a[part] for a in arrays)).numpy() for part in parts])


def _restore(
    state: tf.train.Checkpoint,
    folder: RunFolder,
    checkpoint: str,
    steps: Collection[int] | None,
) -> int | None:
    """Restore the chosen checkpoint, or what a run that is training replaced it with meanwhile."""
    step, before = None, ()
    while step is None and before != (wanted := _find_steps(folder, checkpoint, steps)):
        step, before = restore_newest(state, folder, wanted, is_whole=False), wanted
    return step


def _find_steps(
    folder: RunFolder, checkpoint: str, steps: Collection[int] | None
) -> Collection[int] | None:
    """The steps that may be restored, see `TrainedRun`; None for any of the last checkpoints."""
    if checkpoint == LAST:
        return steps
    best, last = folder.saved_steps(best=True).keys(), folder.saved_steps().keys()
    if checkpoint == BEST:
        if not best:
            raise UserError(
                f"{folder.path}: no best checkpoint; a run keeps one once it has measured FID"
            )
        found = best
    else:
        found = {int(checkpoint)} & (best | last)
        if not found:
            there = ", ".join(map(str, sorted(best | last))) or "none"
            raise UserError(
                f"{folder.path}: no checkpoint of step {checkpoint}; there are: {there}"
            )
    return found if steps is None else found & set(steps)
