"""Layers of the three networks, built from the smallest operation upwards.

All kernels start as N(0, 1) and are multiplied by `gain / sqrt(fan_in)` whenever they are used
("equalized learning rate", Karras et al. 2018, section 4.1). The default gain is 2, as in the
authors' code; He's initialisation would be sqrt(2).
"""

import math
from typing import Any, Literal

import keras
from keras import KerasTensor, ops

from models.operations import (
    add_bias,
    convolve,
    convolve_down,
    convolve_up,
    fir_filter,
    insert_zeros,
    leaky_relu,
    scaled_leaky_relu,
)

Shape = tuple[int | None, ...]
_ACTIVATIONS = {
    "linear": lambda outputs: outputs,
    "leaky_relu": leaky_relu,
    "scaled_leaky_relu": scaled_leaky_relu,
}


class EqualizedLayer(keras.layers.Layer):
    """Base of the layers with weights: a scaled N(0, 1) kernel, a constant bias and an activation.

    With a `rate_multiplier` m the kernel starts as N(0, 1) / m and the bias as `initial_bias` / m;
    both are multiplied by m whenever they are used. Adam then changes them at m times its learning
    rate (Karras et al. 2019, appendix C).

    Weights are float32 under every dtype policy. The kernel is cast after it is scaled.
    """

    def __init__(
        self,
        activation: Literal["linear", "leaky_relu", "scaled_leaky_relu"] = "linear",
        use_bias: bool = True,
        gain: float = 2.0,
        rate_multiplier: float = 1.0,
        initial_bias: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if activation not in _ACTIVATIONS:
            raise ValueError(f"activation: use one of {', '.join(_ACTIVATIONS)}, not {activation}")
        self.activation = activation
        self.use_bias = use_bias
        self.gain = gain
        self.rate_multiplier = rate_multiplier
        self.initial_bias = initial_bias

    def add_weights(self, kernel_shape: Shape, fan_in: int, bias_size: int) -> None:
        self.multiplier = self.gain * self.rate_multiplier / math.sqrt(fan_in)
        self.kernel = self.add_weight(
            shape=kernel_shape,
            initializer=keras.initializers.RandomNormal(stddev=1.0 / self.rate_multiplier),
            autocast=False,
            name="kernel",
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(bias_size,),
                initializer=keras.initializers.Constant(self.initial_bias / self.rate_multiplier),
                autocast=False,
                name="bias",
            )

    def scaled_kernel(self) -> KerasTensor:
        return ops.cast(self.kernel * self.multiplier, self.compute_dtype)

    def activate(self, outputs: KerasTensor) -> KerasTensor:
        """`activation(outputs + bias)`, in the dtype of `outputs`."""
        if self.use_bias:
            bias = self.bias if self.rate_multiplier == 1.0 else self.bias * self.rate_multiplier
            outputs = add_bias(outputs, ops.cast(bias, outputs.dtype))
        return _ACTIVATIONS[self.activation](outputs)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "activation": self.activation,
            "use_bias": self.use_bias,
            "gain": self.gain,
            "rate_multiplier": self.rate_multiplier,
            "initial_bias": self.initial_bias,
        }


