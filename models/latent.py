"""The latent random variable Z and its dynamic scale s (paper, section 3)."""

import math

import keras
from keras import ops

PRIORS = ("normal", "uniform")
UNIFORM_LIMIT = math.sqrt(3.0)  # U(-sqrt 3, sqrt 3) has variance 1
INFORMATIVE_VARIANCE = 0.5


def sample_prior(shape, prior, seed=None):
    """Draw i.i.d. latents with mean 0 and variance 1: N(0, 1) or U(-sqrt 3, sqrt 3).

    `seed` is None, an int or a `keras.random.SeedGenerator`. Raises ValueError for another prior.
    Algorithm 1, line 1; paper, section 4.1.
    """
    if prior == "normal":
        return keras.random.normal(shape, seed=seed)
    if prior == "uniform":
        return keras.random.uniform(shape, -UNIFORM_LIMIT, UNIFORM_LIMIT, seed=seed)
    raise ValueError(f"prior must be one of {PRIORS}. Received: {prior!r}")


def latent_scale(variance):
    """Scale of each latent element: `s = sqrt(d_z) * sqrt(v) / ||sqrt(v)||`. Algorithm 1, line 3.

    Input: variance (d_z,) of the recovered latents. Output: scale (d_z,); its mean square is 1.
    """
    deviation = ops.sqrt(ops.convert_to_tensor(variance))
    return math.sqrt(deviation.shape[0]) * deviation / ops.norm(deviation)


def scale_from_window(window, dynamic_scale):
    """s (d_z,) from the window (steps, d_z); ones without dynamic latent scale."""
    variance = ops.mean(window, axis=0)
    return latent_scale(variance) if dynamic_scale else ops.ones_like(variance)


def recovered_squares(recovered_latents):
    """The batch mean (d_z,) of z'^2, for recovered latents z' (batch, d_z). Algorithm 1, line 9."""
    return ops.mean(ops.square(recovered_latents), axis=0)


def append_row(window, row):
    """Drop the oldest row and append a new one (d_z,). Algorithm 1, line 9.

    Input and output: window (steps, d_z), oldest first, whose mean over rows is v.
    """
    return ops.concatenate([window[1:], row[None]], axis=0)


def differential_entropy(scale, prior):
    """Differential entropy, in nats, of z∘s for i.i.d. z; a scalar that may be negative.

    Normal: `sum log(s_i * sqrt(2 pi e))`; uniform: `sum log(s_i * 2 sqrt 3)`. Figures 5 and 6.
    """
    per_unit_scale = {
        "normal": math.sqrt(2.0 * math.pi * math.e),
        "uniform": 2.0 * UNIFORM_LIMIT,
    }
    return ops.sum(ops.log(ops.convert_to_tensor(scale) * per_unit_scale[prior]))


def informative_elements(variance):
    """Number of latent elements of which the encoder recovers most: those with variance > 0.5."""
    return ops.sum(ops.cast(ops.convert_to_tensor(variance) > INFORMATIVE_VARIANCE, "int32"))
