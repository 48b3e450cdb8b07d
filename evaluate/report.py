"""An experiment on one page: what was run, metrics, curves, sheets, scales. See `write_report`."""

import base64
import io
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image, ImageColor
from plotly.offline import get_plotlyjs

from config import UserError
from evaluate.curves import COLORS, CURVES, MORE_CURVES, PRIORS
from evaluate.files import write_whole
from evaluate.plots import SCALE_LAYOUT, plain, plot_curve
from evaluate.results import HEADER, feature_labels, final_rows
from evaluate.sheets import INTERPOLATION_LIMIT
from train.run_folder import read_runs

MOST_EPOCHS = 12  # of a run whose sheets are on the page
MOST_PIXELS = 768  # the width of a sheet there
WEBP_QUALITY = 80
SHEETS = {
    "real_reconstructed": "In each pair, left: test image, right: reconstructed image",
    "fake_reconstructed": "In each pair, left: generated image, right: reconstructed image",
    "interpolation_1": "A row for each of 8 latents; its most important element goes "
    + " or ".join(f"from {-end:.3g} to {end:.3g} ({p})" for p, end in INTERPOLATION_LIMIT.items()),
}
_NO_FACTS = ("run", "seed", "changes")  # of what is recorded
_SCALE_DECIMALS = 4
_WHITENED = 0.3  # colours on a dark page


def write_report(experiment_folder):
    """Write report.html, a page that needs no network, into an experiment; returns its path.

    What is missing or damaged among images and scales is left out. Raises UserError if the folder
    holds no run with metrics.
    """
    experiment = Path(experiment_folder)
    runs = read_runs(experiment)
    folders = [(name, folder) for name, of_seeds in runs.items() for folder in of_seeds]
    views = [view for view in (_view(*run) for run in folders) if view["epochs"]]
    plots = list(_plots(runs))
    page = _template().render(
        name=experiment.resolve().name,
        facts=_facts(folders),
        header=HEADER,
        rows=final_rows(runs, with_intervals=True),
        features=feature_labels(runs),
        has_several_seeds=len(folders) > len(runs),
        plots=plots,
        views=views,
        sheets=SHEETS,
        most_pixels=MOST_PIXELS,
        most_epochs=MOST_EPOCHS,
        left_out=max((view["left_out"] for view in views), default=0),
        files=[_files(*run, experiment) for run in folders],
        figures=_links(sorted(experiment.glob("figures/*.png")), experiment),
        plotly=get_plotlyjs(),
        data={
            "plots": [plot["figure"] for plot in plots],
            "views": views,
            "scale_layout": SCALE_LAYOUT,
            "on_dark": {color: _on_dark(color) for color in COLORS.values()},
        },
    )
    path = experiment / "report.html"
    write_whole(path, lambda unfinished: unfinished.write_text(page, encoding="utf-8"))
    return path


def _template():
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja")


def _facts(folders):
    """What was run, as {label: value}; where runs differ, each value and how many have it."""
    every = [_facts_of(folder) for _, folder in folders]
    seeds = sorted({_seed(folder) for _, folder in folders}, key=lambda seed: (len(seed), seed))
    plural = "s" if len(seeds) > 1 else ""
    names = len({name for name, _ in folders})
    facts = {"runs x seeds": f"{names} x {len(seeds)} (seed{plural} {', '.join(seeds)})"}
    for label in dict.fromkeys(label for of_run in every for label in of_run):
        values = Counter(str(of_run[label]) for of_run in every if label in of_run)
        facts[label] = (
            ", ".join(f"{value} ({count} runs)" for value, count in values.items())
            if len(values) > 1
            else next(iter(values))
        )
    return facts


def _facts_of(folder):
    """Of one run; nothing if its config.yaml cannot be read."""
    try:
        config, _, _ = folder.read_config()
    except UserError:
        return {}
    facts = {
        "data source": config.data.source,
        "resolution": f"{config.data.resolution}x{config.data.resolution}",
        "latent elements": config.latent.dim,
        "epochs": config.train.epochs,
        "batch size": config.train.batch_size,
    }
    recorded = folder.recorded().items()
    return facts | {key.replace("_", " "): v for key, v in recorded if key not in _NO_FACTS}


def _seed(folder):
    return folder.path.name.removeprefix("seed_")


def _plots(runs):
    """Each curve that has values: title, notes and figure."""
    numbered = [*CURVES.items(), *((None, curve) for curve in MORE_CURVES.values())]
    for first, curve in numbered:
        for offset, (prior, label) in enumerate(PRIORS.items()):
            figure, notes = plot_curve(curve, prior, runs) or (None, None)
            if figure:
                number = f"Figure {first + offset}: " if first else ""
                title = f"{number}{plain(curve.title)}, Z ~ {plain(label)}"
                yield {"title": title, "notes": notes, "figure": figure}


def _files(name, folder, experiment):
    """Of one run: its name, epochs, and links to its files."""
    epoch = folder.evaluated_rows()[-1]["epoch"]
    paths = [folder.config_path, folder.metrics_path, folder.images(epoch)]
    return {
        "name": name,
        "seed": _seed(folder),
        "epochs": epoch,
        "links": _links(paths, experiment),
    }


def _links(paths, experiment):
    """{name: address relative to the page} of those files that are there."""
    return {
        path.name: quote(path.relative_to(experiment).as_posix()) for path in paths if path.exists()
    }


def _view(name, folder):
    """What the page shows of one run after some epochs: sheets and sorted scales, by epoch."""
    measured = [row["epoch"] for row in folder.evaluated_rows()]
    drawn = [epoch for epoch in measured if folder.images(epoch).is_dir()]
    epochs = spread(drawn)
    images = [folder.images(epoch) for epoch in epochs]
    with ThreadPoolExecutor() as pool:
        sheets = {
            sheet: _present(epochs, pool.map(_embedded, [f / f"{sheet}.png" for f in images]))
            for sheet in SHEETS
        }
    scales = [_sorted_scale(folder / "scale.npy") for folder in images]
    return {
        "name": f"{name}, seed {_seed(folder)}",
        "epochs": epochs,
        "left_out": len(drawn) - len(epochs),
        "sheets": sheets,
        "scales": _present(epochs, scales) if "_dls_" in name else {},
    }


def spread(epochs):
    """At most `MOST_EPOCHS` of them, evenly, with the first and the last."""
    count = min(len(epochs), MOST_EPOCHS)
    return [epochs[index] for index in np.linspace(0, len(epochs) - 1, count).round().astype(int)]


def _present(epochs, values):
    return {e: value for e, value in zip(epochs, values, strict=True) if value is not None}


def _embedded(path):
    """An image as the address that holds it; None if it is missing or damaged."""
    try:
        with Image.open(path) as image:
            sheet = image.convert("RGB")
    except Exception:  # Pillow raises a different class for each kind of damage
        return None
    sheet.thumbnail((MOST_PIXELS, sheet.height))
    content = io.BytesIO()
    sheet.save(content, "WEBP", quality=WEBP_QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}"


def _sorted_scale(path):
    """s, the largest first; None if the file is missing or damaged."""
    try:
        scale = np.asarray(np.load(path), np.float64)
    except Exception:  # numpy raises many classes for a damaged file
        return None
    if scale.ndim != 1 or not np.all(np.isfinite(scale)):
        return None
    return np.sort(scale)[::-1].round(_SCALE_DECIMALS).tolist()


def _on_dark(color):
    """A colour, lighter, so that it can be told from a dark page."""
    channels = ImageColor.getrgb(color)
    return "#" + "".join(f"{round(c + _WHITENED * (255 - c)):02x}" for c in channels)
