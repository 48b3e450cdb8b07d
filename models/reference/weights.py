"""Weights in the layouts of the authors' code. See `load_arrays` and `load_h5`.

Names are `mapper.{0..}.{w,b}`, `synthesis.const`,
`synthesis.{4,8,..}.{up,conv,to_rgb}.{style.w,style.b,w,b}`, `discriminator.from_rgb.{w,b}`,
`discriminator.{size}.{skip,conv,down}.{w,b}`, `discriminator.{dense,adversarial,latent}.{w,b}`. The
authors' code is channels-first: biases are (1, channels) or (1, channels, 1, 1), the constant is
(1, channels, 4, 4), and the discriminator's first dense layer takes its input in (channel, row,
column) order.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import keras
import numpy as np

from models.discriminator import LAST_SIZE
from models.layers import EqualizedDense, EqualizedLayer, LearnedConstant
from models.networks import Networks
from models.reference.files import GROUPS, read_h5, write_h5


def load_arrays(networks: Networks, arrays: Mapping[str, np.ndarray]) -> None:
    """Set all weights of `networks` from arrays in the authors' layouts, by name.

    Raises ValueError for a name that is missing and for an array of another shape.
    """
    for name, variable, layout in _entries(networks):
        if name not in arrays:
            raise ValueError(f"{name} is missing from the weights")
        expected = layout.to_reference(variable.numpy()).shape
        if arrays[name].shape != expected:
            raise ValueError(f"{name} should have shape {expected}. Received: {arrays[name].shape}")
        variable.assign(layout.from_reference(arrays[name], variable.shape))


def to_arrays(networks: Networks) -> dict[str, np.ndarray]:
    """All weights of `networks` as arrays in the authors' layouts, by name."""
    return {
        name: layout.to_reference(variable.numpy()) for name, variable, layout in _entries(networks)
    }


def load_h5(
    networks: Networks, mapper: str | Path, decoder: str | Path, discriminator: str | Path
) -> None:
    """Set all weights of `networks` from the three files that the authors' code saves.

    Raises ValueError for a file of another kind or architecture; then no weight is changed.
    """
    shapes = {name: array.shape for name, array in to_arrays(networks).items()}
    arrays = {}
    for network, path in zip(networks, (mapper, decoder, discriminator), strict=True):
        try:
            arrays |= read_h5(path, network.name, shapes)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    load_arrays(networks, arrays)


def save_h5(networks: Networks, folder: str | Path) -> None:
    """Write mapper.h5, decoder.h5 and discriminator.h5, as the authors' code saves them."""
    arrays = to_arrays(networks)
    for network in networks:
        write_h5(Path(folder) / f"{GROUPS[network.name]}.h5", network.name, arrays)


class _Layout(Protocol):
    """How an array of one of our weights becomes the authors' array, and the way back."""

    @staticmethod
    def to_reference(array: np.ndarray) -> np.ndarray: ...

    @staticmethod
    def from_reference(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Return our array, which has this `shape`."""


class _Same:
    """Most kernels: the authors' array is ours."""

    @staticmethod
    def to_reference(array: np.ndarray) -> np.ndarray:
        return array

    @staticmethod
    def from_reference(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        return array.reshape(shape)


class _DenseBias(_Same):
    """Bias of a dense layer: (units,) here, (1, units) in the authors' code."""

    @staticmethod
    def to_reference(array: np.ndarray) -> np.ndarray:
        return array[None, :]  # (1, units)


class _ConvolutionBias(_Same):
    """Bias of a convolution: (channels,) here, (1, channels, 1, 1) in the authors' code."""

    @staticmethod
    def to_reference(array: np.ndarray) -> np.ndarray:
        return array[None, :, None, None]  # (1, channels, 1, 1)


class _Constant:
    """The synthesis' constant: channels last here, channels first in the authors' code."""

    @staticmethod
    def to_reference(array: np.ndarray) -> np.ndarray:
        return array.transpose(0, 3, 1, 2)  # (1, channels, height, width)

    @staticmethod
    def from_reference(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        return array.transpose(0, 2, 3, 1)  # (1, height, width, channels)


class _FlattenedKernel:
    """Kernel after the discriminator's flattening, whose rows are in another order.

    They are in (row, column, channel) order here, in (channel, row, column) order in the authors'
    code.
    """

    @staticmethod
    def to_reference(array: np.ndarray) -> np.ndarray:
        units = array.shape[1]
        kernel = array.reshape(LAST_SIZE, LAST_SIZE, -1, units)  # (row, column, channel, units)
        return kernel.transpose(2, 0, 1, 3).reshape(array.shape)

    @staticmethod
    def from_reference(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        units = shape[1]
        kernel = array.reshape(-1, LAST_SIZE, LAST_SIZE, units)  # (channel, row, column, units)
        return np.ascontiguousarray(kernel.transpose(1, 2, 0, 3)).reshape(shape)


def _entries(networks: Networks) -> Iterator[tuple[str, keras.Variable, type[_Layout]]]:
    """Yield (name, variable, layout) of every weight."""
    for network in networks:
        for layer in network.layers:
            if not layer.weights:
                continue
            if isinstance(layer, LearnedConstant):
                yield f"{network.name}.const", layer.constant, _Constant
                continue
            prefix = f"{network.name}.{_dotted_name(layer.name)}"
            yield from _layer_entries(layer, prefix)
            if hasattr(layer, "style"):
                yield from _layer_entries(layer.style, f"{prefix}.style")


def _layer_entries(
    layer: EqualizedLayer, prefix: str
) -> Iterator[tuple[str, keras.Variable, type[_Layout]]]:
    is_dense = isinstance(layer, EqualizedDense)
    is_flattened = prefix == "discriminator.dense"
    yield f"{prefix}.w", layer.kernel, _FlattenedKernel if is_flattened else _Same
    if layer.use_bias:
        yield f"{prefix}.b", layer.bias, _DenseBias if is_dense else _ConvolutionBias


def _dotted_name(name: str) -> str:
    """Name a Keras layer as above: dense_0 -> 0 (mapper), 8_to_rgb -> 8.to_rgb, dense -> dense."""
    first, _, rest = name.partition("_")
    if first == "dense" and rest:
        return rest
    return f"{first}.{rest}" if first.isdigit() else name
