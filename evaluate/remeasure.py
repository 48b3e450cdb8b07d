"""The metrics of a run's last checkpoint, measured again. See `remeasure`."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data.loading import check_size, open_images
from evaluate.measuring import Measuring
from evaluate.trained_run import TrainedRun
from train.runs.folder import RunFolder
from train.runtime.device import resolve_auto
from train.runtime.distribution import Processes


class Remeasured(NamedTuple):
    """An epoch's row as recorded and as measured again, and metrics of each image by name."""

    recorded: dict[str, Any]
    measured: dict[str, Any]
    per_image: dict[str, np.ndarray]


def remeasure(path: Path) -> Remeasured:
    """Measure the newest checkpoint of a run that has a row, in the run's precision.

    The recorded row of an imported run, which was not trained on, has no metrics. Raises UserError
    if the folder holds no run, or none with a checkpoint and the row of its epoch.
    """
    folder = RunFolder(path)
    record = folder.read()
    config, recorded = record.config, record.recorded
    rows = {row["step"]: row for row in folder.evaluated_rows()}
    if "imported" in recorded:
        rows.setdefault(0, {"epoch": 0})
    precision = resolve_auto(config.train, recorded).precision
    trained = TrainedRun(path, precision, steps=rows.keys())
    test_images = open_images(config.data, "test")
    check_size(config, "test", len(test_images))
    measuring = Measuring(folder.results_folder)
    evaluator = measuring.open(config, trained.model, Processes(), test_images)
    row = rows[trained.step]
    measured, per_image = evaluator.measure(row["epoch"])
    return Remeasured(row, measured | {"protocol": evaluator.protocol(row["epoch"])}, per_image)
