"""How far a metric would vary with other samples. See `interval`."""

from collections.abc import Callable, Sequence

import numpy as np

_DEVIATIONS = 1.96  # on both sides of the value: a 95 % interval of a normal distribution


def interval(
    statistic: Callable[..., float],
    samples: Sequence[np.ndarray],
    value: float,
    replicates: int,
    bounds: tuple[float, float] = (-np.inf, np.inf),
    seed: int = 0,
) -> list[float]:
    """Bootstrap 95 % interval [low, high] around the `value` of `statistic(*samples)`.

    `samples` are arrays whose first axis counts samples. Each array is resampled with replacement
    `replicates` (2 or more) times, independently of the others. The interval reaches 1.96 standard
    deviations of the resampled statistics to both sides of `value`, within `bounds`.

    Percentiles would not do: repeated samples narrow the covariance, which makes a Fréchet distance
    of resampled features too large. The spread of these distances is somewhat too large as well, up
    to twice where there are fewer samples than features.
    """
    random = np.random.default_rng(seed)
    results = [
        statistic(*(x[random.integers(len(x), size=len(x))] for x in samples))
        for _ in range(replicates)
    ]
    half = _DEVIATIONS * np.std(results, ddof=1)
    return [float(x) for x in np.clip([value - half, value + half], *bounds)]
