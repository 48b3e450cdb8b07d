"""Semi-discrete optimal transport, which Texto and GOTEX share.

A law of points x is moved to targets y_j with weights nu_j, at the cost |x - y_j|^2. The dual

    H(v) = E_x[min_j(|x - y_j|^2 - v_j)] + sum_j nu_j v_j

is concave in the potentials v; its maximum is the squared Wasserstein distance, and its gradient
nu_j - P(x is assigned to y_j). The map is a biased nearest neighbour: `assign`. See `dual_value`,
`stochastic_ascent` (Texto), `averaged_ascent` and `normalised_ascent` (GOTEX).

Costs are computed block by block: the matrix of all of them never exists.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow as tf

_BLOCK_COSTS = 2**22  # costs that exist at once
_DECAY = 1e-4  # lambda of PyTorch's averaged gradient descent
_FIRST_AVERAGED = 3  # the iterates from this one on are averaged


def assign(points: tf.Tensor, targets: tf.Tensor, potentials: tf.Tensor) -> tf.Tensor:
    """The index j of the target with the least |x - y_j|^2 - v_j, for each point x.

    Input: points (n, d), targets (m, d), potentials (m,), of one float type. Output: int64 (n,).
    """
    directions = -2.0 * tf.transpose(targets)  # |x|^2 is the same for all targets
    offsets = tf.reduce_sum(tf.square(targets), axis=1) - potentials

    def nearest(block: tf.Tensor) -> tf.Tensor:
        return tf.argmin(block @ directions + offsets, axis=1)

    count, width = points.shape
    rows = max(1, _BLOCK_COSTS // targets.shape[0])
    if count <= rows:
        return nearest(points)
    padded = tf.pad(points, [[0, -count % rows], [0, 0]])
    blocks = tf.reshape(padded, (-1, rows, width))
    found = tf.map_fn(nearest, blocks, parallel_iterations=1, fn_output_signature=tf.int64)
    return tf.reshape(found, [-1])[:count]


def dual_value(
    points: tf.Tensor,
    targets: tf.Tensor,
    potentials: tf.Tensor,
    weights: np.ndarray | tf.Tensor | float,
) -> tf.Tensor:
    """H(v) for points of equal weight; its gradient by the points goes through the chosen targets.

    Input as for `assign`, and weights nu (m,), or one number for all.
    """
    chosen = assign(points, targets, potentials)
    costs = tf.reduce_sum(tf.square(points - tf.gather(targets, chosen)), axis=1)
    least = tf.reduce_mean(costs - tf.gather(potentials, chosen))
    return least + tf.reduce_sum(weights * potentials)


def dual_gradient(
    points: tf.Tensor,
    targets: tf.Tensor,
    potentials: tf.Tensor,
    weights: np.ndarray | tf.Tensor | float,
) -> tf.Tensor:
    """The gradient of H by the potentials (m,), for points of equal weight. Input as above."""
    chosen = assign(points, targets, potentials)
    ones = tf.ones([points.shape[0]], potentials.dtype)
    counts = tf.math.unsorted_segment_sum(ones, chosen, targets.shape[0])
    return weights - counts / points.shape[0]


def averaged_ascent(
    points: tf.Tensor, targets: tf.Tensor, potentials: tf.Tensor, steps: int
) -> tf.Tensor:
    """Potentials (m,) after GOTEX's inner maximisation on fixed points, for equal weights.

    As PyTorch's averaged stochastic gradient descent, whose rate and average begin again with each
    call: the result is the mean of the iterates from the third on.
    """
    average = potentials
    for step, iterate in enumerate(_iterate(points, targets, potentials, steps, False), start=1):
        if step <= _FIRST_AVERAGED:
            average = iterate
        else:
            average += (iterate - average) / (step - _FIRST_AVERAGED + 1)
    return average


def normalised_ascent(
    points: tf.Tensor, targets: tf.Tensor, potentials: tf.Tensor, steps: int
) -> tf.Tensor:
    """Potentials (m,) after steps along the gradient divided by its norm, without averaging."""
    *_, last = potentials, *_iterate(points, targets, potentials, steps, True)
    return last


def _iterate(
    points: tf.Tensor, targets: tf.Tensor, potentials: tf.Tensor, steps: int, is_normalised: bool
) -> Iterator[tf.Tensor]:
    """The potentials after each step of PyTorch's gradient descent, which decays them."""
    rate = 1.0
    for step in range(1, steps + 1):
        gradient = dual_gradient(points, targets, potentials, 1.0 / targets.shape[0])
        if is_normalised:
            gradient = tf.math.divide_no_nan(gradient, tf.norm(gradient))
        potentials = potentials * (1.0 - _DECAY * rate) + rate * gradient
        rate = (1.0 + _DECAY * step) ** -0.5
        yield potentials


def stochastic_ascent(
    blocks: Iterable[np.ndarray], targets: np.ndarray, step_size: float, weights: np.ndarray
) -> np.ndarray:
    """Potentials (m,) by Texto's averaged stochastic gradient ascent, one step for each sample.

    Step k moves by step_size / sqrt(k) along the gradient at one sample x; the result is the mean
    of all iterates (Genevay et al. 2016). Input: blocks of samples (any number, d), targets (m, d),
    weights nu (m,). Computes in float64.
    """
    squares = np.sum(np.square(targets), axis=1)
    current, average = np.zeros(len(targets)), np.zeros(len(targets))
    step = 0
    for block in blocks:
        for costs in squares - 2.0 * (block @ targets.T):  # without |x|^2
            step += 1
            rate = step_size / np.sqrt(step)
            chosen = np.argmin(costs - current)
            current += rate * weights
            current[chosen] -= rate
            average += (current - average) / step
    return average
