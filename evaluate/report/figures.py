"""The figures of an experiment or a comparison as files. See `draw_figures`."""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import imread

from config import first_line
from evaluate.metrics.table import METRICS
from evaluate.report.charts import PRIORS, choose_charts
from evaluate.report.curves import DPI, draw_chart, without_formulas
from evaluate.sheets import COLUMNS, GAP, INTERPOLATION_LIMIT
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
    """Paths of the paper's figures by number, why some are missing, and names of other files."""

    folder: Path
    numbered: dict[int, Path]
    missing: dict[int, str]
    curves: list[str]  # of all runs, by metric
    sheets: list[str]

    def lines(self) -> Iterator[str]:
        """What was drawn and what was not, in words."""
        if self.numbered:
            yield f"figures {', '.join(map(str, self.numbered))} are in {self.folder}"
        if self.curves:
            sheets = f" and {len(self.sheets)} image sheets" if self.sheets else ""
            yield f"curves of {', '.join(self.curves)}{sheets} are in {self.folder}"
        for number, why in self.missing.items():
            yield f"figure {number} not drawn: {why}"


def draw_figures(runs: Sequence[MeasuredRun], folder: Path, compares: bool = False) -> Drawn:
    """Draw all figures that the runs allow into a folder: PNG, and SVG for curves.

    The paper's runs give Figures 1-17 of the paper, with precision and recall. If there are other
    runs, each metric also has one figure with all runs, and each other run has its sheets. If it
    `compares`, there are no Figures 1-17, and every run has its sheets.
    """
    folder.mkdir(exist_ok=True)  # not its parents, which may be gone
    numbered: dict[int, Path] = {}
    curves: list[str] = []
    for number, chart in choose_charts(runs, compares):
        path = _save(draw_chart(chart), folder / f"{chart.name}.png", with_svg=True)
        if number is not None:
            numbered[number] = path
        elif chart.name in METRICS:  # of all runs together
            curves.append(chart.name)
    if not compares:
        numbered |= _draw_paper_sheets(runs, folder)
    sheets = _draw_sheets([run for run in runs if compares or not run.is_paper_run], folder)
    missing = {}
    if not compares and any(run.is_paper_run for run in runs):
        missing = {n: _why_missing(n) for n in _NUMBERS if n not in numbered}
    return Drawn(folder, dict(sorted(numbered.items())), missing, curves, sheets)


def _why_missing(number: int) -> str:
    is_sheet = number in dict(PAPER_SHEETS.values())
    return f"it shows {SHEET_RUN}" if is_sheet else "no run measured it"


def _draw_paper_sheets(runs: Sequence[MeasuredRun], folder: Path) -> dict[int, Path]:
    """Figures 11, 16 and 17, if there is the run that they show."""
    titles = {
        name: f"Figure {number}: {title}, $Z_i \\sim$ {PRIORS['normal']}"
        for name, (number, title) in PAPER_SHEETS.items()
    }
    drawn = {}
    for run in runs:
        if run.name == SHEET_RUN:
            for name, figure in _sheet_figures(run, titles):
                number, _ = PAPER_SHEETS[name]
                drawn[number] = _save(figure, folder / f"figure_{number:02d}.png")
    return drawn


def _draw_sheets(runs: Sequence[MeasuredRun], folder: Path) -> list[str]:
    """The sheets of all runs that have some; returns the names of the files."""
    names = []
    for run, stem in zip(runs, _file_stems(runs), strict=True):
        label = without_formulas(run.label)
        titles = {name: f"{label}: {title}" for name, title in _TITLES.items()}
        for sheet, figure in _sheet_figures(run, titles):
            name = f"{stem}_{sheet}"
            _save(figure, folder / f"{name}.png")
            names.append(name)
    return names


def _file_stems(runs: Sequence[MeasuredRun]) -> list[str]:
    """Beginnings of file names for the runs, each another one, none hidden."""
    stems: list[str] = []
    for run in runs:
        stem = re.sub(r"[^A-Za-z0-9._-]+", "_", run.name).lstrip("._-")
        stems.append(f"{stem}_{len(stems)}" if stem in stems else stem)
    return stems


def _sheet_figures(run: MeasuredRun, titles: Mapping[str, str]) -> Iterator[tuple[str, Figure]]:
    """(name, figure) of the sheets of a run's first seed after its last epoch with metrics.

    The sheets of an epoch are drawn before its row is written. A damaged sheet is left out, with a
    warning.
    """
    seed = run.folders[0]
    images = seed.images(seed.evaluated_rows()[-1]["epoch"])
    for name, title in titles.items():
        try:
            if name == _INTERPOLATION:
                if run.config and (images / "interpolation_1.png").exists():
                    yield name, draw_interpolation(images, title, run.config.latent.prior)
            elif (images / f"{name}.png").exists():
                yield name, draw_pairs(images, name, title)
        except (OSError, SyntaxError, ValueError) as error:  # Pillow's, for damaged files
            warnings.warn(f"{images}: {name} is left out: {first_line(error)}", stacklevel=2)


def draw_pairs(images: Path, name: str, title: str) -> Figure:
    """Pairs of an image and its reconstruction: a sheet from an epoch's folder, by its name."""
    picture = imread(images / f"{name}.png")
    caption = f"In each pair, left: {_LEFT_IMAGES[name]} image, right: reconstructed image"
    return _frame([picture], title, [caption])


def draw_interpolation(images: Path, title: str, prior: str) -> Figure:
    """Eight latents along the most important element; one latent along the eight most important."""
    sheets = [imread(path) for path in sorted(images.glob("interpolation_*.png"))]
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


def _save(figure: Figure, path: Path, with_svg: bool = False) -> Path:
    figure.savefig(path)
    if with_svg:
        figure.savefig(path.with_suffix(".svg"))
    return path
