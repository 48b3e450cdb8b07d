"""The figures of an experiment or a comparison as files. See `draw_figures`."""

import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.image import imread

from config import UserError, reason
from data.storage import write_whole
from evaluate.metrics.table import METRICS
from evaluate.report.charts import PRIORS, choose_charts
from evaluate.report.curves import DPI, draw_chart, without_formulas
from evaluate.sheet_layout import COLUMNS, GAP, INTERPOLATED_ELEMENTS, INTERPOLATION_LIMIT
from train.runs.experiment import MeasuredRun

SHEET_RUN = "normal_dls_dg"  # the run that Figures 11, 16 and 17 show
_LEAST_WIDTH = 640  # pixels of a picture above its caption
_NUMBERS = range(1, 18)
_INTERPOLATION = "interpolation"


PAPER_SHEETS = {  # by name: number in the paper and title
    "fake_reconstructed": (11, "DLS, DG generated images reconstruction"),
    "real_reconstructed": (16, "DLS, DG test images reconstruction"),
    _INTERPOLATION: (17, "Latent interpolation, DLS, DG"),
}
_TITLES = {  # of the same sheets of any run
    "fake_reconstructed": "generated images reconstruction",
    "real_reconstructed": "test images reconstruction",
    _INTERPOLATION: "latent interpolation",
}
_LEFT_IMAGES = {"fake_reconstructed": "generated", "real_reconstructed": "test"}


class Drawn(NamedTuple):
    """Paths of the paper's figures by number, names of other files, and why some are missing."""

    folder: Path
    numbered: dict[int, Path]
    missing: dict[str, str]  # such as figure_11
    curves: list[str]  # of all runs, by metric
    sheets: list[str]

    def lines(self) -> Iterator[str]:
        """What was drawn and what was not, in words."""
        if self.numbered:
            yield f"figures {', '.join(map(str, self.numbered))} are in {self.folder}"
        if self.curves:
            sheets = f" and {len(self.sheets)} image sheets" if self.sheets else ""
            yield f"curves of {', '.join(self.curves)}{sheets} are in {self.folder}"
        for why in dict.fromkeys(self.missing.values()):
            names = ", ".join(name for name, reason in self.missing.items() if reason == why)
            yield f"{names} not drawn: {why}"


def draw_figures(runs: Sequence[MeasuredRun], folder: Path, compares: bool = False) -> Drawn:
    """Draw all figures that the runs allow into a folder: PNG, and SVG and PDF for curves.

    The paper's runs give Figures 1-17 of the paper, with precision and recall. If there are other
    runs, each metric also has one figure with all runs, and each other run has its sheets. If it
    `compares`, there are no Figures 1-17, and every run has its sheets.
    """
    folder.mkdir(exist_ok=True)  # not its parents, which may be gone
    numbered: dict[int, Path] = {}
    curves: list[str] = []
    for number, chart in choose_charts(runs, compares):
        path = save_figure(draw_chart(chart), folder / f"{chart.name}.png")
        if number is not None:
            numbered[number] = path
        elif chart.name in METRICS:  # of all runs together
            curves.append(chart.name)
    sheets: list[str] = []
    missing: dict[str, str] = {}
    for number, name, run, sheet, title in _list_sheets(runs, compares):
        try:
            path = _save(_draw_sheet(run, sheet, title), folder / f"{name}.png")
        except UserError as error:
            missing[name] = str(error)
            continue
        if number is not None:
            numbered[number] = path
        else:
            sheets.append(name)
    if missing:
        warnings.warn(f"image sheets missing or damaged: {len(missing)}", stacklevel=2)
    if not compares and any(run.is_paper_run for run in runs):
        for number in _NUMBERS:
            if number not in numbered:
                missing.setdefault(_file_name(number), _why_missing(number))
    return Drawn(folder, dict(sorted(numbered.items())), missing, curves, sheets)


def _file_name(number: int) -> str:
    return f"figure_{number:02d}"


def _why_missing(number: int) -> str:
    is_sheet = number in dict(PAPER_SHEETS.values())
    return f"it shows {SHEET_RUN}" if is_sheet else "no run measured it"


def _list_sheets(
    runs: Sequence[MeasuredRun], compares: bool
) -> Iterator[tuple[int | None, str, MeasuredRun, str, str]]:
    """(number in the paper, file's name, run, sheet, title) of all sheets to draw.

    Figures 11, 16 and 17 show one of the paper's runs; all other runs have sheets without a number.
    """
    for run in runs:
        if run.name == SHEET_RUN and not compares:
            for sheet, (number, title) in PAPER_SHEETS.items():
                title = f"Figure {number}: {title}, $Z_i \\sim$ {PRIORS['normal']}"
                yield number, _file_name(number), run, sheet, title
    others = [run for run in runs if compares or not run.is_paper_run]
    for run, stem in zip(others, _file_stems(others), strict=True):
        for sheet, title in _TITLES.items():
            yield None, f"{stem}_{sheet}", run, sheet, f"{without_formulas(run.label)}: {title}"


