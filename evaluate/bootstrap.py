"""How sure a metric is, at the number of samples that it was computed from. See `interval`."""

import numpy as np

_Z = 1.96  # of a 95 % interval


def interval(statistic, samples, value, replicates, bounds=(-np.inf, np.inf), seed=0):
    """Bootstrap 95 % interval [low, high] around the `value` of `statistic(*samples)`.

    Each of `samples`, arrays whose first axis counts samples, is drawn from with replacement, on
    its own, `replicates` (2 or more) times; the interval is 1.96 standard deviations of the results
    on both sides, within `bounds`. Not their percentiles: a Fréchet distance of resampled features
    is too large, as repeated samples narrow the covariance. Its spread is somewhat too large as
    well, up to twice where there are fewer samples than features.
    """
    random = np.random.default_rng(seed)
    results = [
        statistic(*(x[random.integers(len(x), size=len(x))] for x in samples))
        for _ in range(replicates)
    ]
    half = _Z * np.std(results, ddof=1)
    return [float(x) for x in np.clip([value - half, value + half], *bounds)]
