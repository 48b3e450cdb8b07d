"""The curves of evaluate.curves for a web page, with values to point at. See `plot_curve`."""

import json

import plotly.graph_objects as go

from evaluate.curves import (
    BAND_OPACITY,
    COLORS,
    METHODS,
    axis_limit,
    compared_features,
    greatest_entropy,
    series,
)

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
_PLAIN = {"$": "", r"\sqrt{3}": "√3", "_{enc}": "_enc", "^2": "²", "\n": ", "}


def plot_curve(curve, prior, runs):
    """(figure, notes on it) of a metric per epoch; None if no run of the prior has it.

    The figure is a dict for `Plotly.newPlot`: for each method a band and a line, and for the
    entropy the greatest possible one.
    """
    of_methods = series(curve, prior, runs)
    if not of_methods:
        return None
    figure = go.Figure(layout=_layout(curve, of_methods))
    for method, values in of_methods.items():
        figure.add_traces([*_band_and_line(method, *(list(map(float, v)) for v in values))])
    notes = compared_features(prior, runs) if curve.of_features else []
    if curve.metric == "latent_entropy":
        figure.add_trace(_level(greatest_entropy(prior, runs), of_methods))
    if curve.limit:
        limit, note = axis_limit(curve, of_methods)
        figure.update_yaxes(range=[0, limit])
        notes = [*notes, note] if note else notes
    valid = json.loads(figure.to_json())  # null for what is not finite
    return valid, [plain(note) for note in notes]


def plain(text):
    """A label of the figures, in which formulas are LaTeX, without LaTeX and on one line."""
    for latex, character in _PLAIN.items():
        text = text.replace(latex, character)
    return text


def _layout(curve, of_methods):
    last = max(epochs[-1] for epochs, *_ in of_methods.values())
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
            "title": {"text": plain(curve.label)},
            "rangemode": "tozero" if curve.of_features else "normal",
        },
    }


def _band_and_line(method, epochs, values, low, high):
    texts = [f" ({a:.4g} to {b:.4g})" if a < b else "" for a, b in zip(low, high, strict=True)]
    common = {"name": METHODS[method], "legendgroup": method}
    yield go.Scatter(
        common,
        x=epochs + epochs[::-1],
        y=high + low[::-1],
        fill="toself",
        fillcolor=COLORS[method],
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
        line={"color": COLORS[method]},
        marker={"size": 4},
    )


def _level(value, of_methods):
    """A dashed line across all epochs."""
    epochs = [epoch for epochs, *_ in of_methods.values() for epoch in epochs]
    return go.Scatter(
        x=[min(epochs), max(epochs)],
        y=[value] * 2,
        name=f"greatest possible: {value:.1f}",
        mode="lines",
        line={"color": _GREY, "dash": "dash", "width": 1},
        hoverinfo="skip",
    )
