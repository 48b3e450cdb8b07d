"""Charts for a web page, drawn by Plotly, with a legend in HTML. See `plot_chart`."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from matplotlib.markers import MarkerStyle
from PIL import ImageColor

from evaluate.report.charts import Chart, Series
from evaluate.report.curves import BAND_OPACITY
from evaluate.report.styles import Style

PAPERS = {"light": "#ffffff", "dark": "#15191e"}  # the page's background
LAYOUT = {
    "template": "none",
    "height": 300,
    "margin": {"l": 60, "r": 10, "t": 10, "b": 40},
    "dragmode": False,  # a finger on the plot scrolls the page
    "showlegend": False,
}
SCALE_LAYOUT = LAYOUT | {
    "xaxis": {"title": {"text": "Rank of the latent element"}},
    "yaxis": {"title": {"text": "s"}, "rangemode": "tozero"},
}
_LEVEL = Style("#808080", "dashed", "")
_MOST_TICKS = 10
_MOST_MARKERS = 15  # of a curve
_MARKER = 7  # pixels
_DIGITS = 4  # of a value in the legend
_WHITENED = 0.3  # share of white in colours on a dark page
_PLAIN = {"$": "", r"\sqrt{3}": "√3", r"\sim": "~", "_{enc}": "_enc", "_i": "", "^2": "²"}
_DASHES = {"solid": "solid", "dashed": "dash", "dotted": "dot", "dashdot": "dashdot"}
_DASH_ARRAYS = {"solid": "none", "dashed": "8 4", "dotted": "2 4", "dashdot": "8 3 2 3"}
_SYMBOLS = {
    "o": "circle", "s": "square", "^": "triangle-up", "D": "diamond", "v": "triangle-down",
    "P": "cross", "X": "x", "*": "star", "<": "triangle-left", ">": "triangle-right",
}  # fmt: skip


class Key(NamedTuple):
    """An entry of a legend: how the curve looks on a light and a dark page, and its last value.

    `marker` has the corners of the marker, as SVG writes them.
    """

    label: str
    light: str
    dark: str
    dashes: str
    marker: str
    value: str


class Plot(NamedTuple):
    """A chart for the page. `figure` is a dict for `Plotly.newPlot`.

    Its traces are a band and a line for each series, then a line for each level; `keys` has an
    entry for each series and level.
    """

    name: str  # of its files
    title: str
    notes: list[str]
    keys: list[Key]
    figure: dict[str, Any]


def plot_chart(chart: Chart) -> Plot:
    """The chart with its legend."""
    figure = go.Figure(layout=_layout(chart))
    for series in chart.series:
        figure.add_traces([*_band_and_line(series)])
    for label, value in chart.levels:
        figure.add_trace(_level(label, value, chart))
    keys = [_key(s.label, s.style, format_value(s.values[-1])) for s in chart.series]
    keys += [_key(label, _LEVEL, "") for label, _ in chart.levels]
    notes = [note.replace("\n", ", ") for note in [*chart.notes, chart.limit_note] if note]
    drawn = json.loads(figure.to_json())  # to_json writes null for what is not finite
    return Plot(chart.name, plain(chart.title), notes, keys, drawn)


def plain(text: str) -> str:
    """A title or axis of the figures, in which formulas are LaTeX, without LaTeX."""
    for latex, character in _PLAIN.items():
        text = text.replace(latex, character)
    return text


def format_value(value: float) -> str:
    """A value with four digits, never as 1e+04."""
    return np.format_float_positional(value, _DIGITS, unique=False, fractional=False, trim="-")


def on_dark(color: str) -> str:
    """A lighter colour, which can be told from a dark page."""
    channels = ImageColor.getrgb(color)
    return "#" + "".join(f"{round(c + _WHITENED * (255 - c)):02x}" for c in channels)


def _layout(chart: Chart) -> dict[str, Any]:
    last = max(series.epochs[-1] for series in chart.series)
    return LAYOUT | {
        "hovermode": "x",  # the legend shows the values at the pointer
        "hoverdistance": -1,  # the nearest epoch, however far away
        "xaxis": {
            "title": {"text": "Epoch"},
            "tick0": 0,
            "dtick": -(-last // _MOST_TICKS),
            "showspikes": True,
            "spikemode": "across",
            "spikesnap": "hovered data",
            "spikethickness": 1,
        },
        "yaxis": {"title": {"text": plain(chart.axis)}, "range": list(chart.ends)},
    }


def _band_and_line(series: Series) -> Iterator[go.Scatter]:
    label, style, epochs, values, low, high = series
    values, low, high = (list(map(float, numbers)) for numbers in (values, low, high))
    pairs = zip(low, high, strict=True)
    texts = [f" ({format_value(a)} to {format_value(b)})" if a < b else "" for a, b in pairs]
    yield go.Scatter(
        x=epochs + epochs[::-1],
        y=high + low[::-1],
        fill="toself",
        fillcolor=style.color,
        opacity=BAND_OPACITY,
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
    )
    yield go.Scatter(
        name=label,
        x=epochs,
        y=values,
        text=texts,
        hoverinfo="none",
        mode="lines+markers",
        line={"color": style.color, "dash": _DASHES[style.dash]},
        marker={
            "size": _MARKER, "symbol": _SYMBOLS[style.marker], "maxdisplayed": _MOST_MARKERS
        },
    )  # fmt: skip


def _level(label: str, value: float, chart: Chart) -> go.Scatter:
    """A dashed line across all epochs."""
    epochs = [epoch for series in chart.series for epoch in series.epochs]
    return go.Scatter(
        name=label,
        x=[min(epochs), max(epochs)],
        y=[value] * 2,
        mode="lines",
        line={"color": _LEVEL.color, "dash": _DASHES[_LEVEL.dash], "width": 1},
        hoverinfo="skip",
    )


def _key(label: str, style: Style, value: str) -> Key:
    colors = style.color, on_dark(style.color)
    return Key(label, *colors, _DASH_ARRAYS[style.dash], _corners(style.marker), value)


def _corners(marker: str) -> str:
    """The corners of a marker 9 wide around 0, 0; "" for no marker."""
    if not marker:
        return ""
    shape = MarkerStyle(marker)
    (corners,) = shape.get_path().transformed(shape.get_transform()).to_polygons()
    corners = corners * 9 / np.ptp(corners, axis=0).max() * (1, -1)  # SVG counts downwards
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
