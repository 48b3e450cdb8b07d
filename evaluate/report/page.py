"""Runs on one page: what was run, metrics, curves, sheets, scales. See `write_report`."""

import base64
import io
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from PIL import Image, ImageColor
from plotly.offline import get_plotlyjs

from config import UserError
from config.values import FIGURES_FOLDER
from data.paths import require_file
from data.storage import write_whole
from evaluate.claims import Result
from evaluate.report.charts import Chart, choose_charts
from evaluate.report.claims_table import tabulate_claims
from evaluate.report.plots import SCALE_LAYOUT, plain, plot_chart
from evaluate.report.results import final_rows, header, protocol_lines
from evaluate.sheet_layout import INTERPOLATION_LIMIT
from train.runs.experiment import MeasuredRun
from train.runs.folder import RunFolder

MOST_EPOCHS = 12  # of a run whose sheets are on the page
MOST_PIXELS = 768  # the width of a sheet there
WEBP_QUALITY = 80
SHEETS = {
    "real_reconstructed": "In each pair, left: test image, right: reconstructed image",
    "fake_reconstructed": "In each pair, left: generated image, right: reconstructed image",
    "interpolation_1": "A row for each of 8 latents; its most important element goes "
    + " or ".join(f"from {-end:.3g} to {end:.3g} ({p})" for p, end in INTERPOLATION_LIMIT.items()),
}
_NO_FACTS = ("run", "seed", "images", "changes")  # parts of what is recorded
_SCALE_DECIMALS = 4
_WHITENED = 0.3  # share of white in colours on a dark page


def write_report(
    runs: Sequence[MeasuredRun],
    folder: Path,
    final_folder: Path | None = None,
    compares: bool = False,
    claims: Sequence[Result] = (),
) -> Path:
    """Write report.html, a page that needs no network, into a folder; returns its path.

    Missing or damaged images and scales are left out. If it `compares`, all runs share the curves.
    Its links are relative to `final_folder`, the folder's final path (by default `folder`).
    """
    seeds = [(run, seed) for run in runs for seed in run.folders]
    final_folder = Path(os.path.abspath(final_folder or folder))
    page = _template().render(
        name=final_folder.name,
        facts=_facts(seeds),
        files=[_files(run, seed, final_folder) for run, seed in seeds],
        figures={
            path.name: quote(f"{FIGURES_FOLDER}/{path.name}")
            for path in sorted((folder / FIGURES_FOLDER).glob("*.png"))
        },
        **_spreads(runs),
        **_tables(runs),
        claims=tabulate_claims(claims),
        **_curves_and_views(seeds, [chart for _, chart in choose_charts(runs, compares)]),
    )
    path = folder / "report.html"
    write_whole(path, lambda unfinished: unfinished.write_text(page, encoding="utf-8"))
    return path


def _spreads(runs: Sequence[MeasuredRun]) -> dict[str, str]:
    """What the page says that "±" in the table and the bands of the curves are."""
    have_several = {len(run.folders) > 1 for run in runs}
    deviation = "one standard deviation over the seeds"
    if have_several == {True}:
        return {"plus_minus": deviation, "bands": deviation}
    several = f"; for runs with several seeds {deviation}" if True in have_several else ""
    return {"plus_minus": f"half a 95 % interval{several}", "bands": f"95 % intervals{several}"}


def _tables(runs: Sequence[MeasuredRun]) -> dict[str, Any]:
    """What the page's template needs for the table of final metrics."""
    return {
        "header": header(runs),
        "rows": final_rows(runs, with_intervals=True),
        "protocols": protocol_lines(runs),
    }


def _curves_and_views(
    seeds: Sequence[tuple[MeasuredRun, RunFolder]], charts: Sequence[Chart]
) -> dict[str, Any]:
    """What the page's template and script need for curves, sheets and scales."""
    views = [view for view in (_view(run, seed) for run, seed in seeds) if view["epochs"]]
    plots = [_plot(chart) for chart in charts]
    colors = {series.style.color for chart in charts for series in chart.series}
    return {
        "plots": plots,
        "views": views,
        "sheets": SHEETS,
        "most_pixels": MOST_PIXELS,
        "most_epochs": MOST_EPOCHS,
        "left_out": max((view["left_out"] for view in views), default=0),
        "plotly": get_plotlyjs(),
        "data": {
            "plots": [plot["figure"] for plot in plots],
            "views": views,
            "scale_layout": SCALE_LAYOUT,
            "height": SCALE_LAYOUT["height"],
            "margin_below": SCALE_LAYOUT["margin"]["b"],
            "on_dark": {color: _on_dark(color) for color in colors},
        },
    }


def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.jinja")


