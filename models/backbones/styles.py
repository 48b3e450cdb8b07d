"""What the style-based GANs share: the mapping network, mixed and truncated styles, and noise.

See `build_mapper`. Styles are w, a vector (d_w,) for each layer of the synthesis network:
(batch, num_ws, d_w) in all.
"""

import math
from typing import Any, Literal

import keras
from keras import KerasTensor, ops

from config.backbones.stylegan import StyledConfig
from config.sections import TrainConfig
from models.backbones.growth import LevelOfDetail
from models.backbones.heads import KarrasNetworks
from models.layers import EqualizedDense, Shape
from models.networks import ParameterGroup
from models.normalisation import PixelNorm
from models.operations import mean_of_batch


class StyleNetworks(KarrasNetworks):
    """Networks with styles between mapper and synthesis network."""

    __slots__ = ()

    @property
    def mean_style(self) -> keras.Variable:
        """The moving mean (d_w,) of the styles of training."""
        return self.mapper.get_layer("broadcast").mean_style

    def parameter_groups(self, train_config: TrainConfig) -> list[ParameterGroup]:
        """As `Networks`, at one rate: the mapper's layers have their multiplier inside."""
        groups = super().parameter_groups(train_config)
        return [group._replace(rate_multiplier=1.0) for group in groups]


def truncate(
    styles: KerasTensor, mean_style: KerasTensor, psi: float, cutoff: int | None = None
) -> KerasTensor:
    """Pull the styles of the layers before `cutoff` (of all, if None) towards the mean style.

    `mean + psi * (w - mean)` (Karras et al. 2019, appendix B). Input and output: (batch, num_ws,
    d_w); mean style (d_w,).
    """
    truncated = mean_style + psi * (styles - mean_style)
    return truncated if cutoff is None else mix_styles(truncated, styles, cutoff)


def mix_styles(first: KerasTensor, second: KerasTensor, cutoff: int | KerasTensor) -> KerasTensor:
    """The first styles for the layers before `cutoff`, the second for the others.

    Style mixing of Karras et al. 2019, section 3.1. Inputs and output: (batch, num_ws, d_w).
    """
    is_first = ops.arange(first.shape[1]) < cutoff  # (num_ws,)
    return ops.where(is_first[None, :, None], first, second)


class MovingAverage(keras.layers.Layer):
    """Base of the layers with a moving average: `decay * average + (1 - decay) * batch's mean`.

    Each of `replicas` may hold a part of the batch. The average is float32 under every dtype
    policy, and has no gradient.
    """

    replicas = 1

    def __init__(self, decay: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.decay = decay

    def add_average(self, shape: Shape, initializer: str, name: str) -> keras.Variable:
        return self.add_weight(
            shape=shape, initializer=initializer, trainable=False, autocast=False, name=name
        )

    def move(self, average: keras.Variable, values: KerasTensor, axes: tuple[int, ...]) -> None:
        """Move an average towards the mean over some axes."""
        values = ops.cast(ops.stop_gradient(values), "float32")
        mean = mean_of_batch(values, axes, self.replicas)
        average.assign(self.decay * average + (1.0 - self.decay) * mean)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"decay": self.decay}


@keras.saving.register_keras_serializable(package="dlsgan")
class BroadcastStyles(MovingAverage):
    """Repeat a style for each layer of the synthesis network.

    In training `mean_style` (d_w,), 0 at first, moves towards the batch's mean.

    Input: (batch, d_w). Output: (batch, num_ws, d_w).
    """

    def __init__(self, num_ws: int, decay: float, **kwargs: Any) -> None:
        super().__init__(decay, **kwargs)
        self.num_ws = num_ws

    def build(self, style_shape: Shape) -> None:
        self.mean_style = self.add_average((style_shape[-1],), "zeros", "mean_style")

    def call(self, style: KerasTensor, training: bool = False) -> KerasTensor:
        if training:
            self.move(self.mean_style, style, axes=(0,))
        return ops.repeat(style[:, None, :], self.num_ws, axis=1)

    def compute_output_shape(self, style_shape: Shape) -> Shape:
        return (style_shape[0], self.num_ws, style_shape[1])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"num_ws": self.num_ws}


