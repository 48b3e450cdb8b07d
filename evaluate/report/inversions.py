"""The comparison of inversion methods: its files, its table, its figure. See `write_inversions`.

Rows are those that `evaluate.inversion.methods.measure` makes: one a run, seed and method.
"""

import base64
import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from config.values import FIGURES_FOLDER
from data.storage import save_image, write_whole
from evaluate.metrics.inversion import INVERSION_METRICS
from evaluate.metrics.table import Metric
from evaluate.report.curves import DPI, without_formulas
from evaluate.report.figures import save_figure
from evaluate.report.styles import run_style
from evaluate.report.terminal import print_lines, print_table
from evaluate.report.values import average

_STEM = "inversions"
_SHEET = "inversions_sheet"
_NAMES = ("run", "label", "seed", "epoch", "method", "space", "steps", "images")
_PANEL = (3.4, 2.8)  # inches
_MOST_COLUMNS = 4
_KINDS = {"real": ("test", "solid"), "fake": ("generated", "dashed")}
Row = Mapping[str, Any]


def write_inversions(rows: Sequence[Row], sheet: np.ndarray, experiment: Path) -> list[str]:
    """Write inversions.json, .csv, .md, the figure and the sheet; returns where they are, in words.

    `sheet` is a uint8 image (height, width, 3).
    """
    folder = experiment / FIGURES_FOLDER
    texts = {"json": json.dumps(rows, indent=1, ensure_ascii=False), "md": _in_markdown(rows)}
    figure = draw_inversions(rows)
    write_whole(folder / f"{_SHEET}.png", lambda path: save_image(path, sheet))
    save_figure(figure, folder / f"{_STEM}.png")
    write_whole(folder / f"{_STEM}.csv", lambda path: _write_csv(rows, path))
    for ending, text in texts.items():
        write_whole(
            folder / f"{_STEM}.{ending}",
            lambda path, text=text: path.write_text(text, encoding="utf-8"),
        )
    return [
        f"{_STEM}.md, .csv, .json, .png and {_SHEET}.png are in {folder}",
        f"on the page and in results.md, too: python main.py figures {experiment}",
    ]


def print_inversions(rows: Sequence[Row]) -> None:
    """Print the table on the terminal."""
    header, *lines = tabulate_inversions(rows, with_intervals=False)
    print_table(header, lines)
    print_lines(describe_inversions(rows))


def inversions_in_markdown(folder: Path) -> str:
    """The table and notes of the files in a folder; an empty text without them."""
    shown = read_inversions(folder)
    return _table_in_markdown(shown["header"], shown["rows"], shown["notes"]) if shown else ""


def read_inversions(folder: Path) -> dict[str, Any] | None:
    """What a page shows of the files in a folder: a table, notes and pictures; None without them.

    Damaged files count as missing.
    """
    try:
        rows = json.loads((folder / f"{_STEM}.json").read_text(encoding="utf-8"))
        header, *lines = tabulate_inversions(rows, with_intervals=True)
        notes = [*describe_inversions(rows)]
        pictures = {
            alt: base64.b64encode((folder / f"{stem}.png").read_bytes()).decode()
            for stem, alt in (
                (_STEM, "PSNR by generator passes"),
                (_SHEET, _columns_in_words(rows)),
            )
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return {"header": header, "rows": lines, "notes": notes, "pictures": pictures}


def tabulate_inversions(rows: Sequence[Row], with_intervals: bool) -> list[list[str]]:
    """The table's header and rows: one a run and method.

    With one seed "±" is half a 95 % interval, if `with_intervals`; with several a value is their
    mean, and "±" one standard deviation.
    """
    shown = {
        name: metric
        for name, metric in INVERSION_METRICS.items()
        if any(row.get(name) is not None for row in rows)
    }
    lines = [["run", "method", *(metric.label for metric in shown.values())]]
    for (run, method), of_seeds in _by_run_and_method(rows).items():
        cells = [_cell(of_seeds, name, metric, with_intervals) for name, metric in shown.items()]
        lines.append([run, method, *cells])
    return lines


def _by_run_and_method(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row["run"], name_method(row)), []).append(row)
    return found


def name_method(row: Row) -> str:
    """The method, and its space unless that is z."""
    return row["method"] if row["space"] == "z" else f"{row['method']} {row['space']}"