def _facts(seeds: Sequence[tuple[MeasuredRun, RunFolder]]) -> dict[str, str]:
    """What was run, as {label: value}; where runs differ, each value and how many have it."""
    facts_of_each = [_run_facts(seed) for _, seed in seeds]
    numbers = sorted({seed.seed for _, seed in seeds}, key=lambda seed: (len(seed), seed))
    runs = _count(len({run.name for run, _ in seeds}), "run")
    plural = "s" if len(numbers) > 1 else ""
    trained = f"{_count(len(seeds), 'training')} of {runs} (seed{plural} {', '.join(numbers)})"
    facts = {"trained": trained}
    for label in dict.fromkeys(label for facts_of_run in facts_of_each for label in facts_of_run):
        values = Counter(str(each[label]) for each in facts_of_each if label in each)
        facts[label] = (
            ", ".join(f"{value} ({_count(n, 'training')})" for value, n in values.items())
            if len(values) > 1
            else next(iter(values))
        )
    return facts


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("s" if number > 1 else "")


def _run_facts(folder: RunFolder) -> dict[str, Any]:
    """Facts about one run; none if its config.yaml cannot be read."""
    try:
        record = folder.read()
    except UserError:
        return {}
    config = record.config
    facts = {
        "data source": config.data.source,
        "resolution": f"{config.data.resolution}x{config.data.resolution}",
        "latent elements": config.latent.dim,
        "epochs": config.train.epochs,
        "batch size": config.train.batch_size,
    }
    begun = {key.replace("_", " "): v for key, v in record.recorded.items() if key not in _NO_FACTS}
    return facts | begun


def _plot(chart: Chart) -> dict[str, Any]:
    figure, notes = plot_chart(chart)
    return {"title": plain(chart.title), "notes": notes, "figure": figure}


def _files(run: MeasuredRun, folder: RunFolder, place: Path) -> dict[str, Any]:
    """A run's name and epochs, and links from `place` to its files."""
    epoch = folder.evaluated_rows()[-1]["epoch"]
    paths = [folder.config_path, folder.metrics_path, folder.images(epoch)]
    links = {
        path.name: quote(Path(os.path.relpath(path, place)).as_posix())
        for path in paths
        if path.exists()
    }
    return {"name": run.name, "seed": folder.seed, "epochs": epoch, "links": links}


def _view(run: MeasuredRun, folder: RunFolder) -> dict[str, Any]:
    """What the page shows of one run after some epochs: sheets and sorted scales, by epoch."""
    measured = [row["epoch"] for row in folder.evaluated_rows()]
    drawn = [epoch for epoch in measured if folder.images(epoch).is_dir()]
    epochs = spread(drawn)
    images = [folder.images(epoch) for epoch in epochs]
    with ThreadPoolExecutor() as pool:
        sheets = {
            sheet: _present(epochs, pool.map(_embed, [f / f"{sheet}.png" for f in images]))
            for sheet in SHEETS
        }
    has_scale = run.config is None or run.config.latent.dynamic_scale
    scales = [_sorted_scale(folder / "scale.npy") for folder in images] if has_scale else []
    return {
        "name": f"{run.name}, seed {folder.seed}",
        "epochs": epochs,
        "left_out": len(drawn) - len(epochs),
        "sheets": sheets,
        "scales": _present(epochs, scales) if has_scale else {},
    }


def spread(epochs: Sequence[int]) -> list[int]:
    """At most `MOST_EPOCHS` of the epochs, evenly, with the first and the last."""
    count = min(len(epochs), MOST_EPOCHS)
    return [epochs[index] for index in np.linspace(0, len(epochs) - 1, count).round().astype(int)]


def _present(epochs: Sequence[int], values: Iterable[Any]) -> Mapping[int, Any]:
    """{epoch: value}, without None."""
    return {e: value for e, value in zip(epochs, values, strict=True) if value is not None}


def _embed(path: Path) -> str | None:
    """An image as a data address; None if it is missing or damaged."""
    try:
        require_file(path)
        with Image.open(path) as image:
            sheet = image.convert("RGB")
    except Exception:  # Pillow raises a different class for each kind of damage
        return None
    sheet.thumbnail((MOST_PIXELS, sheet.height))
    content = io.BytesIO()
    sheet.save(content, "WEBP", quality=WEBP_QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}"


def _sorted_scale(path: Path) -> list[float] | None:
    """s, the largest first; None if the file is missing or damaged."""
    try:
        require_file(path)
        scale = np.asarray(np.load(path), np.float64)
    except Exception:  # numpy raises many classes for a damaged file
        return None
    if scale.ndim != 1 or not np.all(np.isfinite(scale)):
        return None
    return np.sort(scale)[::-1].round(_SCALE_DECIMALS).tolist()


def _on_dark(color: str) -> str:
    """A lighter colour, which can be told from a dark page."""
    channels = ImageColor.getrgb(color)
    return "#" + "".join(f"{round(c + _WHITENED * (255 - c)):02x}" for c in channels)
