"""Charts for a web page, drawn by Plotly, with values to point at. See `plot_chart`."""

import json
from collections.abc import Iterator
from typing import Any

import plotly.graph_objects as go

from evaluate.report.charts import Chart, Series
from evaluate.report.curves import BAND_OPACITY

_COMMON = {
    "height": 320,
    "margin": {"l": 60, "r": 10, "t": 10, "b": 40},
    "dragmode": False,  # a finger on the plot scrolls the page
}
SCALE_LAYOUT = _COMMON | {
    "showlegend": False,
    "xaxis": {"title": {"text": "Rank of the latent element"}},
    "yaxis": {"title": {"text": "s"}, "rangemode": "tozero"},
}
_GREY = "#808080"
_MOST_TICKS = 10
_PLAIN = {"$": "", r"\sqrt{3}": "√3", r"\sim": "~", "_{enc}": "_enc", "_i": "", "^2": "²"}
_DASHES = {"solid": "solid", "dashed": "dash", "dotted": "dot", "dashdot": "dashdot"}


def plot_chart(chart: Chart) -> tuple[dict[str, Any], list[str]]:
    """(figure, notes): a dict for `Plotly.newPlot`, with a band and a line for each series."""
    figure = go.Figure(layout=_layout(chart))
    for series in chart.series:
        figure.add_traces([*_band_and_line(series)])
    for label, value in chart.levels:
        figure.add_trace(_level(label, value, chart))
    if chart.limit is not None:
        figure.update_yaxes(range=[0, chart.limit])
    notes = [note.replace("\n", ", ") for note in [*chart.notes, chart.limit_note] if note]
    return json.loads(figure.to_json()), notes  # to_json writes null for what is not finite


def plain(text: str) -> str:
    """A title or axis of the figures, in which formulas are LaTeX, without LaTeX."""
    for latex, character in _PLAIN.items():
        text = text.replace(latex, character)
    return text


def _layout(chart: Chart) -> dict[str, Any]:
    last = max(series.epochs[-1] for series in chart.series)
    return _COMMON | {
        "template": "none",
        "hovermode": "x unified",
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        "xaxis": {
            "title": {"text": "Epoch"},
            "unifiedhovertitle": {"text": "Epoch %{x}"},
            "tick0": 0,
            "dtick": -(-last // _MOST_TICKS),
        },
        "yaxis": {
            "title": {"text": plain(chart.axis)},
            "rangemode": "tozero" if chart.begins_at_zero else "normal",
        },
    }


def _band_and_line(series: Series) -> Iterator[go.Scatter]:
    label, style, epochs, values, low, high = series
    values, low, high = (list(map(float, numbers)) for numbers in (values, low, high))
    texts = [f" ({a:.4g} to {b:.4g})" if a < b else "" for a, b in zip(low, high, strict=True)]
    common = {"name": label, "legendgroup": label}
    yield go.Scatter(
        common,
        x=epochs + epochs[::-1],
        y=high + low[::-1],
        fill="toself",
        fillcolor=style.color,
        opacity=BAND_OPACITY,
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
    )
    yield go.Scatter(
        common,
        x=epochs,
        y=values,
        text=texts,
        hovertemplate="%{y:.4~g}%{text}",
        mode="lines+markers",
        line={"color": style.color, "dash": _DASHES[style.dash]},
        marker={"size": 4},
    )


def _level(label: str, value: float, chart: Chart) -> go.Scatter:
    """A dashed line across all epochs."""
    epochs = [epoch for series in chart.series for epoch in series.epochs]
    return go.Scatter(
        x=[min(epochs), max(epochs)],
        y=[value] * 2,
        name=label,
        mode="lines",
        line={"color": _GREY, "dash": "dash", "width": 1},
        hoverinfo="skip",
    )