def _file_stems(runs: Sequence[MeasuredRun]) -> list[str]:
    """Beginnings of file names for the runs, each another one, none hidden."""
    stems: list[str] = []
    for run in runs:
        stem = re.sub(r"[^A-Za-z0-9._-]+", "_", run.name).lstrip("._-")
        stems.append(f"{stem}_{len(stems)}" if stem in stems else stem)
    return stems


def _draw_sheet(run: MeasuredRun, sheet: str, title: str) -> Figure:
    """A sheet of a run's first seed after its last epoch with metrics. Raises UserError.

    The sheets of an epoch are drawn before its row is written.
    """
    seed = run.folders[0]
    images = seed.images(seed.evaluated_rows()[-1]["epoch"])
    if not images.is_dir():
        raise UserError(f"{images}: no such folder")
    if sheet != _INTERPOLATION:
        return draw_pairs(images, sheet, title)
    if run.config is None:
        raise UserError(f"{seed.config_path}: no such file")
    latent = run.config.latent
    return draw_interpolation(images, title, latent.prior, min(INTERPOLATED_ELEMENTS, latent.dim))


def draw_pairs(images: Path, name: str, title: str) -> Figure:
    """Pairs of an image and its reconstruction: a sheet from an epoch's folder, by its name.

    Raises UserError for a missing or damaged sheet.
    """
    picture = _read_sheet(images / f"{name}.png")
    caption = f"In each pair, left: {_LEFT_IMAGES[name]} image, right: reconstructed image"
    return _frame([picture], title, [caption])


def draw_interpolation(
    images: Path, title: str, prior: str, elements: int = INTERPOLATED_ELEMENTS
) -> Figure:
    """Eight latents along the most important element; one latent along each important element.

    Raises UserError for a missing or damaged sheet.
    """
    paths = [images / f"interpolation_{rank}.png" for rank in range(1, elements + 1)]
    sheets = [_read_sheet(path) for path in paths]
    for path, sheet in zip(paths, sheets, strict=True):
        if sheet.shape != sheets[0].shape:
            raise UserError(f"{path}: another size than {paths[0].name}")
    pitch = (sheets[0].shape[0] + GAP) // COLUMNS  # a row of tiles and the gap below it
    stacked = np.ones_like(sheets[0])
    for rank, sheet in enumerate(sheets):
        rows = slice(rank * pitch, (rank + 1) * pitch - GAP)
        stacked[rows] = sheet[: pitch - GAP]
    limit = INTERPOLATION_LIMIT[prior]
    captions = [
        f"Most important element from {-limit:.3g} to {limit:.3g}, for {COLUMNS} latents",
        f"One latent: its {len(sheets)} most important elements, 1st on top",
    ]
    return _frame([sheets[0], stacked], title, captions)


def _read_sheet(path: Path) -> np.ndarray:
    if path.is_fifo():  # opening it would wait forever
        raise UserError(f"{path}: is a pipe")
    try:
        return imread(path)
    except Exception as error:  # Pillow raises a different class for each kind of damage
        raise UserError(f"{path}: {reason(error)}") from error


def _frame(pictures: Sequence[np.ndarray], title: str, captions: Sequence[str]) -> Figure:
    """Pictures side by side, pixel for pixel, each with a caption below and one title above.

    Small ones are enlarged by a whole factor, so that title and captions fit.
    """
    factor = -(-_LEAST_WIDTH // min(picture.shape[1] for picture in pictures))
    pictures = [picture.repeat(factor, axis=0).repeat(factor, axis=1) for picture in pictures]
    margin, above, below = 24, 64, 56
    width = sum(picture.shape[1] + margin for picture in pictures) + margin
    height = pictures[0].shape[0] + above + below
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    left = margin
    for picture, caption in zip(pictures, captions, strict=True):
        shape = (left / width, below / height, picture.shape[1] / width, picture.shape[0] / height)
        axes = figure.add_axes(shape)
        axes.imshow(picture, interpolation="none", aspect="auto")
        axes.set_axis_off()
        center = (left + picture.shape[1] / 2) / width
        figure.text(center, below / 2 / height, caption, ha="center", va="center", fontsize=8)
        left += picture.shape[1] + margin
    figure.text(0.5, 1 - above / 2 / height, title, ha="center", va="center", fontsize=9)
    return figure


def save_figure(figure: Figure, path: Path) -> Path:
    """Save as PNG, and as SVG and PDF whose texts are texts; returns the PNG's path."""
    _save(figure, path)
    figure.set_layout_engine("none")  # the layout is done, and takes a third of the time
    with rc_context({"svg.fonttype": "none", "pdf.fonttype": 42}):  # TrueType
        for ending in (".svg", ".pdf"):
            _save(figure, path.with_suffix(ending))
    return path


def _save(figure: Figure, path: Path) -> Path:
    write_whole(path, figure.savefig)
    return path
