"""Runs on one page: settings, metrics, claims, curves, sheets, scales. See `write_report`."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from plotly.offline import get_plotlyjs

from config.values import FIGURES_FOLDER
from data.storage import write_whole
from evaluate.claims import Result
from evaluate.report.charts import choose_charts
from evaluate.report.claims_table import tabulate_claims
from evaluate.report.inversions import read_inversions
from evaluate.report.plots import PAPERS, SCALE_LAYOUT, Plot, plot_chart
from evaluate.report.settings import describe_settings
from evaluate.report.tables import page_tables
from evaluate.report.views import MOST_PIXELS, SHEETS, read_views
from evaluate.sheet_layout import COLUMNS
from train.runs.experiment import MeasuredRun
from train.runs.folder import RunFolder

_FOLDER = Path(__file__).parent / "web"
_ENDINGS = (".png", ".svg", ".pdf")  # of figures
_RESULTS = ("results.csv", "results.md")


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
    plots = [plot_chart(chart) for _, chart in choose_charts(runs, compares)]
    page = _template().render(
        name=final_folder.name,
        about=describe_settings(runs),
        tables=page_tables(runs),
        claims=tabulate_claims(claims),
        inversions=read_inversions(folder / FIGURES_FOLDER),
        plots=plots,
        links=_link_figures(folder / FIGURES_FOLDER, plots),
        files=[_files(run, seed, final_folder) for run, seed in seeds],
        plotly=get_plotlyjs(),
        papers=PAPERS,
        most_pixels=MOST_PIXELS,
        sheets=SHEETS,
        **_spreads(runs),
        **_views_and_data(seeds, plots),
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


def _views_and_data(
    seeds: Sequence[tuple[MeasuredRun, RunFolder]], plots: Sequence[Plot]
) -> dict[str, Any]:
    """What the page's template and scripts need for curves, sheets and scales."""
    views = read_views(seeds)
    return {
        "views": views,
        "most_epochs": max((len(view["epochs"]) for view in views), default=0),
        "left_out": max((view["left_out"] for view in views), default=0),
        "data": {
            "plots": [plot.figure for plot in plots],
            "on_dark": {key.light: key.dark for plot in plots for key in plot.keys},
            "views": views,
            "groups": {name: sheet.group for name, sheet in SHEETS.items()},
            "columns": COLUMNS,
            "scale_layout": SCALE_LAYOUT,
        },
    }


def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.jinja")


def _link_figures(folder: Path, plots: Sequence[Plot]) -> dict[str, dict[str, str]]:
    """{name of a plot: {file: address}}; "" has the tables, and the figures that show no plot."""
    drawn = sorted(path for path in folder.glob("*") if path.suffix in _ENDINGS)
    links: dict[str, dict[str, str]] = {name: {} for name in ["", *(plot.name for plot in plots)]}
    for path in [*filter(Path.exists, map(folder.joinpath, _RESULTS)), *drawn]:
        of_plot = links.get(path.stem, links[""])
        of_plot[path.name] = quote(f"{FIGURES_FOLDER}/{path.name}")
    return links


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
