"""The figures of the paper, drawn from the folder of an experiment. See `draw_figures`."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import imread

from evaluate.curves import CURVES, DPI, MORE_CURVES, PRIORS, draw_curves
from evaluate.sheets import COLUMNS, GAP, INTERPOLATION_LIMIT
from train.run_folder import read_runs

SHEET_RUN = "normal_dls_dg"  # the run that Figures 11, 16 and 17 show
_LEAST_WIDTH = 640  # pixels of a picture above its caption

PAIR_SHEETS = {
    11: ("fake_reconstructed", "generated images", "generated"),
    16: ("real_reconstructed", "test images", "test"),
}
_INTERPOLATION = 17
_OF_SHEETS = (*PAIR_SHEETS, _INTERPOLATION)


def draw_figures(experiment_folder):
    """Draw all of Figures 1-17 that the experiment's runs allow, and precision and recall.

    All as PNG, curves as SVG too. Returns (paths of the PNGs by the number in the paper;
    {number: why it could not be drawn}). Raises UserError if the folder holds no run with metrics.
    """
    runs = read_runs(experiment_folder)
    target = Path(experiment_folder) / "figures"
    target.mkdir(exist_ok=True)
    figures = _all_curves(runs)
    seeds = runs.get(SHEET_RUN)
    folder = _newest_sheets(seeds[0]) if seeds else None
    if folder:
        figures |= {n: draw_pairs(n, sheet, folder) for n, sheet in PAIR_SHEETS.items()}
        figures[_INTERPOLATION] = draw_interpolation(_INTERPOLATION, folder)
    drawn = {
        name: _save(figure, target, name) for name, figure in figures.items() if figure is not None
    }
    missing = {
        number: f"it shows {SHEET_RUN}" if number in _OF_SHEETS else "no run measured it"
        for number in range(1, 18)
        if number not in drawn
    }
    return {number: drawn[number] for number in range(1, 18) if number in drawn}, missing


def _all_curves(runs):
    """The paper's curves by number, others by file name; None where no run has the metric."""
    figures = {}
    for offset, prior in enumerate(PRIORS):
        for first, curve in CURVES.items():
            figures[first + offset] = draw_curves(curve, prior, runs, first + offset)
        for name, curve in MORE_CURVES.items():
            figures[f"{name}_{prior}"] = draw_curves(curve, prior, runs)
    return figures


def _newest_sheets(run_folder):
    """The sheets of the last epoch with metrics: those are drawn before its row is written."""
    return run_folder.images(run_folder.evaluated_rows()[-1]["epoch"])


def draw_pairs(number, sheet, folder):
    """Pairs of an image and its reconstruction (Figures 11 and 16)."""
    name, subject, left = sheet
    picture = imread(folder / f"{name}.png")
    title = f"Figure {number}: DLS, DG {subject} reconstruction, $Z_i \\sim$ {PRIORS['normal']}"
    return _frame(
        [picture], title, [f"In each pair, left: {left} image, right: reconstructed image"]
    )


def draw_interpolation(number, folder):
    """Eight latents along the most important element; one latent along the eight most important."""
    sheets = [imread(path) for path in sorted(folder.glob("interpolation_*.png"))]
    pitch = (sheets[0].shape[0] + GAP) // COLUMNS  # a row of tiles and the gap below it
    stacked = np.ones_like(sheets[0])
    for rank, sheet in enumerate(sheets):
        rows = slice(rank * pitch, (rank + 1) * pitch - GAP)
        stacked[rows] = sheet[: pitch - GAP]
    title = f"Figure {number}: Latent interpolation, DLS, DG, $Z_i \\sim$ {PRIORS['normal']}"
    limit = INTERPOLATION_LIMIT["normal"]
    captions = [
        f"Most important element from {-limit:g} to {limit:g}, for {COLUMNS} latents",
        f"One latent: its {len(sheets)} most important elements, 1st on top",
    ]
    return _frame([sheets[0], stacked], title, captions)


def _frame(pictures, title, captions):
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


def _save(figure, target, name):
    """Write figure_01.png for the number 1, otherwise name.png; curves as SVG too."""
    path = target / (f"figure_{name:02d}.png" if isinstance(name, int) else f"{name}.png")
    figure.savefig(path)
    if name not in _OF_SHEETS:
        figure.savefig(path.with_suffix(".svg"))
    return path
