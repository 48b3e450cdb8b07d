"""Low-pass filters with any taps and any padding, as StyleGAN2 and 3 resample with. See `resample`.

The filters of `models.operations` have fixed taps and 'SAME' padding, and are faster.
"""

import numpy as np
from keras import KerasTensor, ops

from models.operations import CHANNELS_LAST, insert_zeros


def resample(
    feature_maps: KerasTensor,
    taps: np.ndarray,
    padding: tuple[int, int],
    up: int = 1,
    down: int = 1,
) -> KerasTensor:
    """Insert zeros, pad, filter every channel, and keep every `down`-th row and column.

    `up - 1` zeros follow each row and column; `padding` are the zero rows and columns before and
    after all, and negative ones are cut off. The filter is a correlation with taps (n,) along both
    axes, or (n, n), times `up^2`: what the zeros took away.

    Input: (batch, height, width, channels).
    Output: (batch, new height, new width, channels), with
    new height = 1 + (up * height + sum(padding) - n) // down.
    """
    if up > 1:
        feature_maps = insert_zeros(feature_maps, before=0, after=up - 1)
    feature_maps = _pad(feature_maps, *padding)
    if taps.ndim == 1 and down == 1:  # TensorFlow strides along both axes at once, or along none
        feature_maps = _filter(feature_maps, up * taps[:, None])
        return _filter(feature_maps, up * taps[None, :])
    kernel = np.outer(taps, taps) if taps.ndim == 1 else taps
    return _filter(feature_maps, up**2 * kernel, down)


def _pad(feature_maps: KerasTensor, before: int, after: int) -> KerasTensor:
    """Add zero rows and columns, or cut them off where the number is negative."""
    _, height, width, _ = feature_maps.shape
    rows, columns = (slice(max(-before, 0), n - max(-after, 0)) for n in (height, width))
    feature_maps = feature_maps[:, rows, columns]
    added = (max(before, 0), max(after, 0))
    return ops.pad(feature_maps, ((0, 0), added, added, (0, 0)))


def _filter(feature_maps: KerasTensor, kernel: np.ndarray, stride: int = 1) -> KerasTensor:
    """Correlate every channel with a kernel (rows, columns), without padding."""
    kernel = np.repeat(kernel[:, :, None, None], feature_maps.shape[-1], axis=2)
    kernel = ops.convert_to_tensor(kernel, dtype=feature_maps.dtype)  # (rows, columns, channels, 1)
    return ops.depthwise_conv(
        feature_maps, kernel, strides=stride, padding="valid", data_format=CHANNELS_LAST
    )
