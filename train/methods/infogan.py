"""InfoGAN (Chen et al. 2016, arxiv.org/abs/1606.03657) with continuous codes.

The first `train.infogan_codes` elements of z are codes c; the others are noise. Q(c|x) is a
Gaussian with a mean, and a standard deviation of 1 or a learned one, for each code. D and G both
minimise -lambda MI, lambda = `train.encoder_weight`, with the bound MI = log Q(c|x) - log P(c).
"""

import math
from functools import partial

import tensorflow as tf

from config import Config
from train.losses import encoder_loss
from train.step import Trainer

_LEAST = 1e-8  # the authors' code adds it to standard deviations


class InfoGan(Trainer):
    """Algorithm 1 with s = 1 and -MI in place of L_enc.

    Q shares all of D but the last layer: the backbone's linear layer for latents. (The authors' Q
    has a hidden layer of 128 units of its own; here that is D's last one, as for the other methods'
    encoders, so that all are of one size.) `encode` predicts 0 for elements that are no codes.
    """

    def __init__(self, config: Config, run: str | None, seed: int = 0) -> None:
        super().__init__(config, run, seed)
        self.encoder_loss = partial(information_loss, codes=self.train_config.infogan_codes)
        self.statistics = (*self.statistics, "mutual_information")

    def recovery(
        self, z: tf.Tensor, recovered: tf.Tensor, s: tf.Tensor, l_enc: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        return {"encoder_loss": encoder_loss(z, recovered, s), "mutual_information": -l_enc}


def log_likelihood(
    codes: tf.Tensor, means: tf.Tensor, log_variances: tf.Tensor | None = None
) -> tf.Tensor:
    """log Q of codes under Gaussians with these means; without log variances, of deviation 1.

    Input: (batch, codes) each. Output: (batch,).
    """
    deviations = tf.ones_like(means) if log_variances is None else tf.exp(log_variances / 2.0)
    errors = (codes - means) / (deviations + _LEAST)
    logs = -math.log(2.0 * math.pi) / 2.0 - tf.math.log(deviations + _LEAST) - errors**2 / 2.0
    return tf.reduce_sum(logs, axis=1)


def information_loss(
    latents: tf.Tensor,
    recovered_latents: tf.Tensor,
    scale: tf.Tensor,
    log_variances: tf.Tensor | None = None,
    *,
    codes: int,
) -> tf.Tensor:
    """-MI of the first `codes` elements; P is N(0, 1), also for uniform latents.

    Input: latents, recovered latents and log variances (batch, d_z); the scale counts for nothing.
    Output: (batch,).
    """
    c, means = latents[:, :codes], recovered_latents[:, :codes]
    if log_variances is not None:
        log_variances = log_variances[:, :codes]
    return log_likelihood(c, tf.zeros_like(c)) - log_likelihood(c, means, log_variances)
