"""Everything that training needs, checked before it starts. See `prepare_apart`."""

import contextlib
import queue
import traceback
from collections.abc import Sequence
from typing import NamedTuple

from config import UserError, in_one_line
from train.experiment.display import progress_bar
from train.experiment.jobs import Job, Measuring, require_divisible
from train.runtime import processes
from train.runtime.cluster import Cluster
from train.runtime.startup import import_tensorflow

_WAIT_SECONDS = 0.5


class Prepared(NamedTuple):
    """What `prepare` found out; `steps_per_epoch` has one number for each job."""

    steps_per_epoch: list[int]
    gpus: int
    device: str
    precisions: list[str]


class JobError(Exception):
    """A fault of the program ended a job (the message has a traceback), or a kill did."""


def prepare(jobs: Sequence[Job], cluster: Cluster, measuring: Measuring) -> Prepared:
    """Check folders, data and feature network before training starts. Raises UserError."""
    if cluster.is_chief:
        for job in jobs:
            job.folder.create()
            job.check_folder()
    import_tensorflow()
    from data.loading import prepare as prepare_data
    from train.runtime.device import device_name, gpu_count, resolve_auto

    gpus = gpu_count()
    steps_per_epoch, checked = [], {}
    for job in jobs:
        if not cluster.is_alone:
            require_divisible(job.config, len(cluster.addresses) * max(1, gpus))
        needs = job.config.model_dump_json(include={"data", "evaluate"})
        key = f"{needs} {job.config.train.batch_size}"
        if key not in checked:
            with progress_bar("looking at the data") as on_progress:
                sizes, left_out = prepare_data(job.config, on_progress)
            if left_out:
                print(f"{left_out} bad images are left out; `python main.py check-data` lists them")
            measuring.check(job.config)
            checked[key] = sizes["train"] // job.config.train.batch_size
        steps_per_epoch.append(checked[key])
    precisions = {resolve_auto(job.config.train, job.folder.recorded()).precision for job in jobs}
    return Prepared(steps_per_epoch, gpus, device_name(), sorted(precisions))


def prepare_apart(jobs: Sequence[Job], cluster: Cluster, measuring: Measuring) -> Prepared:
    """`prepare` in a process of its own. Raises JobError too, if that is killed."""
    answers = processes.Queue()
    process = processes.start(_prepare_and_answer, jobs, cluster, measuring, answers)
    answer = None
    try:
        while answer is None:
            is_alive = process.is_alive()
            with contextlib.suppress(queue.Empty):
                answer = answers.get(timeout=_WAIT_SECONDS)
            if answer is None and not is_alive:
                raise JobError(f"the preparation was killed (exit code {process.exitcode})")
    finally:
        process.kill()
        process.join()
    if isinstance(answer, Exception):
        raise answer
    return answer


def _prepare_and_answer(
    jobs: Sequence[Job], cluster: Cluster, measuring: Measuring, answers: "processes.Queue"
) -> None:
    try:
        answers.put(prepare(jobs, cluster, measuring))
    except (UserError, OSError) as error:
        answers.put(UserError(in_one_line(error)))
    except Exception:
        answers.put(JobError(f"preparation:\n{traceback.format_exc()}"))
