"""All jobs of a command: their folders, preparation, processes and progress. See `train_jobs`."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from train.experiment.display import Display
from train.experiment.first_run import check_first_runs
from train.experiment.jobs import Job, Measuring
from train.experiment.launch import default_jobs_at_once, run_jobs
from train.experiment.preparation import prepare_apart
from train.runtime.cluster import Cluster

Summarise = Callable[[Mapping[str, Any]], str]  # the main metrics of a row in a few words


def check_folders(jobs: Sequence[Job], cluster: Cluster, fresh: bool) -> None:
    """Move old runs aside if asked to; refuse what the jobs cannot begin with, or go on in."""
    if cluster.is_chief:
        for job in jobs:
            if fresh and (aside := job.folder.move_aside()):
                print(f"moved {job.folder.path} to {aside}")
            job.check_folder()
        check_first_runs(jobs)


def train_jobs(
    jobs: Sequence[Job],
    cluster: Cluster,
    measuring: Measuring,
    summarise: Summarise,
    jobs_at_once: int | None = None,
) -> list[str]:
    """Train jobs side by side; returns the messages of those that failed, see `run_jobs`."""
    start = time.perf_counter()
    print("looking at the data and the feature network ...", flush=True)
    for job in jobs:
        measuring.train_features(job.config)
    prepared = prepare_apart(jobs, cluster, measuring)
    print(f"training in {' and '.join(prepared.precisions)} on {prepared.device}")
    count = jobs_at_once or default_jobs_at_once(jobs, prepared.gpus)
    with Display(jobs, prepared.steps_per_epoch, summarise) as display:
        failures = run_jobs(jobs, cluster, measuring, display.update, count, prepared.gpus)
    print(f"trained in {(time.perf_counter() - start) / 60:.1f} minutes")
    return failures
