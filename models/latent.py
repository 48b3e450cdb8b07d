"""The latent random variable Z and its dynamic scale s (paper, section 3)."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import keras
from keras import KerasTensor, ops
from numpy.typing import ArrayLike

from config.priors import ENTROPY_FACTORS, PRIORS, UNIFORM_LIMIT
from config.sections import LatentConfig

INFORMATIVE_VARIANCE = 0.5


def sample_prior(
    shape: Sequence[int], prior: str, seed: int | keras.random.SeedGenerator | None = None
) -> KerasTensor:
    """Draw i.i.d. latents with mean 0 and variance 1: N(0, 1) or U(-sqrt 3, sqrt 3).

    Raises ValueError for another prior. Algorithm 1, line 1; paper, section 4.1.
    """
    if prior == "normal":
        return keras.random.normal(shape, seed=seed)
    if prior == "uniform":
        return keras.random.uniform(shape, -UNIFORM_LIMIT, UNIFORM_LIMIT, seed=seed)
    raise ValueError(f"prior must be one of {PRIORS}. Received: {prior!r}")


def latent_scale(variance: ArrayLike) -> KerasTensor:
    """Scale of each latent element: `s = sqrt(d_z) * sqrt(v) / ||sqrt(v)||`. Algorithm 1, line 3.

    Input: variance (d_z,) of the recovered latents. Output: scale (d_z,), whose mean square is 1.
    """
    deviation = ops.sqrt(ops.convert_to_tensor(variance))
    return math.sqrt(deviation.shape[0]) * deviation / ops.norm(deviation)


def scale_from_window(window: ArrayLike, dynamic_scale: bool) -> KerasTensor:
    """s (d_z,) from the window (steps, d_z); ones without `dynamic_scale`."""
    variance = ops.mean(window, axis=0)  # (d_z,)
    return latent_scale(variance) if dynamic_scale else ops.ones_like(variance)


def recovered_squares(recovered_latents: ArrayLike) -> KerasTensor:
    """Mean over the batch (d_z,) of z'^2, for recovered latents z' (batch, d_z).

    Algorithm 1, line 9.
    """
    return ops.mean(ops.square(recovered_latents), axis=0)


def append_row(window: KerasTensor, row: KerasTensor) -> KerasTensor:
    """Drop the window's oldest row and append a new row (d_z,). Algorithm 1, line 9.

    Input and output: window (steps, d_z), oldest row first; the mean over its rows is v.
    """
    return ops.concatenate([window[1:], row[None]], axis=0)


def move_average(window: KerasTensor, row: KerasTensor, decay: float) -> KerasTensor:
    """Move a running variance towards a new row (d_z,): `decay * v + (1 - decay) * row`.

    Input and output: a window of one row (1, d_z). The authors' later code has it in place of
    `append_row`.
    """
    return decay * window + (1.0 - decay) * row[None]


class Trace(NamedTuple):
    """How the variance v is traced: a window (rows, d_z), filled with `start`, and its update."""

    rows: int
    start: float
    update: Callable[[KerasTensor, KerasTensor], KerasTensor]


def choose_trace(latent_config: LatentConfig) -> Trace:
    """The `Trace` of a config. Both start as in the authors' code for them."""
    if latent_config.variance == "running":
        return Trace(1, 1e-4, partial(move_average, decay=latent_config.variance_decay))
    return Trace(latent_config.variance_window, 1.0, append_row)


def differential_entropy(scale: ArrayLike, prior: str) -> KerasTensor:
    """Differential entropy of z∘s in nats, for i.i.d. z: a scalar, which may be negative.

    Input: scale (d_z,). Normal prior: `sum log(s_i * sqrt(2 pi e))`. Uniform prior:
    `sum log(s_i * 2 sqrt 3)`. Figures 5 and 6.
    """
    return ops.sum(ops.log(ops.convert_to_tensor(scale) * ENTROPY_FACTORS[prior]))


def informative_elements(variance: ArrayLike) -> KerasTensor:
    """Number of latent elements that the encoder mostly recovers: those with a variance above 0.5.

    Input: variance (d_z,) of the recovered latents. Output: an integer scalar.
    """
    return ops.sum(ops.cast(ops.convert_to_tensor(variance) > INFORMATIVE_VARIANCE, "int32"))
