"""How sure a metric is, at the number of samples that it was computed from. See `interval`."""

import numpy as np

_Z = 1.96  # of a 95 % interval


def interval(statistic, samples, replicates, seed=0):
    """Bootstrap 95 % interval of `statistic(*samples)`: (low, high), around its value.

    Each of `samples`, arrays whose first axis counts samples, is drawn from with replacement, on
    its own, `replicates` times; the interval is 1.96 standard deviations of the results on both
    sides. Not their percentiles: a Fréchet distance of resampled features is too large, as repeated
    samples narrow the covariance, but its spread is right.
    """
    random = np.random.default_rng(seed)
    results = [
        statistic(*(x[random.integers(len(x), size=len(x))] for x in samples))
        for _ in range(replicates)
    ]
    value, deviation = statistic(*samples), np.std(results, ddof=1)
    return float(value - _Z * deviation), float(value + _Z * deviation)
