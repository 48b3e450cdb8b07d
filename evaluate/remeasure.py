"""The metrics of a run's checkpoint, measured again. See `remeasure`."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data.loading import check_size, open_images
from evaluate.measuring import Measuring
from evaluate.trained_run import LAST, TrainedRun
from train.runs.folder import RunFolder
from train.runtime.device import resolve_auto
from train.runtime.distribution import Processes


class Remeasured(NamedTuple):
    """An epoch's row as recorded and as measured again, and metrics of each image by name.

    `trained` is the run at the checkpoint that was measured.
    """

    trained: TrainedRun
    recorded: dict[str, Any]
    measured: dict[str, Any]
    per_image: dict[str, np.ndarray]


def remeasure(path: Path, checkpoint: str = LAST, raw: bool = False) -> Remeasured:
    """Measure a checkpoint of a run in the run's precision; "last" is the newest that has a row.

    With `raw`, the last weights are measured; a run with averages has recorded those of the
    averages. The recorded row of an imported run, which was not trained on, has no metrics. Raises
    UserError if the folder holds no run, or no such checkpoint with the row of its epoch, and for
    `raw` if the run has no averages.
    """
    folder = RunFolder(path)
    record = folder.read()
    config, recorded = record.config, record.recorded
    rows = {row.get("step"): row for row in folder.evaluated_rows()}
    if "imported" in recorded:
        rows.setdefault(0, {"epoch": 0})
    precision = resolve_auto(config.train, recorded).precision
    trained = TrainedRun(path, checkpoint, precision, rows.keys(), raw)
    test_images = open_images(config.data, "test")
    check_size(config, "test", len(test_images))
    measuring = Measuring(folder.results_folder)
    evaluator = measuring.open(config, trained.model, Processes(), test_images)
    row = rows[trained.step]
    measured, per_image = evaluator.measure(row["epoch"])
    measured["protocol"] = evaluator.protocol(row["epoch"])
    return Remeasured(trained, row, measured, per_image)