@keras.saving.register_keras_serializable(package="dlsgan")
class MixStyles(keras.layers.Layer):
    """In training, with a probability, mix each sample's styles with those of the sample before it.

    The cutoff is one for the batch, from 1 to n - 1; n is num_ws, without those layers that a
    level of detail leaves out. See `mix_styles`.

    Input: (batch, num_ws, d_w), and the lod of networks that grow. Output: as the first input.
    """

    def __init__(self, probability: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.probability = probability
        self.random = keras.random.SeedGenerator()

    def call(
        self, styles: KerasTensor, lod: KerasTensor | None = None, training: bool = False
    ) -> KerasTensor:
        if not training:
            return styles
        layers = styles.shape[1]
        if lod is not None:
            layers -= 2 * ops.cast(ops.floor(lod), "int32")
        cutoff = keras.random.randint((), 1, layers, seed=self.random)
        is_mixed = keras.random.uniform((), seed=self.random) < self.probability
        cutoff = ops.where(is_mixed, cutoff, layers)
        return mix_styles(styles, ops.roll(styles, 1, axis=0), cutoff)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"probability": self.probability}


@keras.saving.register_keras_serializable(package="dlsgan")
class Noise(keras.layers.Layer):
    """Add noise times a trained strength, which starts at 0: a scalar, or one for each channel.

    The noise is a constant N(0, 1) map (1, height, width, 1). With `is_random` and in training each
    sample gets a new one.

    Input and output: (batch, height, width, channels).
    """

    def __init__(self, is_random: bool = False, per_channel: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.is_random = is_random
        self.per_channel = per_channel
        self.random = keras.random.SeedGenerator() if is_random else None

    def build(self, feature_maps_shape: Shape) -> None:
        _, height, width, channels = feature_maps_shape
        self.constant = self.add_weight(
            shape=(1, height, width, 1),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
            trainable=False,
            name="constant",
        )
        self.strength = self.add_weight(
            shape=(channels,) if self.per_channel else (), initializer="zeros", name="strength"
        )

    def call(self, feature_maps: KerasTensor, training: bool = False) -> KerasTensor:
        noise = self.constant
        if self.is_random and training:
            batch, height, width, _ = ops.shape(feature_maps)
            noise = keras.random.normal(
                (batch, height, width, 1), dtype=self.compute_dtype, seed=self.random
            )
        return feature_maps + noise * self.strength

    def compute_output_shape(self, feature_maps_shape: Shape) -> Shape:
        return feature_maps_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "is_random": self.is_random,
            "per_channel": self.per_channel,
        }


def build_mapper(
    latent_dim: int,
    num_ws: int,
    model: StyledConfig,
    activation: Literal["leaky_relu", "scaled_leaky_relu"] = "scaled_leaky_relu",
    hidden_units: int | None = None,
    detail: LevelOfDetail | None = None,
) -> keras.Model:
    """The mapping network (Karras et al. 2019, figure 1b), float32 under every precision.

    StyleGAN has plain leaky ReLUs and their gain sqrt(2) in the weights, StyleGAN2 and 3 the other
    way round. `num_ws` is the number of styles that the synthesis network takes. All layers but the
    last have `hidden_units`, by default as many as styles have. `detail` is of networks that grow.

    Input: scaled latents z∘s (batch, latent_dim). Output: styles (batch, num_ws, d_w), with d_w =
    `model.style_units`.
    """
    gain = math.sqrt(2.0) if activation == "leaky_relu" else 1.0
    latents = style = keras.Input((latent_dim,), name="scaled_latents")
    if model.normalize_latents:
        style = PixelNorm(dtype="float32", name="normalize")(style)
    for index in range(model.mapping_layers):
        is_last = index == model.mapping_layers - 1
        dense = EqualizedDense(
            model.style_units if is_last else hidden_units or model.style_units,
            activation=activation,
            gain=gain,
            rate_multiplier=model.mapping_rate_multiplier,
            dtype="float32",
            name=f"dense_{index}",
        )
        style = dense(style)
    decay, probability = model.average_style_decay, model.style_mixing_probability
    styles = BroadcastStyles(num_ws, decay, dtype="float32", name="broadcast")(style)
    if probability:
        lod = detail(styles) if detail else None
        styles = MixStyles(probability, dtype="float32", name="mix")(styles, lod)
    return keras.Model(latents, styles, name="mapper")
