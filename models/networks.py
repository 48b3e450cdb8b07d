"""What training and evaluation ask of the networks of a GAN with an encoder. See `Networks`."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import keras

from config.sections import TrainConfig


class ParameterGroup(NamedTuple):
    """Variables that one loss trains at one learning rate."""

    name: str
    loss: Literal["generator", "discriminator"]
    variables: list[keras.Variable]
    rate_multiplier: float  # times `train.learning_rate`


class Networks(NamedTuple):
    """The paper's generator in two parts, and its discriminator with the encoder inside.

    Another backbone is another class with these methods: nothing outside `models/` asks for a
    mapper or a synthesis network.
    """

    mapper: keras.Model
    synthesis: keras.Model
    discriminator: keras.Model

    def generate(self, latents: Any, scale: Any) -> Any:
        """G(z∘s): images (batch, height, width, 3), unclipped.

        Input: unscaled latents z (batch, d_z) and their scale s (d_z,).
        """
        return self.generate_from_scaled(latents * scale)

    def generate_from_scaled(self, scaled_latents: Any) -> Any:
        """Images (batch, height, width, 3), unclipped, from scaled latents z∘s (batch, d_z)."""
        return self.synthesis(self.mapper(scaled_latents))

    def discriminate(self, images: Any) -> Sequence[Any]:
        """D(x): adversarial values (batch,) and recovered latents (batch, d_z), unscaled.

        Log variances of the latents' errors (batch, d_z) follow if the discriminator has them.
        Input: images (batch, height, width, 3) in [-1, 1].
        """
        return self.discriminator(images)

    def encode(self, images: Any) -> Any:
        """E(x): recovered latents (batch, d_z), unscaled, of images (batch, height, width, 3)."""
        return self.discriminate(images)[1]

    def parameter_groups(self, train_config: TrainConfig) -> list[ParameterGroup]:
        """All trainable variables: first the generator's groups, then the discriminator's."""
        mapper_rate = train_config.mapper_learning_rate_multiplier
        return [
            ParameterGroup("mapper", "generator", self.mapper.trainable_variables, mapper_rate),
            ParameterGroup("synthesis", "generator", self.synthesis.trainable_variables, 1.0),
            ParameterGroup(
                "discriminator", "discriminator", self.discriminator.trainable_variables, 1.0
            ),
        ]

    @property
    def linear_biases(self) -> list[keras.Variable] | None:
        """The biases of D if its adversarial value is piecewise linear in images and biases.

        None says that it is not, as with batch normalisation or tanh.
        """
        return [v for v in self.discriminator.trainable_variables if v.name == "bias"]

    @property
    def adversarial_variables(self) -> list[keras.Variable]:
        """The variables of D that decide its adversarial value: all but the encoder's heads."""
        layers = [x for x in self.discriminator.layers if x.name not in ("latent", "log_variance")]
        return [variable for layer in layers for variable in layer.trainable_variables]

    def parts(self) -> dict[str, keras.Model]:
        """The Keras models by name, as checkpoints hold them."""
        return self._asdict()

    @property
    def latent_dim(self) -> int:
        """d_z, the number of latent elements."""
        return self.mapper.input_shape[-1]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, 3)."""
        return self.discriminator.input_shape[1:]
