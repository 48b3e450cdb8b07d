"""The metrics of an epoch's row: their names, formats, bounds and directions. See `METRICS`."""

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

# Parts of a row's protocol; where two rows differ in one, their metrics cannot be compared.
_REAL_IMAGES = ("resolution", "split", "real_images", "real_images_sha256")
_FAKE_IMAGES = ("resolution", "fake_images")
_FEATURES = ("features", "features_sha256", "resize", *_REAL_IMAGES, "fake_images")


class Metric(NamedTuple):
    """A number of an epoch's row.

    `label` and `form` serve tables; `title` and `axis`, with formulas in LaTeX, serve figures. A
    metric without a title has no figure. `protocol` names the parts of a row's protocol that must
    agree before values may be compared. `figure` is the first of the paper's two figures (normal
    prior; the next number is the uniform prior's), `limit` the end of its axis, which begins at 0.
    """

    label: str
    form: str
    title: str = ""
    axis: str = ""
    better: Literal["lower", "higher"] | None = None
    bounds: tuple[float, float] = (-math.inf, math.inf)
    protocol: tuple[str, ...] = ()
    figure: int | None = None
    limit: float | None = None
    needs_dynamic_scale: bool = False  # in the paper's figures
    in_table: bool = True

    @property
    def uses_features(self) -> bool:
        """Whether it compares features of a feature network."""
        return "features" in self.protocol


def _neighbours(label: str, highest: float, **changes: Any) -> Metric:
    """A neighbourhood metric: precision, recall, density or coverage."""
    common = {"better": "higher", "protocol": (*_FEATURES, "neighbours")}
    return Metric(label, "{:.3f}", bounds=(0.0, highest), **common | changes)


IMPORTANCE = "scale_importance_correlation"
METRICS = {
    "encoder_loss": Metric(
        "L_enc", "{:.3f}", r"Average $L_{enc}$", r"$L_{enc}$", "lower", figure=3, limit=1.5
    ),
    "latent_entropy": Metric(
        "entropy",
        "{:.1f}",
        "Differential latent entropy of DLSGAN",
        "Entropy (nats)",
        figure=5,
        needs_dynamic_scale=True,
    ),
    "informative_elements": Metric("informative", "{:g}"),
    "fid": Metric(
        "FID",
        "{:.1f}",
        "FID comparison",
        "FID",
        "lower",
        (0.0, math.inf),
        protocol=(*_FEATURES, "frechet_ddof"),
        figure=1,
    ),
    "precision": _neighbours("precision", 1.0, title="Precision", axis="Precision"),
    "recall": _neighbours("recall", 1.0, title="Recall", axis="Recall"),
    "fake_psnr": Metric(
        "fake PSNR",
        "{:.2f}",
        "Average PSNR for generated images reconstruction",
        "PSNR (dB)",
        "higher",
        protocol=_FAKE_IMAGES,
        figure=7,
    ),
    "fake_ssim": Metric(
        "fake SSIM",
        "{:.3f}",
        "Average SSIM for generated images reconstruction",
        "SSIM",
        "higher",
        protocol=_FAKE_IMAGES,
        figure=9,
    ),
    "real_psnr": Metric(
        "real PSNR",
        "{:.2f}",
        "Average PSNR for test images reconstruction",
        "PSNR (dB)",
        "higher",
        protocol=_REAL_IMAGES,
        figure=12,
    ),
    "real_ssim": Metric(
        "real SSIM",
        "{:.3f}",
        "Average SSIM for test images reconstruction",
        "SSIM",
        "higher",
        protocol=_REAL_IMAGES,
        figure=14,
    ),
    "density": _neighbours("density", math.inf, in_table=False),
    "coverage": _neighbours("coverage", 1.0, in_table=False),
    "fresh_encoder_loss": Metric("fresh L_enc", "{:.3f}", better="lower", in_table=False),
    IMPORTANCE: Metric("importance", "{:.2f}", bounds=(-1.0, 1.0), in_table=False),
}
TABLE = {name: metric for name, metric in METRICS.items() if metric.in_table}
FROM_FEATURES = tuple(name for name, metric in METRICS.items() if metric.uses_features)
_IN_SUMMARY = ("encoder_loss", "latent_entropy", "fid")


def format_value(name: str, value: float) -> str:
    """The value of a metric as tables show it."""
    return METRICS[name].form.format(value)


def summarise(row: Mapping[str, Any]) -> str:
    """The main metrics of a row in a few words, for the terminal."""
    return "  ".join(
        f"{METRICS[name].label} {format_value(name, row[name])}"
        for name in _IN_SUMMARY
        if row.get(name) is not None
    )
