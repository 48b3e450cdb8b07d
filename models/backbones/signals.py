"""What StyleGAN3's feature maps sample, and the low-pass filters between them.

See `plan_signals` and `low_pass_taps`.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.special import j1

LAYERS = 14  # and then the one to RGB
CRITICAL_LAYERS = 2  # the last ones, whose filters are sharp
_FIRST_CUTOFF, _FIRST_STOPBAND = 2.0, 2.0**2.1
_LAST_STOPBAND = 2.0**0.3  # times the last cutoff, half the resolution
_MARGIN = 10  # pixels around the image, on each side
TAPS = 6  # of a filter, for each sample of the lower rate


class Signal(NamedTuple):
    """What feature maps sample: (batch, size, size, channels), `rate` samples a unit of length.

    An image has length 1. Filters let frequencies pass up to the cutoff, and stop them from
    `half_width` above it.
    """

    size: int
    rate: float
    channels: int
    cutoff: float
    half_width: float


def plan_signals(resolution: int, channel_base: int, channel_max: int) -> list[Signal]:
    """The outputs of all 14 layers and of the one to RGB (Karras et al. 2021, appendix C.1)."""
    signals = []
    for index in range(LAYERS + 1):
        exponent = min(index / (LAYERS - CRITICAL_LAYERS), 1.0)
        nyquist = resolution / 2
        cutoff = _FIRST_CUTOFF * (nyquist / _FIRST_CUTOFF) ** exponent
        ratio = nyquist * _LAST_STOPBAND / _FIRST_STOPBAND
        stopband = _FIRST_STOPBAND * ratio**exponent
        rate = 2.0 ** math.ceil(math.log2(min(2.0 * stopband, resolution)))
        half_width = max(stopband, rate / 2) - cutoff
        is_last = index >= LAYERS - 1
        size = resolution if is_last else int(rate) + 2 * _MARGIN
        channels = max(round(min(channel_base / 2 / cutoff, channel_max)), 1)
        channels = 3 if index == LAYERS else channels
        signals.append(Signal(size, rate, channels, cutoff, half_width))
    return signals


def low_pass_taps(count: int, signal: Signal, rate: float, radial: bool = False) -> np.ndarray:
    """A filter in front of or behind a signal, for samples at `rate`: (count,), or 2-D if `radial`.

    The ideal one times Kaiser's window, with sum 1 (Karras et al. 2021, section 3 and appendix C).
    """
    positions = (np.arange(count) - (count - 1) / 2) / rate
    window = np.kaiser(count, _kaiser_beta(count, 2.0 * signal.half_width / (rate / 2)))
    if radial:
        radius = np.hypot(positions[:, None], positions)
        ideal = j1(2.0 * np.pi * signal.cutoff * radius) / (np.pi * radius)
        taps = ideal * np.outer(window, window)
    else:
        taps = np.sinc(2.0 * signal.cutoff * positions) * window
    return taps / taps.sum()


def _kaiser_beta(count: int, width: float) -> float:
    """The shape of Kaiser's window for so many taps; `width` 1 is that of all frequencies."""
    attenuation = 2.285 * (count - 1) * np.pi * width + 7.95
    if attenuation > 50:
        return 0.1102 * (attenuation - 8.7)
    if attenuation > 21:
        return 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    return 0.0
