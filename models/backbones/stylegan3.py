"""StyleGAN3 (Karras et al. 2021), configurations T and R, with the encoder inside D.

See `build_networks`. The generator treats feature maps as sampled signals: it begins with Fourier
features, and each of its nonlinearities works on a signal of a higher rate, between two low-pass
filters. The discriminator is StyleGAN2's.

The authors' code also divides kernels and styles by their root mean squares. Demodulation divides
by them anyway.
"""

import math
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import KerasTensor, ops

from config.backbones.stylegan import StyleGan3Config
from models.backbones.signals import (
    CRITICAL_LAYERS,
    LAYERS,
    TAPS,
    Signal,
    low_pass_taps,
    plan_signals,
)
from models.backbones.stylegan2 import DemodulatedConv2D, build_discriminator
from models.backbones.styles import MovingAverage, StyleNetworks, build_mapper
from models.filtering import resample
from models.layers import Shape
from models.operations import convolve, scaled_leaky_relu

_IMAGE_GAIN = 0.25


@keras.saving.register_keras_serializable(package="dlsgan")
class FourierInput(keras.layers.Layer):
    """Sine waves of random frequencies, moved and rotated as the style says, then mixed.

    `sin(2 pi (f p + phase)) * amplitude @ kernel / sqrt(channels)` at each pixel's position p
    (Karras et al. 2021, section 3.2 and appendix F). `transform` (3, 3), the identity at first, is
    one of the user's own, in homogeneous coordinates; it comes before the style's.

    Input: style (batch, style_units). Output: (batch, size, size, channels).
    """

    def __init__(self, signal: Signal, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.signal = Signal(*signal)

    def build(self, style_shape: Shape) -> None:
        channels = self.signal.channels
        normal = keras.initializers.RandomNormal(stddev=1.0)
        uniform = keras.initializers.RandomUniform(-0.5, 0.5)

        def add(
            name: str, shape: Shape, initializer: Any, trainable: bool = True
        ) -> keras.Variable:
            return self.add_weight(
                shape=shape,
                initializer=initializer,
                trainable=trainable,
                autocast=False,
                name=name,
            )

        self.kernel = add("kernel", (channels, channels), normal)
        self.placement_kernel = add("placement_kernel", (style_shape[-1], 4), "zeros")
        self.placement_bias = add("placement_bias", (4,), _draw_upright)
        self.frequencies = add("frequencies", (channels, 2), self._draw_frequencies, False)
        self.phases = add("phases", (channels,), uniform, False)
        self.transform = add("transform", (3, 3), "identity", False)

    def call(self, style: KerasTensor) -> KerasTensor:
        turned, phases = self._place(style)  # (batch, channels, 2) and (batch, channels)
        size, rate, channels, cutoff, _ = self.signal
        lengths = ops.sqrt(ops.sum(ops.square(turned), axis=2))
        amplitudes = ops.clip(1.0 - (lengths - cutoff) / (rate / 2 - cutoff), 0.0, 1.0)
        positions = (np.arange(size, dtype="float32") + 0.5 - size / 2) / rate
        along_x, along_y = (turned[:, None, None, :, axis] for axis in range(2))
        angles = along_x * positions[None, None, :, None] + along_y * positions[None, :, None, None]
        waves = ops.sin(2.0 * np.pi * (angles + phases[:, None, None, :]))
        waves *= amplitudes[:, None, None, :]  # (batch, size, size, channels)
        kernel = self.kernel / math.sqrt(channels)
        return ops.cast(convolve(waves, kernel[None, None]), self.compute_dtype)

    def _place(self, style: KerasTensor) -> tuple[KerasTensor, KerasTensor]:
        """The waves' frequencies (batch, channels, 2) and phases (batch, channels)."""
        multiplier = 1.0 / math.sqrt(self.placement_kernel.shape[0])
        placement = ops.matmul(style, self.placement_kernel * multiplier) + self.placement_bias
        placement /= ops.sqrt(ops.sum(ops.square(placement[:, :2]), axis=1, keepdims=True))
        cosine, sine, x, y = ops.unstack(placement, axis=1)
        # The rotation's first two rows, behind the translation by (-x, -y).
        rows = [
            ops.stack([cosine, -sine, sine * y - cosine * x], axis=1),
            ops.stack([sine, cosine, -sine * x - cosine * y], axis=1),
        ]
        rows = ops.matmul(ops.concatenate(rows, axis=0), self.transform)  # (2 * batch, 3)
        rows = ops.stack(ops.split(rows, 2, axis=0), axis=1)  # (batch, 2, 3)
        turned = ops.einsum("cj,bjk->bck", self.frequencies, rows[:, :, :2])
        return turned, self.phases + ops.matmul(rows[:, :, 2], ops.transpose(self.frequencies))

    def _draw_frequencies(self, shape: Shape, dtype: str | None = None) -> KerasTensor:
        """Frequencies within the disc up to the cutoff."""
        normal = keras.initializers.RandomNormal(stddev=1.0)(shape, dtype)
        square = ops.sum(ops.square(normal), axis=1, keepdims=True)
        return self.signal.cutoff * normal * ops.exp(-square / 4.0) * ops.rsqrt(square)

    def compute_output_shape(self, style_shape: Shape) -> Shape:
        return (style_shape[0], self.signal.size, self.signal.size, self.signal.channels)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"signal": list(self.signal)}


def _draw_upright(shape: Shape, dtype: str | None = None) -> KerasTensor:
    """No rotation and no translation."""
    return ops.cast([1.0, 0.0, 0.0, 0.0], dtype)


