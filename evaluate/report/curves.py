"""Charts drawn with Matplotlib. See `draw_chart`."""

import textwrap

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluate.report.charts import Chart

DPI = 150
BAND_OPACITY = 0.15
_SIZE = (6.0, 3.8)  # inches
_MOST_INSIDE = 6  # curves of a legend inside the axes
_LEGEND_WIDTH = 2.6  # inches, beside the axes
_NOTE_HEIGHT = 0.2
_NOTE_LENGTH = 110  # characters of a line


def draw_chart(chart: Chart) -> Figure:
    """A figure with a line and a band for each series, a legend and the chart's notes."""
    notes = [line for note in chart.notes for line in _wrap(note)]
    has_legend_outside = len(chart.series) + len(chart.levels) > _MOST_INSIDE
    width = _SIZE[0] + (_LEGEND_WIDTH if has_legend_outside else 0)
    height = _SIZE[1] + (_NOTE_HEIGHT * len(notes) if len(chart.notes) > 1 else 0)
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    for label, style, epochs, values, low, high in chart.series:
        axes.plot(
            epochs,
            values,
            label=without_formulas(label),
            color=style.color,
            linestyle=style.dash,
            marker="o",
            markersize=2.5,
        )
        axes.fill_between(epochs, low, high, color=style.color, alpha=BAND_OPACITY, lw=0)
    for label, value in chart.levels:
        axes.axhline(value, color="0.5", ls="--", lw=1, label=label)
    if chart.begins_at_zero:
        axes.set_ylim(bottom=0)
    if chart.limit is not None:
        axes.set_ylim(0, chart.limit)
        place = {"transform": axes.transAxes, "ha": "center", "va": "top", "fontsize": 7}
        axes.text(0.5, 0.98, chart.limit_note, **place)
    if has_legend_outside:
        figure.legend(frameon=False, fontsize=7, handlelength=4, loc="outside right upper")
    else:
        axes.legend(frameon=False, fontsize=8)
    _label(axes, chart, notes)
    return figure


def _label(axes: Axes, chart: Chart, notes: list[str]) -> None:
    """One note stands beside the vertical axis, several below the figure."""
    axes.set_title(chart.title, fontsize=9)
    axes.set_xlabel("Epoch")
    axes.set_ylabel(chart.axis)
    if len(chart.notes) == 1:
        axes.set_ylabel(f"{chart.axis}, {without_formulas(chart.notes[0])}")
    elif notes:
        axes.set_xlabel("\n".join(["Epoch", *notes]), fontsize=8)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(color="0.92")
    axes.spines[["top", "right"]].set_visible(False)


def _wrap(note: str) -> list[str]:
    return textwrap.wrap(without_formulas(note.replace("\n", ", ")), _NOTE_LENGTH)


def without_formulas(text: str) -> str:
    """A user's text, in which a dollar sign does not begin a formula."""
    return text.replace("$", r"\$")
