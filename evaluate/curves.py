"""Curves of a metric per epoch, for the four methods of one prior. See `draw_curves`."""

from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from models.latent import differential_entropy

DPI = 150
BAND_OPACITY = 0.15
METHODS = {"dls_d": "DLS, D", "dls_dg": "DLS, DG", "mse_d": "No DLS, D", "mse_dg": "No DLS, DG"}
COLORS = {"dls_d": "#4c9be8", "dls_dg": "#0b4f9c", "mse_d": "#f2a154", "mse_dg": "#b4430b"}
PRIORS = {"normal": r"$N(0, 1^2)$", "uniform": r"$U(-\sqrt{3}, \sqrt{3})$"}


class Curve(NamedTuple):
    """What a pair of the paper's figures, one a prior, shows per epoch."""

    metric: str
    title: str
    label: str
    dls_only: bool = False
    limit: float | None = None  # of the paper's axis, which begins at 0
    of_features: bool = False  # then the axis says of which


CURVES = {  # first figure of each pair (normal prior); the next number is the uniform prior's
    1: Curve("fid", "FID comparison", "FID", of_features=True),
    3: Curve("encoder_loss", r"Average $L_{enc}$", r"$L_{enc}$", limit=1.5),
    5: Curve("latent_entropy", "Differential latent entropy of DLSGAN", "Entropy (nats)", True),
    7: Curve("fake_psnr", "Average PSNR for generated images reconstruction", "PSNR (dB)"),
    9: Curve("fake_ssim", "Average SSIM for generated images reconstruction", "SSIM"),
    12: Curve("real_psnr", "Average PSNR for test images reconstruction", "PSNR (dB)"),
    14: Curve("real_ssim", "Average SSIM for test images reconstruction", "SSIM"),
}
MORE_CURVES = {  # beside the paper's, as in the authors' later code; by file name
    "precision": Curve("precision", "Precision", "Precision", of_features=True),
    "recall": Curve("recall", "Recall", "Recall", of_features=True),
}


def draw_curves(curve, prior, runs, number=None):
    """A metric per epoch for the four methods of one prior; None if no run has it.

    With one seed the band is the bootstrap 95 % interval, where there is one. With several the line
    is their mean, and the band one standard deviation on both sides. `number` is that of the figure
    in the paper.
    """
    of_methods = series(curve, prior, runs)
    if not of_methods:
        return None
    figure = Figure(figsize=(6, 3.8), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    for method, (epochs, values, low, high) in of_methods.items():
        color = COLORS[method]
        axes.plot(epochs, values, label=METHODS[method], color=color, marker="o", markersize=2.5)
        axes.fill_between(epochs, low, high, color=color, alpha=BAND_OPACITY, lw=0)
    if curve.metric == "latent_entropy":
        greatest = greatest_entropy(prior, runs)
        label = f"greatest possible: {greatest:.1f}"
        axes.axhline(greatest, color="0.5", ls="--", lw=1, label=label)
    if curve.of_features:
        axes.set_ylim(bottom=0)
    if curve.limit:
        limit, note = axis_limit(curve, of_methods)
        axes.set_ylim(0, limit)
        axes.text(0.5, 0.98, note, transform=axes.transAxes, ha="center", va="top", fontsize=7)
    _dress(axes, curve, prior, runs, number)
    return figure


def series(curve, prior, runs):
    """{method: (epochs, values, low, high)} of those methods of a prior that have the metric.

    Low and high bound the band that `draw_curves` tells of.
    """
    methods = [m for m in METHODS if not (curve.dls_only and m.startswith("mse"))]
    of_methods = {m: _over_epochs(runs.get(f"{prior}_{m}", ()), curve.metric) for m in methods}
    return {method: values for method, values in of_methods.items() if values[0]}


def _over_epochs(folders, metric):
    """(epochs, values, low, high) over the epochs in which all seeds have the metric."""
    by_seed = [
        {row["epoch"]: row for row in folder.rows() if row.get(metric) is not None}
        for folder in folders
    ]
    epochs = sorted(set.intersection(*map(set, by_seed))) if by_seed else []
    if not epochs:
        return [], [], [], []
    if len(by_seed) == 1:
        rows = [by_seed[0][epoch] for epoch in epochs]
        values = [row[metric] for row in rows]
        intervals = [row.get("intervals", {}).get(metric, [row[metric]] * 2) for row in rows]
        return epochs, values, *zip(*intervals, strict=True)
    values = np.array([[rows[epoch][metric] for epoch in epochs] for rows in by_seed])
    mean, deviation = values.mean(axis=0), values.std(axis=0, ddof=1)
    return epochs, mean, mean - deviation, mean + deviation


def greatest_entropy(prior, runs):
    """The differential entropy, in nats, of a latent of which nothing is scaled down."""
    folder = next(seeds[0] for name, seeds in runs.items() if name.startswith(prior))
    config, _, _ = folder.read_config()
    return float(differential_entropy(np.ones(config.latent.dim, np.float32), prior))


def axis_limit(curve, of_methods):
    """(end of the axis, a note on what it cuts off): the paper's, unless a curve ends above."""
    curves = [np.asarray(values) for _, values, _, _ in of_methods.values()]
    limit = max(curve.limit, 1.1 * max(values[-1] for values in curves))
    cuts = max(values.max() for values in curves) > limit
    return limit, f"first epochs above {limit:.1f} not shown" if cuts else ""


def _dress(axes, curve, prior, runs, number):
    label = curve.label
    if curve.of_features:
        label = ", ".join([label, *compared_features(prior, runs)])
    figure = f"Figure {number}: " if number else ""
    axes.set_title(f"{figure}{curve.title}, $Z_i \\sim$ {PRIORS[prior]}", fontsize=9)
    axes.set_xlabel("Epoch")
    axes.set_ylabel(label)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(color="0.92")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)


def compared_features(prior, runs):
    """What the features behind the drawn values are; several of one name are no good comparison."""
    folders = [folder for name in runs if name.startswith(prior) for folder in runs[name]]
    protocols = [row["protocol"] for folder in folders for row in folder.evaluated_rows()]
    labels = {
        f"{p['features']}\n{p['real_images']} real and {p['fake_images']} generated images"
        for p in protocols
    }
    versions = {(p["features"], p.get("features_sha256"), p.get("resize")) for p in protocols}
    if len(versions) > 1:
        labels.add("(of several networks: do not compare)")
    return sorted(labels)
