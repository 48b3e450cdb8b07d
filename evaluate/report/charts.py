"""The contents of figures with curves, for Matplotlib and Plotly. See `choose_charts`."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from config.priors import ENTROPY_FACTORS
from evaluate.metrics.table import METRICS, Metric
from evaluate.protocols import Protocol, marks, name_protocols, notes, protocol_of
from evaluate.report.styles import PAPER_STYLES, Style, choose_styles
from train.runs.experiment import MeasuredRun

_MARGIN = 0.05  # of the y axis, above and below what is shown
PRIORS = {"normal": r"$N(0, 1^2)$", "uniform": r"$U(-\sqrt{3}, \sqrt{3})$"}


class Series(NamedTuple):
    """One curve and the band around it; `low` and `high` bound the band."""

    label: str
    style: Style
    epochs: list[int]
    values: list[float]
    low: list[float]
    high: list[float]


class Chart(NamedTuple):
    """A metric per epoch for several runs. Titles and axes hold formulas in LaTeX.

    `levels` are lines across all epochs. `ends` are those of the y axis, the same in all charts of
    a metric that are drawn together.
    """

    name: str  # of its file
    title: str
    axis: str
    series: list[Series]
    levels: list[tuple[str, float]]
    ends: tuple[float, float]
    notes: list[str]

    @property
    def limit_note(self) -> str:
        """Says that the axis cuts off values, if it does."""
        highest = max(max(series.values) for series in self.series)
        return f"first epochs above {self.ends[1]:.1f} not shown" if highest > self.ends[1] else ""


def paper_charts(runs: Sequence[MeasuredRun]) -> Iterator[tuple[int | None, Chart]]:
    """(number in the paper or None, chart) for each metric with a title and each prior.

    A chart shows the four methods of one prior. Charts without a value are left out.
    """
    for metric_name, metric in METRICS.items():
        if metric.title:
            numbered = list(_charts_of_priors(runs, metric_name, metric))
            for number, chart in numbered:
                low, high = zip(*(other.ends for _, other in numbered), strict=True)
                yield number, chart._replace(ends=(min(low), max(high)))


def _charts_of_priors(
    runs: Sequence[MeasuredRun], metric_name: str, metric: Metric
) -> Iterator[tuple[int | None, Chart]]:
    for offset, (prior, prior_title) in enumerate(PRIORS.items()):
        styled = [
            (run._replace(label=label), style)
            for method, (label, style) in PAPER_STYLES.items()
            for run in runs
            if run.name == f"{prior}_{method}"
            and not (metric.needs_dynamic_scale and "_mse_" in run.name)
        ]
        number = None if metric.figure is None else metric.figure + offset
        file_name = f"{metric_name}_{prior}" if number is None else f"figure_{number:02d}"
        figure = "" if number is None else f"Figure {number}: "
        title = f"{figure}{metric.title}, $Z_i \\sim$ {prior_title}"
        chart = _chart(metric_name, file_name, title, styled)
        if chart:
            yield number, chart


def comparison_charts(runs: Sequence[MeasuredRun]) -> Iterator[Chart]:
    """A chart with all runs for each metric that one of them has."""
    styled = list(zip(runs, choose_styles(runs), strict=True))
    for metric_name, metric in METRICS.items():
        if metric.title:
            chart = _chart(metric_name, metric_name, metric.title, styled)
            if chart:
                yield chart


def choose_charts(runs: Sequence[MeasuredRun], compares: bool) -> list[tuple[int | None, Chart]]:
    """(number in the paper or None, chart): those of the paper's runs, then of all runs together.

    All runs share charts if there are others than the paper's, or if it `compares`; then the
    paper's charts are left out.
    """
    charts = []
    if not compares:
        charts = sorted(paper_charts(runs), key=lambda n: (n[0] is None, n[0], n[1].name))
    if compares or not all(run.is_paper_run for run in runs):
        charts += [(None, chart) for chart in comparison_charts(runs)]
    return charts


def _chart(
    metric_name: str, file_name: str, title: str, styled: Sequence[tuple[MeasuredRun, Style]]
) -> Chart | None:
    """The chart; None without a value."""
    metric = METRICS[metric_name]
    runs = [run for run, _ in styled]
    protocols = name_protocols(runs, metric_name)
    series = [s for run, style in styled for s in _run_series(run, style, metric_name, protocols)]
    chart_notes = notes(protocols) if metric.uses_features or len(protocols) > 1 else []
    levels = _greatest_entropies(runs) if metric_name == "latent_entropy" else []
    if not series:
        return None
    return Chart(
        file_name, title, metric.axis, series, levels, _ends(metric, series, levels), chart_notes
    )


def _ends(
    metric: Metric, series: Sequence[Series], levels: Sequence[tuple[str, float]]
) -> tuple[float, float]:
    """The ends of the y axis: around curves, bands and levels, unless the metric has a limit."""
    if metric.limit is not None:
        return 0.0, max(metric.limit, 1.1 * max(s.values[-1] for s in series))
    shown = [value for s in series for value in (*s.values, *s.low, *s.high)]
    shown += [value for _, value in levels]
    low, high = min(shown), max(shown)
    margin = _MARGIN * ((high - low) or abs(high) or 1.0)
    return 0.0 if metric.uses_features else low - margin, high + margin


def _run_series(
    run: MeasuredRun, style: Style, metric: str, protocols: dict[Protocol, str]
) -> Iterator[Series]:
    """The curve of a run; one for each protocol if its rows have several, in styles of their own.

    With one seed the band is the bootstrap 95 % interval, where there is one. With several the
    curve is their mean, and the band one standard deviation on both sides. Seeds that have not got
    as far as others are left out, and the label says how many count.
    """
    marked = marks(protocols)
    for index, protocol in enumerate(protocols):
        furthest, count = furthest_seeds(run, metric, protocol, protocols)
        if furthest:
            epochs = common_epochs(furthest)
            band = _one_seed if len(furthest) == 1 else _several_seeds
            label = f"{run.label}{marked[protocol]}{count_seeds(len(furthest), count)}"
            yield Series(label, style.for_protocol(index), epochs, *band(furthest, epochs, metric))


def furthest_seeds(
    run: MeasuredRun, metric: str, protocol: Protocol, protocols: dict[Protocol, str]
) -> tuple[list[dict[int, dict]], int]:
    """(rows with the metric by epoch of each seed that has got furthest, number of all seeds).

    Only rows of one of the `protocols` count.
    """
    seeds = []
    for folder in run.folders:
        rows = [row for row in folder.rows() if row.get(metric) is not None]
        same = {
            row["epoch"]: row for row in rows if protocol_of(row, metric, protocols) == protocol
        }
        seeds += [same] if same else []
    last = max(map(max, seeds), default=None)
    return [rows for rows in seeds if max(rows) == last], len(seeds)


def common_epochs(seeds: Sequence[dict[int, dict]]) -> list[int]:
    """The epochs that all seeds have."""
    return sorted(set.intersection(*map(set, seeds)))


def count_seeds(counted: int, seeds: int) -> str:
    """What follows the name of a mean over fewer seeds than there are; "" if all count."""
    return "" if counted == seeds else f" ({counted} of {seeds} seeds)"


def _one_seed(
    seeds: list[dict[int, dict]], epochs: list[int], metric: str
) -> tuple[list[float], list[float], list[float]]:
    """(values, low, high) over the epochs, with bootstrap intervals."""
    rows = [seeds[0][epoch] for epoch in epochs]
    values = [row[metric] for row in rows]
    intervals = [row.get("intervals", {}).get(metric) or [row[metric]] * 2 for row in rows]
    low, high = zip(*intervals, strict=True)
    return values, list(low), list(high)


def _several_seeds(
    seeds: list[dict[int, dict]], epochs: list[int], metric: str
) -> tuple[list[float], list[float], list[float]]:
    """(mean, mean - deviation, mean + deviation) over the epochs."""
    values = np.array([[rows[epoch][metric] for epoch in epochs] for rows in seeds], float)
    mean, deviation = values.mean(axis=0), values.std(axis=0, ddof=1)
    return mean.tolist(), (mean - deviation).tolist(), (mean + deviation).tolist()


def _greatest_entropies(runs: Sequence[MeasuredRun]) -> list[tuple[str, float]]:
    """(label, nats): the differential entropy of latents that no scale shrinks."""
    latents = dict.fromkeys(
        (run.config.latent.dim, run.config.latent.prior) for run in runs if run.config
    )
    values = [dim * math.log(ENTROPY_FACTORS[prior]) for dim, prior in latents]
    return [(f"greatest possible: {value:.1f}", value) for value in dict.fromkeys(values)]
