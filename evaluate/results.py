"""The final metrics of an experiment as a table. See `print_results`, `print_comparison`."""

import csv
import math

import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from evaluate.precision_recall import NeighbourMetrics

_COLUMNS = {
    "epoch": ("epoch", "{:d}"),
    "encoder_loss": ("L_enc", "{:.3f}"),
    "latent_entropy": ("entropy", "{:.1f}"),
    "informative_elements": ("informative", "{:d}"),
    "fid": ("FID", "{:.1f}"),
    "precision": ("precision", "{:.3f}"),
    "recall": ("recall", "{:.3f}"),
    "fake_psnr": ("fake PSNR", "{:.2f}"),
    "fake_ssim": ("fake SSIM", "{:.3f}"),
    "real_psnr": ("real PSNR", "{:.2f}"),
    "real_ssim": ("real SSIM", "{:.3f}"),
}
HEADER = ["run", *(title for title, _ in _COLUMNS.values())]
_ENDS = ("low", "high")  # of a 95 % interval
_TABLE_WIDTH = 140  # of a table that no narrow terminal may cut


def final_rows(runs, with_intervals=False):
    """The last metrics of each run, as texts under `HEADER`.

    "±" is half a 95 % interval; with several seeds a row is their mean, "±" one standard deviation.
    """
    return [
        [
            name,
            *(
                _cell([f.evaluated_rows()[-1] for f in folders], key, with_intervals)
                for key in _COLUMNS
            ),
        ]
        for name, folders in runs.items()
    ]


def _cell(rows, key, with_interval):
    """The text of one metric; `rows` has one row a seed."""
    values = [row[key] for row in rows if row.get(key) is not None]
    if not values:
        return ""
    form = _COLUMNS[key][1]
    if len(values) > 1:
        form = form.replace("d}", "g}")
        return f"{form.format(np.mean(values))} ±{form.format(np.std(values, ddof=1))}"
    text = form.format(values[0])
    low_and_high = rows[0].get("intervals", {}).get(key)
    if not with_interval or low_and_high is None:
        return text
    low, high = low_and_high
    return f"{text} ±{form.format((high - low) / 2)}"


def feature_labels(runs):
    """What the FIDs, precisions and recalls of the runs were computed from."""
    last_rows = (f.evaluated_rows()[-1] for folders in runs.values() for f in folders)
    return ", ".join(sorted({row["protocol"]["features"] for row in last_rows}))


def print_results(runs):
    """Print the table on the terminal."""
    table = Table(*HEADER, box=SIMPLE)
    for row in final_rows(runs):
        table.add_row(*row)
    console = wide_console()
    console.print(table, crop=False)
    console.print(f"FID, precision, recall: {feature_labels(runs)}", highlight=False)


def wide_console():
    """A console for tables that a narrow terminal must not cut."""
    return Console(width=max(Console().width, _TABLE_WIDTH))


def results_in_markdown(runs):
    """The table with intervals, and of which features FID, precision and recall are."""
    lines = [HEADER, ["---"] * len(HEADER), *final_rows(runs, with_intervals=True)]
    text = "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
    return f"{text}\nFID, precision, recall: {feature_labels(runs)}\n"


def write_results(runs, folder):
    """Write results.md and results.csv: the table as a reader wants it, and unrounded."""
    (folder / "results.md").write_text(results_in_markdown(runs), encoding="utf-8")
    with open(folder / "results.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        ends = [f"{key}_{end}" for key in _COLUMNS for end in _ENDS]
        writer.writerow(["run", "seed", *_COLUMNS, *ends])
        for name, folders in runs.items():
            for run_folder in folders:
                row = run_folder.evaluated_rows()[-1]
                intervals = row.get("intervals", {})
                ends = [end for key in _COLUMNS for end in intervals.get(key, ("", ""))]
                seed = run_folder.path.name.removeprefix("seed_")
                writer.writerow([name, seed, *(row.get(key) for key in _COLUMNS), *ends])


def differences(recorded, measured, tolerance=1e-4):
    """The names of metrics of `measured` that `recorded` lacks or has otherwise.

    Numbers differ if they are more than `tolerance` apart, relatively; the protocol must be equal.
    """
    return [
        name
        for name, value in measured.items()
        if name != "intervals" and not _agree(recorded.get(name), value, tolerance)
    ]


def _agree(before, now, tolerance):
    if isinstance(before, int | float) and isinstance(now, int | float):
        return math.isclose(before, now, rel_tol=tolerance, abs_tol=1e-12)
    return before == now


def print_comparison(recorded, measured, per_image):
    """Print an epoch's metrics as recorded and as measured again, and say where they differ.

    `per_image` maps names to the value of each image, of which median and worst are shown.
    """
    table = Table("metric", "recorded", "measured", "95 % interval", "median", "worst", box=SIMPLE)
    for name, value in measured.items():
        if not isinstance(value, int | float):
            continue
        interval = measured["intervals"].get(name)
        of_images = None if name in NeighbourMetrics._fields else per_image.get(name)
        table.add_row(
            name,
            _number(recorded.get(name)),
            _number(value),
            " ... ".join(map(_number, interval)) if interval else "",
            _number(None if of_images is None else np.median(of_images)),
            _number(None if of_images is None else _worst(name, of_images)),
        )
    console = wide_console()
    console.print(table, crop=False)
    if recorded.keys() == {"epoch"}:
        console.print(f"epoch {recorded['epoch']}: nothing is recorded of it", highlight=False)
        return
    different = differences(recorded, measured)
    verdict = f"differ from the record: {', '.join(different)}" if different else "as recorded"
    console.print(f"epoch {recorded['epoch']}: {verdict}", highlight=False)
    before = recorded.get("protocol", {})
    for key, now in measured.get("protocol", {}).items():
        if before.get(key) != now:
            console.print(f"protocol, {key}: {before.get(key)}, now {now}", highlight=False)


def _worst(name, of_images):
    return np.max(of_images) if name.endswith("loss") else np.min(of_images)


def _number(value):
    return "" if value is None else f"{value:.5g}"
