"""The figures of the paper, drawn from the folder of an experiment. See `draw_figures`."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from matplotlib.figure import Figure
from matplotlib.image import imread

from evaluate.sheets import COLUMNS, GAP, INTERPOLATION_LIMIT
from models.latent import differential_entropy
from train.run_folder import read_runs

METHODS = {"dls_d": "DLS, D", "dls_dg": "DLS, DG", "mse_d": "No DLS, D", "mse_dg": "No DLS, DG"}
COLORS = {"dls_d": "#4c9be8", "dls_dg": "#0b4f9c", "mse_d": "#f2a154", "mse_dg": "#b4430b"}
PRIORS = {"normal": r"$N(0, 1^2)$", "uniform": r"$U(-\sqrt{3}, \sqrt{3})$"}
SHEET_RUN = "normal_dls_dg"  # the run that Figures 11, 16 and 17 show
_DPI = 150
_LEAST_WIDTH = 640  # pixels of a picture above its caption


class Curve(NamedTuple):
    """What a pair of the paper's figures, one a prior, shows per epoch."""

    metric: str
    title: str
    label: str
    dls_only: bool = False
    limit: float | None = None  # of the paper's axis, which begins at 0


CURVES = {  # first figure of each pair (normal prior); the next number is the uniform prior's
    1: Curve("fid", "FID comparison", "FID"),
    3: Curve("encoder_loss", r"Average $L_{enc}$", r"$L_{enc}$", limit=1.5),
    5: Curve("latent_entropy", "Differential latent entropy of DLSGAN", "Entropy (nats)", True),
    7: Curve("fake_psnr", "Average PSNR for generated images reconstruction", "PSNR (dB)"),
    9: Curve("fake_ssim", "Average SSIM for generated images reconstruction", "SSIM"),
    12: Curve("real_psnr", "Average PSNR for test images reconstruction", "PSNR (dB)"),
    14: Curve("real_ssim", "Average SSIM for test images reconstruction", "SSIM"),
}
PAIR_SHEETS = {
    11: ("fake_reconstructed", "generated images", "generated"),
    16: ("real_reconstructed", "test images", "test"),
}


def draw_figures(experiment_folder):
    """Draw all of Figures 1-17 that the experiment's runs allow, as PNG, curves as SVG too.

    Returns (paths of the PNGs, by figure number; {number: why it could not be drawn}). Raises
    UserError if the folder holds no run with metrics.
    """
    runs = read_runs(experiment_folder)
    target = Path(experiment_folder) / "figures"
    target.mkdir(exist_ok=True)
    drawn, missing = {}, {}
    for number, (prior, curve) in _curve_figures().items():
        figure = draw_curves(number, curve, prior, runs)
        _save(figure, number, target, drawn, missing, "no run measured it", svg=True)
    seeds = runs.get(SHEET_RUN)
    folder = _newest_sheets(seeds[0]) if seeds else None
    why = f"it shows {SHEET_RUN}, which is not there"
    for number, sheet in PAIR_SHEETS.items():
        figure = draw_pairs(number, sheet, folder) if folder else None
        _save(figure, number, target, drawn, missing, why)
    _save(draw_interpolation(17, folder) if folder else None, 17, target, drawn, missing, why)
    return dict(sorted(drawn.items())), missing


def _curve_figures():
    return {
        first + offset: (prior, curve)
        for first, curve in CURVES.items()
        for offset, prior in enumerate(PRIORS)
    }


def draw_curves(number, curve, prior, runs):
    """A metric per epoch for the four methods of one prior; None if no run has it.

    With several seeds the line is their mean and the band one standard deviation on both sides.
    """
    figure = Figure(figsize=(6, 3.8), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    for method, label in METHODS.items():
        if curve.dls_only and method.startswith("mse"):
            continue
        epochs, values = _series(runs.get(f"{prior}_{method}", ()), curve.metric)
        if not len(epochs):
            continue
        mean, deviation = values.mean(axis=0), values.std(axis=0)
        axes.plot(epochs, mean, label=label, color=COLORS[method], marker="o", markersize=2.5)
        if len(values) > 1:
            axes.fill_between(
                epochs, mean - deviation, mean + deviation, color=COLORS[method], alpha=0.2, lw=0
            )
    if not axes.lines:
        return None
    if curve.metric == "latent_entropy":
        _draw_greatest_entropy(axes, prior, runs)
    if curve.metric == "fid":
        axes.set_ylim(bottom=0)
    if curve.limit:
        _limit_axis(axes, curve.limit)
    _dress(axes, number, curve, prior, runs)
    return figure


def _series(folders, metric):
    """(epochs, values (seeds, epochs)) over the epochs in which all seeds have the metric."""
    by_seed = [
        {row["epoch"]: row[metric] for row in folder.rows() if row.get(metric) is not None}
        for folder in folders
    ]
    epochs = sorted(set.intersection(*map(set, by_seed))) if by_seed else []
    return epochs, np.array([[values[epoch] for epoch in epochs] for values in by_seed])


def _draw_greatest_entropy(axes, prior, runs):
    folder = next(seeds[0] for name, seeds in runs.items() if name.startswith(prior))
    dim = yaml.safe_load((folder.path / "config.yaml").read_text())["latent"]["dim"]
    greatest = float(differential_entropy(np.ones(dim, np.float32), prior))
    axes.axhline(greatest, color="0.5", ls="--", lw=1, label=f"greatest possible: {greatest:.1f}")


def _limit_axis(axes, limit):
    """End the axis where the paper does, unless a curve ends above; say what is cut off."""
    curves = [line.get_ydata() for line in axes.lines]
    limit = max(limit, 1.1 * max(values[-1] for values in curves))
    axes.set_ylim(0, limit)
    if max(values.max() for values in curves) > limit:
        note = f"first epochs above {limit:.1f} not shown"
        axes.text(0.5, 0.98, note, transform=axes.transAxes, ha="center", va="top", fontsize=7)


def _dress(axes, number, curve, prior, runs):
    label = curve.label
    if curve.metric == "fid":
        label = ", ".join([label, *_features(prior, runs)])
    axes.set_title(f"Figure {number}: {curve.title}, $Z_i \\sim$ {PRIORS[prior]}", fontsize=9)
    axes.set_xlabel("Epoch")
    axes.set_ylabel(label)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(color="0.92")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)


def _features(prior, runs):
    """The labels of the features behind the FIDs drawn; more than one would not be comparable."""
    rows = (folder.rows()[-1] for name in runs if name.startswith(prior) for folder in runs[name])
    return sorted({row["protocol"]["features"] for row in rows})


def _newest_sheets(run_folder):
    """The sheets of the last epoch with metrics: those are drawn before its row is written."""
    epochs = [row["epoch"] for row in run_folder.rows() if "fake_psnr" in row]
    return run_folder.images(epochs[-1]) if epochs else None


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
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
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


def _save(figure, number, target, drawn, missing, why, svg=False):
    if figure is None:
        missing[number] = why
        return
    drawn[number] = target / f"figure_{number:02d}.png"
    figure.savefig(drawn[number])
    if svg:
        figure.savefig(drawn[number].with_suffix(".svg"))
