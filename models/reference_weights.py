"""Weights in the layouts of the authors' code. See `load_arrays` and `load_h5`.

Names are `mapper.{0..}.{w,b}`, `synthesis.const`,
`synthesis.{4,8,..}.{up,conv,to_rgb}.{style.w,style.b, w,b}`, `discriminator.from_rgb.{w,b}`,
`discriminator.{size}.{skip,conv,down}.{w,b}`, `discriminator.{dense,adversarial,latent}.{w,b}`. The
authors' code is channels-first: biases are (1, channels) or (1, channels, 1, 1), the constant is
(1, channels, 4, 4), and the discriminator's first dense layer takes its input in (channel, row,
column) order.
"""

from pathlib import Path

import numpy as np

from models.discriminator import LAST_SIZE
from models.layers import EqualizedDense, LearnedConstant
from models.reference_files import GROUPS, read_h5, write_h5


def load_arrays(networks, arrays):
    """Set all weights of `networks` from a mapping of names to arrays in the authors' layouts.

    Raises ValueError for a missing name or another shape.
    """
    for name, variable, layout in _entries(networks):
        if name not in arrays:
            raise ValueError(f"{name} is missing from the weights")
        expected = layout.to_reference(variable.numpy()).shape
        if arrays[name].shape != expected:
            raise ValueError(f"{name} should have shape {expected}. Received: {arrays[name].shape}")
        variable.assign(layout.from_reference(arrays[name], variable.shape))


def to_arrays(networks):
    """All weights of `networks`: a dict of names to arrays in the authors' layouts."""
    return {
        name: layout.to_reference(variable.numpy()) for name, variable, layout in _entries(networks)
    }


def load_h5(networks, mapper, decoder, discriminator):
    """Set all weights of `networks` from the files that the authors' code saves.

    Raises ValueError for a file of another kind or architecture; nothing is set then.
    """
    shapes = {name: array.shape for name, array in to_arrays(networks).items()}
    arrays = {}
    for network, path in zip(networks, (mapper, decoder, discriminator), strict=True):
        try:
            arrays |= read_h5(path, network.name, shapes)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    load_arrays(networks, arrays)


def save_h5(networks, folder):
    """Write mapper.h5, decoder.h5 and discriminator.h5, as the authors' code saves them."""
    arrays = to_arrays(networks)
    for network in networks:
        write_h5(Path(folder) / f"{GROUPS[network.name]}.h5", network.name, arrays)


class _Same:
    """Kernels: the same in both."""

    @staticmethod
    def to_reference(array):
        return array

    @staticmethod
    def from_reference(array, shape):
        return array.reshape(shape)


class _DenseBias(_Same):
    @staticmethod
    def to_reference(array):
        return array[None, :]  # (1, units)


class _ConvBias(_Same):
    @staticmethod
    def to_reference(array):
        return array[None, :, None, None]  # (1, channels, 1, 1)


class _Constant:
    @staticmethod
    def to_reference(array):
        return array.transpose(0, 3, 1, 2)  # (1, channels, height, width)

    @staticmethod
    def from_reference(array, shape):
        return array.transpose(0, 2, 3, 1)


class _FlattenedKernel:
    """(row, column, channel) order of the input here, (channel, row, column) there."""

    @staticmethod
    def to_reference(array):
        maps = array.reshape(LAST_SIZE, LAST_SIZE, -1, array.shape[1])
        return maps.transpose(2, 0, 1, 3).reshape(array.shape)

    @staticmethod
    def from_reference(array, shape):
        maps = array.reshape(-1, LAST_SIZE, LAST_SIZE, shape[1])
        return np.ascontiguousarray(maps.transpose(1, 2, 0, 3)).reshape(shape)


def _entries(networks):
    """Yield (name, variable, layout) of every weight."""
    for network in networks:
        for layer in network.layers:
            if not layer.weights:
                continue
            if isinstance(layer, LearnedConstant):
                yield f"{network.name}.const", layer.constant, _Constant
                continue
            prefix = f"{network.name}.{_reference_name(layer.name)}"
            yield from _layer_entries(layer, prefix)
            if hasattr(layer, "style"):
                yield from _layer_entries(layer.style, f"{prefix}.style")


def _layer_entries(layer, prefix):
    is_dense = isinstance(layer, EqualizedDense)
    flattened = prefix == "discriminator.dense"
    yield f"{prefix}.w", layer.kernel, _FlattenedKernel if flattened else _Same
    if layer.use_bias:
        yield f"{prefix}.b", layer.bias, _DenseBias if is_dense else _ConvBias


def _reference_name(name):
    """dense_0 -> 0 (in the mapper), 8_to_rgb -> 8.to_rgb, from_rgb -> from_rgb."""
    first, _, rest = name.partition("_")
    if first == "dense" and rest:
        return rest
    return f"{first}.{rest}" if first.isdigit() else name
