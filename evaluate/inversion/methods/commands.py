"""The commands that invert images, behind the options of `command_line.py` here."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data.storage import save_image
from data.user_images import unique_stems
from evaluate.inversion.files import save_images, save_latents
from evaluate.inversion.methods.choices import Choice
from evaluate.inversion.methods.compare import compare_inversions, draw_sheet
from evaluate.inversion.methods.image_metrics import print_metrics, write_metrics
from evaluate.inversion.methods.invert import Inverting
from evaluate.inversion.opened import opened_to_write, read, require_no
from evaluate.report.inversions import print_inversions, write_inversions
from evaluate.sheet_layout import COLUMNS
from evaluate.sheets import alternate, tile
from evaluate.trained_run import TrainedRun
from train.experiment.display import progress_bar
from train.runtime.failures import shortage_reported

_CODE_FILES = {"w": "w", "w+": "w_plus"}  # and the names of the arrays in them


def reconstruct(
    run: Path,
    checkpoint: str,
    raw: bool,
    images: Sequence[Path],
    choice: Choice,
    out: Path | None,
) -> None:
    """Invert images by a method and, where it begins there, by the encoder alone."""
    with opened_to_write(run, checkpoint, raw, "reconstruct", out) as (trained, folder):
        inverting = Inverting(trained, choice)
        names, pixels, problems = read(images, trained)
        found = {}
        if choice.name != "encoder" and choice.method.from_encoder:
            found["encoder"] = Inverting(trained, Choice("encoder", 0))(pixels)
        with progress_bar(choice.name) as on_progress:
            found[choice.name] = inverting(pixels, on_progress)
        sheet = alternate(pixels, *(inversion.images for inversion in found.values()))
        group = 1 + len(found)  # a pair, or three
        columns = group * min(len(pixels), COLUMNS // 2)
        save_image(folder / "sheet.png", tile(sheet, columns, group))
        save_images(folder / "images", unique_stems(names), found[choice.name].images)
        _save_codes(folder, trained, choice, found[choice.name].codes, names)
        write_metrics(folder / "metrics.csv", names, found)
        if choice.steps:
            print(
                f"{choice.name}: {choice.steps} steps in {choice.space}; features compared: "
                f"{inverting.features}"
            )
    print_metrics(names, found)
    require_no(problems)


def _save_codes(
    folder: Path, trained: TrainedRun, choice: Choice, codes: np.ndarray, names: Sequence[str]
) -> None:
    """Write latents.npz or, of another space, w.npz (n, d_w) or w_plus.npz (n, num_ws, d_w)."""
    if choice.space == "z":
        save_latents(folder, trained, codes, names)
        return
    stem = _CODE_FILES[choice.space]
    np.savez(folder / f"{stem}.npz", names=np.array(names), **{stem: codes})


def compare(experiment: Path, steps: int | None, count: int) -> None:
    """Measure every method on every run of an experiment; print, draw and write it."""
    with shortage_reported("try fewer --images"), progress_bar("inverting") as on_progress:
        measured, problems = compare_inversions(experiment, steps, count, on_progress)
    rows = [each.row for each in measured]
    lines = write_inversions(rows, draw_sheet(measured), experiment)
    print_inversions(rows)
    print(*lines, sep="\n")
    require_no(problems)
