"""The commands about whole experiments that compute with TensorFlow, behind main.py's options."""

import json
from pathlib import Path

from config import Config, UserError
from config.runs import group_runs
from data.preflight import check_data as read_everything
from data.preflight import summary_lines
from data.storage import write_whole
from evaluate.measuring import Measuring
from evaluate.plan import make_plan
from evaluate.plan_lines import plan_lines
from evaluate.remeasure import remeasure
from evaluate.report.results import print_comparison
from evaluate.report.terminal import print_lines
from train.experiment.checks import CHECKED
from train.experiment.display import progress_bar


def plan(config: Config, out: Path, jobs_at_once: int | None) -> None:
    """Print what an experiment would take."""
    with progress_bar("looking at the data") as on_progress:
        made = make_plan(config, out, jobs_at_once, on_progress)
    print_lines(plan_lines(made))


def check_data(config: Config, path: Path, measuring: Measuring) -> bool:
    """Print what is in the data, and write it to `path`; returns whether training can begin.

    Runs with data of their own are told apart by their names.
    """
    groups = group_runs(config, include=CHECKED)
    findings = {}
    for names, run_config in groups:
        with progress_bar("reading all images") as on_progress:
            found = findings[", ".join(names)] = read_everything(run_config, on_progress)
        try:
            measuring.check(run_config)
        except UserError as error:
            found["failures"].append(str(error))
        if len(groups) > 1:
            print(f"runs {', '.join(names)}:")
        print(*summary_lines(found), sep="\n")
    result = findings if len(groups) > 1 else found
    text = json.dumps(result, indent=1, ensure_ascii=False)
    write_whole(path, lambda unfinished: unfinished.write_text(text, encoding="utf-8"))
    print(f"all of it is in {path}")
    return not any(found["failures"] for found in findings.values())


def evaluate(run: Path, checkpoint: str, raw: bool) -> None:
    """Print the metrics of a run's checkpoint as recorded and as measured again."""
    trained, *metrics = remeasure(run, checkpoint, raw)
    print(f"from {trained}")
    if raw:
        print("recorded: the metrics of the averaged weights")
    print_comparison(*metrics)