@keras.saving.register_keras_serializable(package="dlsgan")
class MagnitudeNorm(MovingAverage):
    """Divide by the root of the moving average of the mean square of all inputs.

    In training the average, 1 at first, moves before it is used (Karras et al. 2021, appendix D.1).

    Input and output: (batch, height, width, channels).
    """

    def build(self, _: Shape) -> None:
        self.mean_square = self.add_average((), "ones", "mean_square")

    def call(self, feature_maps: KerasTensor, training: bool = False) -> KerasTensor:
        if training:
            squares = ops.square(ops.cast(feature_maps, "float32"))
            self.move(self.mean_square, squares, axes=(0, 1, 2, 3))
        return feature_maps * ops.cast(ops.rsqrt(self.mean_square), feature_maps.dtype)

    def compute_output_shape(self, feature_maps_shape: Shape) -> Shape:
        return feature_maps_shape


@keras.saving.register_keras_serializable(package="dlsgan")
class FilteredLeakyReLU(keras.layers.Layer):
    """Leaky ReLU times sqrt(2), of a signal that is sampled at twice the higher rate meanwhile.

    From the source signal's rate up with one low-pass filter, down to the target's with another
    (Karras et al. 2021, section 3.1); in float32 under every dtype policy.

    Input: (batch, height, width, channels). Output: (batch, target size, target size, channels).
    """

    def __init__(self, source: Signal, target: Signal, radial: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.source, self.target, self.radial = Signal(*source), Signal(*target), radial
        rate = 2 * max(self.source.rate, self.target.rate)
        self.up, self.down = int(rate / self.source.rate), int(rate / self.target.rate)
        self.up_taps = low_pass_taps(TAPS * self.up, self.source, rate)
        self.down_taps = low_pass_taps(TAPS * self.down, self.target, rate, radial)

    def padding(self, size: int) -> tuple[int, int]:
        """Pixels at the higher rate before and after inputs of this size; negative: cut off."""
        needed = (self.target.size - 1) * self.down + 1 + TAPS * (self.up + self.down) - 2
        total = needed - size * self.up
        before = (total + self.up) // 2
        return before, total - before

    def call(self, feature_maps: KerasTensor) -> KerasTensor:
        padding = self.padding(feature_maps.shape[1])
        signals = resample(ops.cast(feature_maps, "float32"), self.up_taps, padding, up=self.up)
        signals = resample(scaled_leaky_relu(signals), self.down_taps, (0, 0), down=self.down)
        return ops.cast(signals, self.compute_dtype)

    def compute_output_shape(self, feature_maps_shape: Shape) -> Shape:
        batch, _, _, channels = feature_maps_shape
        return (batch, self.target.size, self.target.size, channels)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "source": list(self.source),
            "target": list(self.target),
            "radial": self.radial,
        }


def blur(images: KerasTensor, sigma: float) -> KerasTensor:
    """What configuration R's discriminator sees at the start of training (appendix G.1).

    Taps are `2 ** -(j / sigma)^2` for |j| up to 3 sigma, with sum 1. Input and output: images
    (batch, height, width, 3).
    """
    radius = math.floor(3.0 * sigma)
    taps = np.exp2(-np.square(np.arange(-radius, radius + 1) / sigma))
    return resample(images, taps / taps.sum(), padding=(radius, radius))


def build_networks(
    latent_dim: int,
    resolution: int,
    model: StyleGan3Config,
    log_variance: bool = False,
    dtype: str = "float32",
) -> StyleNetworks:
    """Mapping network, alias-free generator, and StyleGAN2's discriminator.

    `dtype` is the Keras dtype policy of the feature maps. Images are neither squashed nor clipped.
    """
    mapper = build_mapper(latent_dim, LAYERS + 2, model)
    synthesis = build_synthesis(resolution, model, dtype)
    discriminator = build_discriminator(latent_dim, resolution, model, log_variance, dtype)
    return StyleNetworks(mapper, synthesis, discriminator)


def build_synthesis(resolution: int, model: StyleGan3Config, dtype: str = "float32") -> keras.Model:
    """From styles (batch, 16, style_units) to images (batch, resolution, resolution, 3)."""
    widening, size = model.widening, model.kernel_size
    signals = plan_signals(resolution, widening * model.channel_base, widening * model.channel_max)
    styles = keras.Input((LAYERS + 2, model.style_units), name="styles")
    norm = partial(MagnitudeNorm, model.magnitude_average_decay, dtype=dtype)
    feature_maps = FourierInput(signals[0], dtype=dtype, name="input")(styles[:, 0])
    sources = [signals[0], *signals]
    for index, (source, target) in enumerate(zip(sources[:-2], signals[:-1], strict=True)):
        feature_maps = norm(name=f"norm_{index}")(feature_maps)
        if size > 1:  # each pixel of the convolution's outputs is kept, those of the edge too
            pad = keras.layers.ZeroPadding2D(size // 2, dtype=dtype, name=f"pad_{index}")
            feature_maps = pad(feature_maps)
        convolution = DemodulatedConv2D(target.channels, size, dtype=dtype, name=f"conv_{index}")
        feature_maps = convolution(feature_maps, styles[:, index + 1])
        radial = model.radial_filters and index < LAYERS - CRITICAL_LAYERS
        activate = FilteredLeakyReLU(source, target, radial, dtype=dtype, name=f"leaky_{index}")
        feature_maps = activate(feature_maps)
    feature_maps = norm(name=f"norm_{LAYERS}")(feature_maps)
    to_rgb = DemodulatedConv2D(3, 1, demodulation=False, dtype="float32", name="to_rgb")
    images = to_rgb(feature_maps, styles[:, LAYERS + 1])
    images = keras.layers.Rescaling(_IMAGE_GAIN, dtype="float32", name="images")(images)
    return keras.Model(styles, images, name="synthesis")
