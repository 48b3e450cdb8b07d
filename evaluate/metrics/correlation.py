"""Whether two quantities rise together. See `rank_correlation`."""

import math

import numpy as np
from scipy.stats import rankdata


def rank_correlation(values: np.ndarray, others: np.ndarray) -> float:
    """Spearman's rank correlation of two vectors (n,): 1 if both have one order, -1 if opposite.

    NaN if one of them is constant, which has no order, or holds NaN.
    """
    ranks = rankdata([values, others], axis=1)
    if np.any(np.ptp(ranks, axis=1) == 0):
        return math.nan
    return float(np.corrcoef(ranks)[0, 1])
