"""Charts drawn with Matplotlib. See `draw_chart`."""

import textwrap

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluate.report.charts import Chart
from evaluate.report.fonts import drawable

DPI = 150
BAND_OPACITY = 0.15
_SIZE = (6.0, 3.8)  # inches
_MOST_INSIDE = 6  # curves of a legend inside the axes
_MOST_IN_COLUMN = 24  # labels of a legend beside the axes
_LABEL_LENGTH = 60  # characters of a line
_LEGEND_MARGIN = 0.1  # inches above and below a legend beside the axes
_MARKER = 4.5  # size, at which markers can be told apart
_MOST_MARKERS = 15  # of a curve; more would hide its dashes
_NOTE_HEIGHT = 0.2
_NOTE_LENGTH = 110  # characters of a line


def draw_chart(chart: Chart) -> Figure:
    """A figure with a line and a band for each series, a legend and the chart's notes."""
    notes = [line for note in chart.notes for line in _wrap(note)]
    height = _SIZE[1] + (_NOTE_HEIGHT * len(notes) if len(chart.notes) > 1 else 0)
    figure = Figure(figsize=(_SIZE[0], height), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    for label, style, epochs, values, low, high in chart.series:
        axes.plot(
            epochs,
            values,
            label="\n".join(map(without_formulas, textwrap.wrap(label, _LABEL_LENGTH))),
            color=style.color,
            linestyle=style.dash,
            marker=style.marker,
            markersize=_MARKER,
            markevery=-(-len(epochs) // _MOST_MARKERS),
        )
        axes.fill_between(epochs, low, high, color=style.color, alpha=BAND_OPACITY, lw=0)
    for label, value in chart.levels:
        axes.axhline(value, color="0.5", ls="--", lw=1, label=label)
    axes.set_ylim(chart.ends)
    if chart.limit_note:
        place = {"transform": axes.transAxes, "ha": "center", "va": "top", "fontsize": 7}
        axes.text(0.5, 0.98, chart.limit_note, **place)
    if len(chart.series) + len(chart.levels) > _MOST_INSIDE:
        _add_legend_beside(figure, len(chart.series) + len(chart.levels))
    else:
        axes.legend(frameon=False, fontsize=8)
    _label(axes, chart, notes)
    return figure


def _add_legend_beside(figure: Figure, labels: int) -> None:
    """Add a legend in one or two columns; the figure grows, so that the axes keep their width."""
    columns = 1 if labels <= _MOST_IN_COLUMN else 2
    legend = figure.legend(
        frameon=False, fontsize=7, handlelength=4, loc="outside right upper", ncols=columns
    )
    box = legend.get_window_extent()
    width, height = box.width / figure.dpi, box.height / figure.dpi + 2 * _LEGEND_MARGIN
    figure.set_size_inches(_SIZE[0] + width, max(figure.get_figheight(), height))


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
    """A user's text that can be drawn, in which a dollar sign does not begin a formula."""
    return drawable(text).replace("$", r"\$")
