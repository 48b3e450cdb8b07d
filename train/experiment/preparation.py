"""Everything that training needs, checked before it starts. See `prepare_apart`."""

import contextlib
import queue
import traceback
from collections.abc import Sequence

from config import UserError, in_one_line
from train.experiment.jobs import Job, Measuring, Prepared
from train.runtime import processes
from train.runtime.cluster import Cluster
from train.runtime.startup import import_tensorflow

_WAIT_SECONDS = 0.5


class JobError(Exception):
    """A fault of the program ended a job (the message has a traceback), or a kill did."""


def prepare(jobs: Sequence[Job], cluster: Cluster, measuring: Measuring) -> Prepared:
    """Check folders, data and feature network before training starts. Raises UserError."""
    if cluster.is_chief:
        for job in jobs:
            job.check_folder()
        for job in jobs:
            job.folder.create()
    import_tensorflow()
    from train.experiment.checks import check_jobs

    return check_jobs(jobs, cluster, measuring)


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