def _cell(rows: Sequence[Row], name: str, metric: Metric, with_intervals: bool) -> str:
    numbers = [row[name] for row in rows if row.get(name) is not None]
    if not numbers:
        return ""
    ends = rows[0]["intervals"].get(name)
    if not ends and len(set(numbers)) == 1:  # passes: they do not vary
        numbers = numbers[:1]
    value = average(numbers, metric.form)
    if len(numbers) == 1 and with_intervals and ends:
        form = {"{:g}": "{:.1f}", "{:+.2f}": "{:.2f}"}.get(metric.form, metric.form)
        value = value._replace(beside=f"±{form.format((ends[1] - ends[0]) / 2)}")
    return value.words


def describe_inversions(rows: Sequence[Row]) -> Iterator[str]:
    """What was measured, in sentences."""
    first = rows[0]
    steps = {name_method(row): row["steps"] for row in rows if row["steps"]}
    took = ", ".join(f"{name} {count}" for name, count in steps.items())
    yield f"{first['images']} test images, and as many generated by each run; steps: {took}"
    for kind, text in (("features", "distance: of"), ("compared", "features compared by methods:")):
        names = dict.fromkeys(row[kind] for row in rows if row[kind] != "none")
        if names:
            yield f"{text} {', '.join(names)}"
    yield "R^2 of each latent element: of generated images, whose z is known"
    yield "|z|^2/d_z: of test images; the prior's mean is 1"
    yield (
        "realism: D's mean value of test images' reconstructions with the most important element "
        "moved to its other end, less that of the test images; 0: as real"
    )
    yield "passes: images that the generator makes for one; s an image: without compiling"


def _columns_in_words(rows: Sequence[Row]) -> str:
    return f"Columns: test image, {', '.join(dict.fromkeys(map(name_method, rows)))}"


def _in_markdown(rows: Sequence[Row]) -> str:
    header, *lines = tabulate_inversions(rows, with_intervals=True)
    text = _table_in_markdown(header, lines, [*describe_inversions(rows)])
    return (
        f"# Inversion methods\n\n{text}\n![PSNR by generator passes]({_STEM}.png)\n\n"
        f"{_columns_in_words(rows)}:\n\n![Reconstructions by each method]({_SHEET}.png)\n"
    )


def _table_in_markdown(
    header: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]
) -> str:
    lines = [
        [cell.replace("|", r"\|") for cell in line]
        for line in (header, ["---"] * len(header), *rows)
    ]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return f"{table}\n" + "".join(f"- {note}\n" for note in notes)


def _write_csv(rows: Sequence[Row], path: Path) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        ends = [f"{name}_{end}" for name in INVERSION_METRICS for end in ("low", "high")]
        writer.writerow([*_NAMES, *INVERSION_METRICS, *ends])
        for row in rows:
            values = [row.get(name) for name in (*_NAMES, *INVERSION_METRICS)]
            intervals = [row["intervals"].get(name) or ("", "") for name in INVERSION_METRICS]
            writer.writerow([*values, *(end for pair in intervals for end in pair)])


def draw_inversions(rows: Sequence[Row]) -> Figure:
    """PSNR against generator passes: a panel for each run, of its first seed."""
    methods = [*dict.fromkeys(map(name_method, rows))]
    panels: dict[str, list[Row]] = {}
    for row in rows:
        of_run = panels.setdefault(row["run"], [])
        if not of_run or of_run[0]["seed"] == row["seed"]:
            of_run.append(row)
    columns = min(len(panels), _MOST_COLUMNS)
    lines = -(-len(panels) // columns)
    size = (max(columns, 2) * _PANEL[0], lines * _PANEL[1] + 0.6)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False, sharey=True)
    for place in axes.flat[len(panels) :]:
        place.set_axis_off()
    for place, of_run in zip(axes.flat, panels.values(), strict=False):
        place.set_title(without_formulas(of_run[0]["label"]), fontsize=9)
        place.set(xscale="log", xlabel="Generator passes", ylabel="Mean PSNR (dB)")
        place.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        place.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        place.xaxis.set_minor_formatter(NullFormatter())
        place.grid(color="0.92")
        for row in of_run:
            style = run_style(methods.index(name_method(row)))
            for kind, (_, dash) in _KINDS.items():
                values = row["history"][kind]
                place.plot(
                    range(1, len(values) + 1),
                    values,
                    color=style.color,
                    linestyle=dash,
                    marker=style.marker,
                    markevery=[-1],
                    label=name_method(row) if kind == "real" else None,
                )
    handles = {
        label: h
        for place in axes.flat
        for h, label in zip(*place.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(),
        handles,
        loc="outside lower center",
        ncols=len(handles),
        frameon=False,
        fontsize=8,
    )
    figure.suptitle("Inversion: solid test images, dashed generated ones", fontsize=10)
    return figure
