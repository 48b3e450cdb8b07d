"""Charts for a web page, drawn by Plotly, with values to point at. See `plot_chart`."""

import html
import json
import textwrap
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
_MOST_IN_HOVER = 12  # curves that one box beside the pointer names
_LABEL_LENGTH = 40  # characters of a line in the legend
_POINT = 4  # size of the first marker; others must be larger to be told apart
_OTHER_MARKER = 8
_LINE_HEIGHT = 30  # pixels, more than a line of a legend takes
_PLAIN = {"$": "", r"\sqrt{3}": "√3", r"\sim": "~", "_{enc}": "_enc", "_i": "", "^2": "²"}
_DASHES = {"solid": "solid", "dashed": "dash", "dotted": "dot", "dashdot": "dashdot"}
_SYMBOLS = {
    "o": "circle", "s": "square", "^": "triangle-up", "D": "diamond", "v": "triangle-down",
    "P": "cross", "X": "x", "*": "star", "<": "triangle-left", ">": "triangle-right",
}  # fmt: skip


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


def _without_markup(text: str) -> str:
    """A user's text in lines for a legend, in which Plotly finds no tags."""
    return "<br>".join(
        html.escape(line, quote=False) for line in textwrap.wrap(text, _LABEL_LENGTH)
    )


def _layout(chart: Chart) -> dict[str, Any]:
    """A layout with the legend below the axes, and room for one line per label.

    The page's script removes the room that is left over, once it knows the width of the page.
    """
    has_few = len(chart.series) <= _MOST_IN_HOVER
    labels = [_without_markup(series.label) for series in chart.series]
    labels += [label for label, _ in chart.levels]
    legend_height = _LINE_HEIGHT * sum(1 + label.count("<br>") for label in labels)
    last = max(series.epochs[-1] for series in chart.series)
    return _COMMON | {
        "template": "none",
        "height": _COMMON["height"] + legend_height,
        "hovermode": "x unified" if has_few else "closest",
        "hoverlabel": {"namelength": -1},
        "legend": {
            "orientation": "h",
            "tracegroupgap": 0,
            "xref": "container",
            "yref": "container",
            "x": 0,
            "y": 0,
            "yanchor": "bottom",
            "maxheight": legend_height,
        },
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
    common = {"name": _without_markup(label), "legendgroup": label}
    size = _POINT if style.marker == "o" else _OTHER_MARKER
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
        marker={"size": size, "symbol": _SYMBOLS[style.marker]},
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