@keras.saving.register_keras_serializable(package="dlsgan")
class EqualizedDense(EqualizedLayer):
    """Fully connected: `activation(x @ kernel * gain / sqrt(in) + bias)`.

    Input: (batch, in). Output: (batch, units).
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape: Shape) -> None:
        fan_in = input_shape[-1]
        self.add_weights((fan_in, self.units), fan_in, bias_size=self.units)

    def call(self, inputs: KerasTensor) -> KerasTensor:
        return self.activate(ops.matmul(inputs, self.scaled_kernel()))  # (batch, units)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"units": self.units}


@keras.saving.register_keras_serializable(package="dlsgan")
class EqualizedConv2D(EqualizedLayer):
    """Convolution: `activation(conv(x, kernel * gain / sqrt(size * size * in)) + bias)`.

    With `downsample`, a low-pass filter comes first and the stride is 2.

    Input: (batch, height, width, in).
    Output: (batch, height, width, filters); with `downsample`, half the height and width.
    """

    def __init__(
        self, filters: int, kernel_size: int, downsample: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.downsample = downsample

    def build(self, input_shape: Shape) -> None:
        size, channels = self.kernel_size, input_shape[-1]
        self.add_weights((size, size, channels, self.filters), size**2 * channels, self.filters)

    def call(self, feature_maps: KerasTensor) -> KerasTensor:
        convolution = convolve_down if self.downsample else convolve
        return self.activate(convolution(feature_maps, self.scaled_kernel()))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, height, width, _ = input_shape
        stride = 2 if self.downsample else 1
        return (batch, height // stride, width // stride, self.filters)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "downsample": self.downsample,
        }


@keras.saving.register_keras_serializable(package="dlsgan")
class ModulatedConv2D(EqualizedLayer):
    """Convolution whose input channels are scaled by a style and whose outputs are standardised.

    `y = conv(x * (EqualizedDense(style) + 1), kernel * gain / sqrt(size * size * in))`, then
    `activation(y / std(y) + bias)`. The standard deviation is taken over height and width, for each
    sample and each channel. With `upsample`, the convolution is transposed with stride 2 and a
    low-pass filter follows it.

    As the authors' code does: StyleGAN2 demodulates the weights instead. Under a mixed dtype policy
    the style's dense layer and everything after the convolution is float32.

    Input: (batch, height, width, in) and style (batch, style_units).
    Output: (batch, height, width, filters); with `upsample`, twice the height and width.
    """

    def __init__(
        self, filters: int, kernel_size: int, upsample: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.upsample = upsample

    def build(self, feature_maps_shape: Shape, style_shape: Shape) -> None:
        size, channels = self.kernel_size, feature_maps_shape[-1]
        # A transposed convolution has its output channels before its input channels.
        ends = (self.filters, channels) if self.upsample else (channels, self.filters)
        self.add_weights((size, size, *ends), size**2 * channels, bias_size=self.filters)
        self.style = EqualizedDense(channels, gain=self.gain, dtype="float32", name="style")
        self.style.build(style_shape)

    def call(self, feature_maps: KerasTensor, style: KerasTensor) -> KerasTensor:
        scale = ops.cast(self.style(style) + 1.0, self.compute_dtype)  # (batch, in)
        scale = scale[:, None, None, :]  # (batch, 1, 1, in)
        convolution = convolve_up if self.upsample else convolve
        feature_maps = convolution(feature_maps * scale, self.scaled_kernel())
        feature_maps = ops.cast(feature_maps, "float32")  # (batch, height, width, filters)
        _, variance = ops.moments(feature_maps, (1, 2), keepdims=True)  # (batch, 1, 1, filters)
        feature_maps = self.activate(feature_maps * ops.rsqrt(variance))
        return ops.cast(feature_maps, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "upsample": self.upsample,
        }


@keras.saving.register_keras_serializable(package="dlsgan")
class Bias(keras.layers.Layer):
    """Add a trained value to each channel, then take the leaky ReLU with `leaky`.

    Input and output: (..., channels).
    """

    def __init__(self, leaky: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.leaky = leaky

    def build(self, input_shape: Shape) -> None:
        self.bias = self.add_weight(
            shape=(input_shape[-1],), initializer="zeros", autocast=False, name="bias"
        )

    def call(self, inputs: KerasTensor) -> KerasTensor:
        outputs = add_bias(inputs, ops.cast(self.bias, inputs.dtype))
        return leaky_relu(outputs) if self.leaky else outputs

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"leaky": self.leaky}


@keras.saving.register_keras_serializable(package="dlsgan")
class LearnedConstant(keras.layers.Layer):
    """A trainable constant that starts as N(0, 1), or as ones, repeated for each sample.

    It takes the batch size from the style and ignores the style's values.

    Input: style (batch, style_units). Output: (batch, size, size, channels).
    """

    def __init__(
        self, size: int, channels: int, start: Literal["normal", "ones"] = "normal", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.size = size
        self.channels = channels
        self.start = start

    def build(self, style_shape: Shape) -> None:
        self.constant = self.add_weight(
            shape=(1, self.size, self.size, self.channels),
            initializer="ones" if self.start == "ones" else keras.initializers.RandomNormal(0, 1),
            name="constant",
        )

    def call(self, style: KerasTensor) -> KerasTensor:
        return ops.repeat(self.constant, ops.shape(style)[0], axis=0)

    def compute_output_shape(self, style_shape: Shape) -> Shape:
        return (style_shape[0], self.size, self.size, self.channels)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "size": self.size,
            "channels": self.channels,
            "start": self.start,
        }


@keras.saving.register_keras_serializable(package="dlsgan")
class LatentScale(keras.layers.Layer):
    """Multiply each latent element by its scale s, a weight that starts at 1 and is not trained.

    Input and output: (batch, d_z).
    """

    def build(self, latents_shape: Shape) -> None:
        self.scale = self.add_weight(
            shape=(latents_shape[-1],), initializer="ones", trainable=False, name="scale"
        )

    def call(self, latents: KerasTensor) -> KerasTensor:
        return latents * self.scale


@keras.saving.register_keras_serializable(package="dlsgan")
class UpsampleImage(keras.layers.Layer):
    """Double height and width: insert a zero after each row and column, then filter with gain 4.

    Input: (batch, height, width, channels). Output: (batch, 2 * height, 2 * width, channels).
    """

    def call(self, images: KerasTensor) -> KerasTensor:
        return fir_filter(insert_zeros(images, before=0, after=1), gain=4.0)
