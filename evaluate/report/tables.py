"""The page's tables of metrics: final, best and others, with what they cost. See `page_tables`."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from evaluate.metrics.table import METRICS, TABLE, Metric, format_value
from evaluate.protocols import marks, name_protocols
from evaluate.report.charts import common_epochs, furthest_seeds
from evaluate.report.results import protocol_lines, stage_lines
from evaluate.report.values import RunValues, Value, average, final_values
from train.runs.experiment import MeasuredRun

_OTHERS = {name: metric for name, metric in METRICS.items() if not metric.in_table}
_DIRECTED = {name: metric for name, metric in METRICS.items() if metric.better}


class Cost(NamedTuple):
    """What a training took: the column's title, a format, and a function of the seed's rows."""

    label: str
    form: str
    measure: Callable[[Sequence[Mapping[str, Any]]], float | None]


def _total(key: str) -> Callable[[Sequence[Mapping[str, Any]]], float | None]:
    return lambda rows: sum(row[key] for row in rows if row.get(key) is not None) or None


def _images_per_second(rows: Sequence[Mapping[str, Any]]) -> float | None:
    seconds = _total("seconds_train")(rows)
    return (seconds and (rows[-1].get("images_seen") or 0) / seconds) or None


_COSTS = {
    "seconds_train": Cost("s training", "{:.0f}", _total("seconds_train")),
    "seconds_evaluate": Cost("s evaluation", "{:.0f}", _total("seconds_evaluate")),
    "images_per_second": Cost("images/s", "{:.0f}", _images_per_second),
}


class Column(NamedTuple):
    """The title of a column, and which values are better, if that is known."""

    label: str
    better: str | None


class Row(NamedTuple):
    """A run: its name, its label if that is another one, a text for the epoch, its cells.

    Each cell has the values of one metric, each with whether it is the best of its column.
    """

    name: str
    label: str
    epoch: str
    cells: list[list[tuple[Value, bool]]]


class Table(NamedTuple):
    """A table of metrics and sentences about them."""

    title: str
    columns: list[Column]
    rows: list[Row]
    notes: list[str]


def page_tables(runs: Sequence[MeasuredRun]) -> list[Table]:
    """The tables of final metrics, of best values, and of other metrics and costs."""
    notes = [*protocol_lines(runs), *stage_lines(runs)]
    others = final_values(runs, _OTHERS, with_intervals=True)
    return [
        _table("Final metrics", runs, TABLE, final_values(runs, TABLE, True), notes),
        _table(
            "Best epochs", runs, _DIRECTED, [_best_values(runs, run) for run in runs],
            ["Below each value its epoch"],
        ),
        _table(
            "Other metrics, and the cost", runs, _OTHERS | _COSTS,
            [
                values._replace(values=values.values | _costs(run))
                for run, values in zip(runs, others, strict=True)
            ],
            [*protocol_lines(runs, _OTHERS), "Seconds are those of all epochs of a training"],
        ),
    ]  # fmt: skip


def _table(
    title: str,
    runs: Sequence[MeasuredRun],
    metrics: Mapping[str, Metric | Cost],
    values_of_runs: Sequence[RunValues],
    notes: list[str],
) -> Table:
    """The table without columns that are empty."""
    shown = [name for name in metrics if any(of_run.values[name] for of_run in values_of_runs)]
    columns = [
        Column(metrics[name].label, getattr(metrics[name], "better", None)) for name in shown
    ]
    best = {
        name: _best([of_run.values[name] for of_run in values_of_runs], column.better)
        for name, column in zip(shown, columns, strict=True)
    }
    rows = [
        Row(
            run.name,
            "" if run.is_paper_run or run.label == run.name else run.label,
            of_run.epoch,
            [[(value, value in best[name]) for value in of_run.values[name]] for name in shown],
        )
        for run, of_run in zip(runs, values_of_runs, strict=True)
    ]
    return Table(title, columns, rows, notes)


def _best(cells: Iterable[Sequence[Value]], better: str | None) -> list[Value]:
    """The best values of a column: for each protocol with several values one or more."""
    if better is None:
        return []
    by_mark: dict[str, list[Value]] = {}
    for value in (value for cell in cells for value in cell):
        by_mark.setdefault(value.mark, []).append(value)
    choose = _chooser(better)
    found = []
    for values in by_mark.values():
        best = choose(value.number for value in values)
        if len(values) > 1:
            found += [value for value in values if value.number == best]
    return found


def _chooser(better: str) -> Callable[..., Any]:
    """What chooses the best of several values."""
    return min if better == "lower" else max


def _best_values(runs: Sequence[MeasuredRun], run: MeasuredRun) -> RunValues:
    """The best values of a run, of the mean over its seeds, and their epochs."""
    last = max(folder.evaluated_rows()[-1]["epoch"] for folder in run.folders)
    found = {name: list(_best_by_protocol(runs, run, name)) for name in _DIRECTED}
    return RunValues(str(last), found)


def _best_by_protocol(runs: Sequence[MeasuredRun], run: MeasuredRun, name: str) -> Iterator[Value]:
    protocols = name_protocols(runs, name)
    choose = _chooser(METRICS[name].better)
    for protocol, mark in marks(protocols).items():
        seeds, _ = furthest_seeds(run, name, protocol, protocols)
        if seeds:
            means = {e: fmean(rows[e][name] for rows in seeds) for e in common_epochs(seeds)}
            epoch = choose(means, key=means.__getitem__)
            yield Value(means[epoch], format_value(name, means[epoch]), f"epoch {epoch}", mark)


def _costs(run: MeasuredRun) -> dict[str, list[Value]]:
    costs = {}
    for name, cost in _COSTS.items():
        of_seeds = [cost.measure(folder.rows()) for folder in run.folders]
        known = [number for number in of_seeds if number is not None]
        costs[name] = [average(known, cost.form)] if known else []
    return costs
