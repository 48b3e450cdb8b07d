"""An encoder for a generator that is trained already: the authors' "Baseline".

Their code trains a GAN without encoder loss first (`train.encoder_weight` 0, s = 1), and then an
encoder of the discriminator's form on images of that generator, which no longer changes.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from config import Config, UserError
from models.latent import recovered_squares
from models.networks import ParameterGroup
from train.averaging import averaged_name
from train.passes import BOTH, Loss
from train.runs.checkpoints import restore_newest
from train.runs.folder import RunFolder
from train.step import Trainer


class PostHocEncoder(Trainer):
    """The second stage: a new discriminator learns L_enc alone, on G(z) with a frozen generator.

    It heeds no real images, and its adversarial value stays as it began. `take_generator` gives it
    the generator; without that the generator is random.
    """

    def __init__(self, config: Config, run: str | None, seed: int = 0) -> None:
        super().__init__(config, run, seed)
        trained = {id(v) for group in self.parameter_groups for v in group.variables}
        for part in self.networks.parts().values():
            for variable in part.trainable_variables:
                variable.trainable = id(variable) in trained  # averages of the others are copies
        self.statistics = (
            "encoder_loss",
            "discriminator_gradient_norm",
            "recovered_variance",
            "loss_scale",
        )

    def take_generator(self, folder: RunFolder, step: int) -> None:
        """Take the generator of another run after `step` steps: its averages, if it has them.

        All processes of a training call this; the chief reads the files. Raises UserError if there
        is no such checkpoint.
        """
        parts = self.generator_parts()
        if self.processes.is_chief:
            has_averages = folder.read().config.train.average_decay is not None
            saved = {averaged_name(n) if has_averages else n: p for n, p in parts.items()}
            state = tf.train.Checkpoint(**saved)
            if restore_newest(state, folder, [step], is_whole=False) is None:
                raise UserError(
                    f"train.from_run: {folder.path}: its checkpoint of step {step}, from which "
                    "this run began, is gone; --fresh starts over"
                )
        self.processes.copy_from_chief([v for part in parts.values() for v in part.variables])
        self.averages.start()

    def generator_parts(self) -> dict[str, keras.Model]:
        """The Keras models of the generator, by name."""
        return {name: p for name, p in self.networks.parts().items() if name != "discriminator"}

    def choose_passes(self) -> list[tuple[Loss, ...]]:
        return [("discriminator",)]

    def choose_parameter_groups(self) -> list[ParameterGroup]:
        """E's variables: all of the discriminator's but those of its adversarial value."""
        discriminator = self.networks.discriminator
        encoder = keras.Model(discriminator.input, discriminator.outputs[1:])
        variables = encoder.trainable_variables
        return [ParameterGroup("discriminator", "discriminator", variables, 1.0)]

    def differentiate(
        self,
        x: tf.Tensor,
        z: tf.Tensor,
        weights: dict[str, float],
        factors: tf.Tensor | None = None,
        losses: Sequence[Loss] = BOTH,
    ) -> tuple[dict[str, list[tf.Tensor]], dict[str, tf.Tensor]]:
        """As `Trainer.differentiate`, of latents z (batch, d_z) alone."""
        networks, s = self.networks, self.scale()
        fake = networks.generate(z, s)
        with tf.GradientTape() as tape:
            _, recovered, *log_variances = networks.discriminate(fake, training=True)
            l_enc = self.encoder_loss(z, recovered, s, *log_variances)
            total = self.descent.scale("discriminator", tf.reduce_sum(l_enc))
        variables = [variable.value for variable in self.descent.variables_of("discriminator")]
        means = {
            "encoder_loss": tf.reduce_mean(l_enc),
            "recovered_squares": recovered_squares(recovered),
        }
        return {"discriminator": tape.gradient(total, variables)}, means
