"""The spaces in which images are inverted: z, w and w+. See `open_space`."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from config import UserError
from evaluate.inversion.methods.choices import Space
from evaluate.inversion.methods.optimisation import mean_and_spread
from evaluate.trained_run import TrainedRun
from models.networks import Networks
from train.losses import encoder_loss

_SAMPLES = 10_000  # whose mean w is taken
_PARTS = 10  # of the samples, so that memory suffices
_SEED = 123


class CodeSpace(NamedTuple):
    """Codes of a run's generator, and functions of tensors of them.

    from_latents: unscaled latents (n, d_z) to codes.
    generate: codes to images (n, height, width, 3), unclipped.
    distance: codes, and the unscaled latents that the encoder recovers from their images, to (n,).
    mean, spread: where the codes of the prior's latents lie, see `mean_and_spread`.
    """

    from_latents: Callable[[tf.Tensor], tf.Tensor]
    generate: Callable[[tf.Tensor], tf.Tensor]
    distance: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    mean: np.ndarray
    spread: float


def open_space(trained: TrainedRun, networks: Networks, space: Space) -> CodeSpace:
    """The codes of a run in a space; `networks` are the run's present ones.

    z: unscaled latents (d_z,), with mean 0 and variance 1, of which G gets z∘s. Their distance is
    L_enc. w: what the mapping network makes of z∘s (d_w,), the same for all layers; without a
    mapping network, z∘s itself. w+: a w for each layer (num_ws, d_w). The distance of w and w+ is
    the mean squared difference from the w of the recovered latents.

    Raises UserError for w+ where the backbone has one style for all layers.
    """
    scale = tf.constant(trained.scale)
    if space == "z":
        return CodeSpace(
            tf.identity,
            lambda latents: networks.generate(latents, scale),
            lambda latents, recovered: encoder_loss(latents, recovered, scale),
            np.zeros_like(trained.scale),
            float(np.sqrt(len(trained.scale))),
        )
    model = trained.config.model
    if space == "w+" and not model.has_styles:
        raise UserError(
            f"{trained.folder.path}: --space w+ takes a backbone with a style for each layer, "
            f"stylegan, stylegan2, stylegan3_t or stylegan3_r; z and w take any. Received: "
            f"{model.backbone}"
        )
    is_repeated = model.has_styles and space == "w"

    def from_latents(latents: tf.Tensor) -> tf.Tensor:
        styles = networks.styles(latents * scale)
        return styles[:, 0] if is_repeated else styles

    def generate(codes: tf.Tensor) -> tf.Tensor:
        if is_repeated:
            codes = tf.repeat(codes[:, None], networks.mapper.output_shape[1], axis=1)
        return networks.generate_from_styles(codes)

    def distance(codes: tf.Tensor, recovered: tf.Tensor) -> tf.Tensor:
        difference = tf.square(codes - from_latents(recovered))
        return tf.reduce_mean(difference, axis=list(range(1, len(difference.shape))))

    latents = np.split(trained.sample_latents(_SAMPLES, _SEED), _PARTS)
    mean, spread = mean_and_spread(np.concatenate([from_latents(part) for part in latents]))
    if space == "w+":  # all layers have the same w in the samples
        spread /= float(np.sqrt(len(mean)))
    return CodeSpace(from_latents, generate, distance, mean, spread)
