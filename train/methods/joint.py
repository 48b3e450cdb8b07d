"""What BiGAN and ALI share: D tells pairs (x, E(x)) from pairs (G(z), z).

Donahue et al. 2017 (arxiv.org/abs/1605.09782), Dumoulin et al. 2017 (arxiv.org/abs/1606.00704).
With logits p of data and q of samples,

    L_D = mean softplus(-p) + mean softplus(q),    L_GE = mean softplus(p) + mean softplus(-q):

the labels are swapped for both, where the papers' minimax form would only change the sign.
"""

from collections.abc import Sequence
from typing import ClassVar

import tensorflow as tf

from models.joint import encoder_of, pairs_of
from models.latent import recovered_squares
from models.networks import ParameterGroup
from train.losses import ADVERSARIAL_LOSSES, encoder_loss
from train.passes import BOTH, Loss
from train.penalties import r1_penalty
from train.step import Trainer

Pairs = tuple[tf.Tensor, tf.Tensor]  # images (batch, height, width, 3) and latents (batch, d_z)


def joint_losses(
    data_logits: tf.Tensor, sample_logits: tf.Tensor, factor: float = 1.0
) -> tuple[tf.Tensor, tf.Tensor]:
    """L_D and L_GE, times `factor`. Input and both outputs: (batch,)."""
    f_d = ADVERSARIAL_LOSSES["non_saturating"].discriminator
    return factor * f_d(data_logits, sample_logits), factor * f_d(sample_logits, data_logits)


class JointTrainer(Trainer):
    """G, E and D in one step: one forward pass, and all gradients before any update.

    A gradient reaches E through D's latents alone, and G through D's images alone. R1, which
    neither paper has, is of pairs (x, E(x)) with respect to x, as if E(x) were a constant.
    """

    loss_factor: ClassVar[float] = 1.0

    def infer(self, x: tf.Tensor) -> tf.Tensor:
        """Latents (batch, d_z) for D, of real images x (batch, height, width, 3)."""
        return encoder_of(self.networks)(x, training=True)

    def judge(self, data: Pairs, samples: Pairs) -> tuple[tf.Tensor, tf.Tensor]:
        """D's logits (batch,) of both kinds of pairs, each in a batch of its own."""
        discriminator = pairs_of(self.networks)
        return tuple(discriminator([*pairs], training=True) for pairs in (data, samples))

    def choose_parameter_groups(self) -> list[ParameterGroup]:
        """The generator's groups, E as another one, then D."""
        *generator, _ = super().choose_parameter_groups()
        encoder = encoder_of(self.networks).trainable_variables
        discriminator = pairs_of(self.networks).trainable_variables
        return [
            *generator,
            ParameterGroup("encoder", "generator", encoder, 1.0),
            ParameterGroup("discriminator", "discriminator", discriminator, 1.0),
        ]

    def differentiate(
        self,
        x: tf.Tensor,
        z: tf.Tensor,
        weights: dict[str, float],
        factors: tf.Tensor | None = None,
        losses: Sequence[Loss] = BOTH,
    ) -> tuple[dict[str, list[tf.Tensor]], dict[str, tf.Tensor]]:
        """As `Trainer.differentiate`; "encoder_loss" is not trained, and is of E(G(z))."""
        networks, s, scale = self.networks, self.scale(), self.descent.scale
        with tf.GradientTape(persistent=True) as tape:
            fake = networks.generate(z, s, training=True)
            data, samples = (x, self.infer(x)), (fake, z)
            p, q, r1 = self._judge_with_r1(data, samples, weights["r1"])
            d_loss, ge_loss = joint_losses(p, q, self.loss_factor)
            d_loss += weights["r1"] * r1
            totals = {
                "discriminator": scale("discriminator", tf.reduce_sum(d_loss)),
                "generator": scale("generator", tf.reduce_sum(ge_loss)),
            }
        recovered = networks.encode(fake)
        values = {
            "discriminator_loss": d_loss,
            "generator_loss": ge_loss,
            "encoder_loss": encoder_loss(z, recovered, s),
            "r1_penalty": r1,
        }
        gradients = {
            loss: tape.gradient(totals[loss], [v.value for v in self.descent.variables_of(loss)])
            for loss in losses
        }
        means = {name: tf.reduce_mean(value) for name, value in values.items()}
        return gradients, means | {"recovered_squares": recovered_squares(recovered)}

    def _judge_with_r1(
        self, data: Pairs, samples: Pairs, r1_weight: float
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """`judge`, and R1 (batch,) of the data; zeros without its weight."""
        if not r1_weight:
            p, q = self.judge(data, samples)
            return p, q, tf.zeros_like(p)
        x, _ = data
        with tf.GradientTape() as tape:
            tape.watch(x)
            p, q = self.judge(data, samples)
            scaled = self.optimizer.scale_loss(p)
        return p, q, r1_penalty(tape.gradient(scaled, x) / self.optimizer.scale_loss(1.0))
