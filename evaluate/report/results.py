"""The final metrics of runs as a table. See `print_results` and `write_results`."""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data.storage import write_whole
from evaluate.claims import Result
from evaluate.metrics.precision_recall import NeighbourMetrics
from evaluate.metrics.table import IMPORTANCE, METRICS, TABLE, Metric
from evaluate.protocols import is_same_protocol, name_protocols, notes
from evaluate.report.claims_table import claims_in_markdown
from evaluate.report.inversions import inversions_in_markdown
from evaluate.report.terminal import print_lines, print_table
from evaluate.report.values import final_values
from train.runs.experiment import MeasuredRun

_INTERVAL_ENDS = ("low", "high")


def header(runs: Sequence[MeasuredRun]) -> list[str]:
    """The titles of the table's columns; runs with labels of their own have a column for them."""
    names = ["run", "label"] if _have_labels(runs) else ["run"]
    return [*names, "epoch", *(metric.label for metric in TABLE.values())]


def final_rows(runs: Sequence[MeasuredRun], with_intervals: bool = False) -> list[list[str]]:
    """The last metrics of each run, as texts under `header`; see `final_values`."""
    rows = []
    for run, (epoch, values) in zip(runs, final_values(runs, TABLE, with_intervals), strict=True):
        names = [run.name, run.label] if _have_labels(runs) else [run.name]
        cells = ["; ".join(value.words for value in each) for each in values.values()]
        rows.append([*names, epoch, *cells])
    return rows


def _have_labels(runs: Sequence[MeasuredRun]) -> bool:
    return not all(run.is_paper_run for run in runs)


def protocol_lines(runs: Sequence[MeasuredRun], metrics: Mapping[str, Metric] = TABLE) -> list[str]:
    """What the metrics were computed from: a line for each set of metrics with equal protocols."""
    lines: dict[str, list[str]] = {}
    for name, metric in metrics.items():
        names = name_protocols(runs, name, only_last=True)
        if metric.uses_features or len(names) > 1:
            text = "; ".join(notes(names)).replace("\n", ", ")
            lines.setdefault(text or "none", []).append(metric.label)
    return [f"{', '.join(labels)}: {text}" for text, labels in lines.items()]


def stage_lines(runs: Sequence[MeasuredRun]) -> list[str]:
    """How many images each stage of a run of two stages saw: a line for each of these runs."""
    lines = []
    for run in runs:
        if run.config and run.config.train.from_run:
            first = run.folders[0].recorded()["first_run"]
            images = run.folders[0].evaluated_rows()[-1]["images_seen"]
            lines.append(
                f"{run.name}: a generator that saw {first['images_seen']:,} images "
                f"({first['path']}), then an encoder trained on {images:,} of its images"
            )
    return lines


def print_results(runs: Sequence[MeasuredRun]) -> None:
    """Print the table on the terminal."""
    print_table(header(runs), final_rows(runs))
    print_lines([*protocol_lines(runs), *stage_lines(runs)])


def results_in_markdown(runs: Sequence[MeasuredRun]) -> str:
    """The table with intervals, and what the metrics were computed from."""
    titles = header(runs)
    lines = [titles, ["---"] * len(titles), *final_rows(runs, with_intervals=True)]
    text = "".join(f"| {' | '.join(cell.replace('|', ' ') for cell in row)} |\n" for row in lines)
    return "\n".join([text, *protocol_lines(runs), *stage_lines(runs), ""])


def write_results(runs: Sequence[MeasuredRun], folder: Path, claims: Sequence[Result] = ()) -> None:
    """Write results.md (rounded, a row a run; claims; inversions in `folder`) and results.csv.

    The latter is unrounded, with a row a seed.
    """
    parts = [
        results_in_markdown(runs),
        claims_in_markdown(claims),
        inversions_in_markdown(folder),
    ]
    tables = "\n".join(filter(None, parts))
    write_whole(folder / "results.md", lambda path: path.write_text(tables, encoding="utf-8"))
    write_whole(folder / "results.csv", lambda path: _write_csv(runs, path))


def _write_csv(runs: Sequence[MeasuredRun], path: Path) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        ends = [f"{metric}_{end}" for metric in TABLE for end in _INTERVAL_ENDS]
        writer.writerow(["run", "label", "seed", "epoch", *TABLE, *ends, "features"])
        writer.writerows(_csv_rows(runs))


def _csv_rows(runs: Sequence[MeasuredRun]) -> Iterator[list[Any]]:
    for run in runs:
        for folder in run.folders:
            row = folder.evaluated_rows()[-1]
            intervals = row.get("intervals", {})
            ends = [end for metric in TABLE for end in intervals.get(metric) or ("", "")]
            values = [row.get(metric) for metric in ("epoch", *TABLE)]
            features = row.get("protocol", {}).get("features")
            yield [run.name, run.label, folder.seed, *values, *ends, features]


def differences(
    recorded: Mapping[str, Any], measured: Mapping[str, Any], tolerance: float = 1e-4
) -> list[str]:
    """The names of metrics of `measured` that are missing from `recorded` or differ there.

    Numbers differ if they are more than `tolerance` apart, relatively; the protocol must be equal,
    except that rows of older versions have no resolution in it. Nor have they the importance.
    """
    older = {IMPORTANCE} - set(recorded)
    return [
        name
        for name, value in measured.items()
        if name not in {"intervals", *older} and not _agree(recorded.get(name), value, tolerance)
    ]


def _agree(before: Any, now: Any, tolerance: float) -> bool:
    if isinstance(before, int | float) and isinstance(now, int | float):
        return math.isclose(before, now, rel_tol=tolerance, abs_tol=1e-12)
    if isinstance(before, dict) and isinstance(now, dict):
        return is_same_protocol(before, now)
    return before == now


def print_comparison(
    recorded: Mapping[str, Any],
    measured: Mapping[str, Any],
    per_image: Mapping[str, np.ndarray],
) -> None:
    """Print an epoch's metrics as recorded and as measured again, and say where they differ.

    `per_image` maps names to the value of each image (n,); the table shows median and worst.
    """
    titles = ["metric", "recorded", "measured", "95 % interval", "median", "worst"]
    rows = []
    for name, value in measured.items():
        if not isinstance(value, int | float):
            continue
        interval = measured["intervals"].get(name)
        values = None if name in NeighbourMetrics._fields else per_image.get(name)
        row = [
            name,
            _number(recorded.get(name)),
            _number(value),
            " ... ".join(map(_number, interval)) if interval else "",
            _number(None if values is None else np.median(values)),
            _number(None if values is None else _worst(name, values)),
        ]
        rows.append(row)
    print_table(titles, rows)
    print_lines(_verdict(recorded, measured))


def _verdict(recorded: Mapping[str, Any], measured: Mapping[str, Any]) -> Iterator[str]:
    """Lines on whether the metrics are as recorded."""
    if recorded.keys() == {"epoch"}:
        yield f"epoch {recorded['epoch']}: no metrics are recorded"
        return
    different = differences(recorded, measured)
    verdict = f"differ from the record: {', '.join(different)}" if different else "as recorded"
    yield f"epoch {recorded['epoch']}: {verdict}"
    before = recorded.get("protocol", {})
    for key, now in measured.get("protocol", {}).items():
        if "protocol" in different and before.get(key) != now:
            yield f"protocol, {key}: {before.get(key)}, now {now}"


def _worst(name: str, values: np.ndarray) -> float:
    return np.max(values) if METRICS[name].better == "lower" else np.min(values)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.5g}"
