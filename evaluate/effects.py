"""Effects that the paper's claims are about, measured on recorded rows. See `Effect`.

A measure takes a metric, the last epoch, and the rows of one run or of two with one seed. It
returns None where a number is missing, or where two numbers were made by different protocols.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import t as student_t

from evaluate.protocols import is_same_protocol, protocol_of

Rows = Mapping[int, Mapping[str, Any]]  # of a run with one seed, by epoch


class Effect(NamedTuple):
    """A number, and half its 95 % interval; None if there is no interval."""

    value: float
    half: float | None


Measure = Callable[[str, int, Sequence[Rows]], Effect | None]


def final_value(metric: str, epoch: int, runs: Sequence[Rows]) -> Effect | None:
    """The value of one run."""
    return _read(metric, runs[0][epoch])


def distance_from_one(metric: str, epoch: int, runs: Sequence[Rows]) -> Effect | None:
    """The value of one run minus 1."""
    effect = _read(metric, runs[0][epoch])
    return effect and effect._replace(value=effect.value - 1.0)


def change(metric: str, epoch: int, runs: Sequence[Rows]) -> Effect | None:
    """The value of one run minus that of its first epoch; None if that is the last one too."""
    first = min(runs[0])
    return None if first == epoch else _subtract(metric, runs[0][epoch], runs[0][first])


def difference(metric: str, epoch: int, runs: Sequence[Rows]) -> Effect | None:
    """The value of the first run minus that of the second."""
    return _subtract(metric, runs[0][epoch], runs[1][epoch])


def relative_difference(metric: str, epoch: int, runs: Sequence[Rows]) -> Effect | None:
    """The same in percent of the second run's value, which must be positive."""
    first, second = (_read(metric, run[epoch]) for run in runs)
    subtracted = difference(metric, epoch, runs)
    if subtracted is None or second.value <= 0:
        return None
    percent = 100.0 / second.value
    if subtracted.half is None:
        return Effect(percent * subtracted.value, None)
    half = math.hypot(first.half, second.half * first.value / second.value)  # of a quotient
    return Effect(percent * subtracted.value, percent * half)


def mean_difference(metric: str, epoch: int, runs: Sequence[Rows]) -> Effect | None:
    """The mean of `difference` over the epochs up to the last; its half width is their mean.

    Epochs without an interval do not count if others have one: the variance window of their rows
    still had initial values in it.
    """
    epochs = [e for e in sorted(set(runs[0]) & set(runs[1])) if e <= epoch]
    effects = [effect for e in epochs if (effect := difference(metric, e, runs))]
    effects = [effect for effect in effects if effect.half is not None] or effects
    if not effects:
        return None
    halves = [effect.half for effect in effects]
    half = None if None in halves else float(np.mean(halves))
    return Effect(float(np.mean([effect.value for effect in effects])), half)


def mean_over_seeds(effects: Sequence[Effect]) -> Effect | None:
    """The mean with Student's interval; the effect itself of one seed, None without any."""
    if len(effects) < 2:
        return effects[0] if effects else None
    values = [effect.value for effect in effects]
    error = np.std(values, ddof=1) / math.sqrt(len(values))
    return Effect(float(np.mean(values)), float(student_t.ppf(0.975, len(values) - 1) * error))


def _read(metric: str, row: Mapping[str, Any]) -> Effect | None:
    """The metric of a row; None if it is no finite number."""
    value = row.get(metric)
    if value is None or not math.isfinite(value):
        return None
    low, high = row.get("intervals", {}).get(metric) or (math.nan, math.nan)
    half = max(high - value, value - low)  # one of them may be cut at a bound of the metric
    return Effect(value, half if math.isfinite(half) else None)


def _subtract(metric: str, row: Mapping[str, Any], other: Mapping[str, Any]) -> Effect | None:
    """One row's value minus another's; half widths of independent numbers add in quadrature."""
    first, second = _read(metric, row), _read(metric, other)
    protocols = [dict(protocol_of(r, metric)) for r in (row, other)]
    if first is None or second is None or not is_same_protocol(*protocols):
        return None
    has_intervals = first.half is not None and second.half is not None
    half = math.hypot(first.half, second.half) if has_intervals else None
    return Effect(first.value - second.value, half)
