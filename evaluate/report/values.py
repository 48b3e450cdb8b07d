"""The metrics of runs as values with texts, for all tables. See `final_values`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from evaluate.metrics.table import METRICS, format_value
from evaluate.protocols import Protocol, marks, name_protocols, protocol_of
from evaluate.report.charts import count_seeds
from train.runs.experiment import MeasuredRun


class Value(NamedTuple):
    """A metric of a run, as one protocol made it.

    `beside` stands after the text in small print, such as "±0.3"; `mark` names the protocol if
    there are several, such as " [1]".
    """

    number: float
    text: str
    beside: str = ""
    mark: str = ""

    @property
    def words(self) -> str:
        """All on one line."""
        return f"{self.text}{' ' if self.beside else ''}{self.beside}{self.mark}"


class RunValues(NamedTuple):
    """The last epoch of a run, as a text, and the values of each metric, one a protocol."""

    epoch: str
    values: dict[str, list[Value]]


def final_values(
    runs: Sequence[MeasuredRun], metrics: Iterable[str], with_intervals: bool
) -> list[RunValues]:
    """The last metrics of each run.

    With one seed and `with_intervals`, "±" is half a 95 % interval. With several seeds a value is
    their mean, and "±" one standard deviation; the epoch says so if only some have got so far, and
    the others are left out. Values of one metric that were made by several protocols have marks
    such as [1].
    """
    protocols = {metric: name_protocols(runs, metric, only_last=True) for metric in metrics}
    found = []
    for run in runs:
        rows_of_seeds = [folder.evaluated_rows()[-1] for folder in run.folders]
        epoch = max(row["epoch"] for row in rows_of_seeds)
        last = [row for row in rows_of_seeds if row["epoch"] == epoch]
        values = {
            metric: list(_values(last, metric, with_intervals, names))
            for metric, names in protocols.items()
        }
        found.append(RunValues(f"{epoch}{count_seeds(len(last), len(rows_of_seeds))}", values))
    return found


def average(numbers: Sequence[float], form: str, mark: str = "") -> Value:
    """The mean over the seeds, "±" one standard deviation; of one seed, its number."""
    if len(numbers) == 1:
        return Value(numbers[0], form.format(numbers[0]), mark=mark)
    form = "{:.1f}" if form == "{:g}" else form  # a mean of whole numbers is none
    mean, deviation = float(np.mean(numbers)), np.std(numbers, ddof=1)
    return Value(mean, form.format(mean), f"±{form.format(deviation)}", mark)


def _values(
    rows: Sequence[Mapping[str, Any]],
    metric: str,
    with_interval: bool,
    protocols: Mapping[Protocol, str],
) -> Iterable[Value]:
    """The value of each protocol; `rows` has one row a seed."""
    for protocol, mark in marks(protocols).items():
        same = [
            row
            for row in rows
            if row.get(metric) is not None and protocol_of(row, metric, protocols) == protocol
        ]
        if same:
            value = average([row[metric] for row in same], METRICS[metric].form, mark)
            interval = same[0].get("intervals", {}).get(metric)
            if len(same) == 1 and with_interval and interval:
                half = format_value(metric, (interval[1] - interval[0]) / 2)
                value = value._replace(beside=f"±{half}")
            yield value
