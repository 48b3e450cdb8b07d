"""What training and evaluation ask of the networks of a GAN with an encoder. See `Networks`."""

import math
from collections.abc import Callable, Iterator, Sequence
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
    """A generator, in one part or two, and a discriminator with the encoder inside.

    The mapper makes what `synthesis` makes images of; without a mapper, `synthesis` takes the
    scaled latents themselves. A backbone whose networks differ more than that has a subclass:
    nothing outside `models/` asks for a mapper or a synthesis network.

    `training` tells layers that differ in training, such as batch normalisation. The other networks
    ignore it.
    """

    mapper: keras.Model | None
    synthesis: keras.Model
    discriminator: keras.Model

    def generate(self, latents: Any, scale: Any, training: bool = False) -> Any:
        """G(z∘s): images (batch, height, width, 3), unclipped.

        Input: unscaled latents z (batch, d_z) and their scale s (d_z,).
        """
        return self.generate_from_scaled(latents * scale, training)

    def generate_from_scaled(self, scaled_latents: Any, training: bool = False) -> Any:
        """Images (batch, height, width, 3), unclipped, from scaled latents z∘s (batch, d_z)."""
        return self.generate_from_styles(self.styles(scaled_latents, training), training)

    def styles(self, scaled_latents: Any, training: bool = False) -> Any:
        """What `synthesis` takes: the mapper's outputs, or the scaled latents (batch, d_z)."""
        return self.mapper(scaled_latents, training=training) if self.mapper else scaled_latents

    def generate_from_styles(self, styles: Any, training: bool = False) -> Any:
        """Images (batch, height, width, 3), unclipped, from what `styles` returns."""
        return self.synthesis(styles, training=training)

    def discriminate(self, images: Any, training: bool = False) -> Sequence[Any]:
        """D(x): adversarial values (batch,) and recovered latents (batch, d_z), unscaled.

        Log variances of the latents' errors (batch, d_z) follow if the discriminator has them.
        Input: images (batch, height, width, 3) in [-1, 1].
        """
        return self.discriminator(images, training=training)

    def encode(self, images: Any) -> Any:
        """E(x): recovered latents (batch, d_z), unscaled, of images (batch, height, width, 3)."""
        return self.discriminate(images)[1]

    def present(self) -> "Networks":
        """The networks as they are now: those of one stage, where networks grow."""
        return self

    def for_each_stage(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function that contains `function` once for each stage of networks that grow.

        It runs the present one. `function` may take gradients of the networks.
        """
        return function

    def parameter_groups(self, train_config: TrainConfig) -> list[ParameterGroup]:
        """All trainable variables: first the generator's groups, then the discriminator's."""
        rates = {"mapper": train_config.mapper_learning_rate_multiplier}
        return [
            ParameterGroup(
                name,
                "discriminator" if part is self.discriminator else "generator",
                part.trainable_variables,
                rates.get(name, 1.0),
            )
            for name, part in self.parts().items()
        ]

    def synchronize(self, replicas: int) -> bool:
        """Tell the layers that compute with a whole batch how many replicas share it in training.

        They have an attribute `replicas`. Returns whether layers exchange values then, which XLA
        cannot compile.
        """
        layers = [
            x for part in self.parts().values() for x in _layers(part) if hasattr(x, "replicas")
        ]
        for layer in layers:
            layer.replicas = replicas
        return replicas > 1 and bool(layers)

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
        return {name: part for name, part in self._asdict().items() if part}

    def parameter_counts(self) -> dict[str, int]:
        """The number of trained weights of each part, by name."""
        return {
            name: sum(math.prod(variable.shape) for variable in part.trainable_variables)
            for name, part in self.parts().items()
        }

    def random_states(self) -> list[keras.Variable]:
        """The states of the layers' random numbers, which Keras does not count as weights."""
        return [
            variable
            for part in self.parts().values()
            for variable in part.variables
            if not any(variable is weight for weight in part.weights)
        ]

    @property
    def latent_dim(self) -> int:
        """d_z, the number of latent elements."""
        return (self.mapper or self.synthesis).input_shape[-1]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, 3)."""
        return self.discriminator.input_shape[1:]


def shrink_heads(model: keras.Model, *names: str) -> None:
    """Make outputs begin near 0: the weights of these last layers, if they exist, times 0.01."""
    for layer in model.layers:
        if layer.name in names:
            layer.kernel.assign(layer.kernel * 0.01)


def _layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers of a model, also those of models inside."""
    for layer in model.layers:
        yield from _layers(layer) if isinstance(layer, keras.Model) else [layer]
