"""The runs of an experiment, side by side in processes of their own. See `run_experiment`."""

import contextlib
import os
import queue
import time
import traceback
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

from config import UserError, in_one_line
from train import processes
from train.device import device_name, first_line, import_tensorflow, set_up_device, settle
from train.run_folder import RunFolder
from train.signals import Stopped

_WAIT_SECONDS = 0.5


class Job(NamedTuple):
    """One run with one seed, and its folder."""

    run: str
    seed: int
    folder: Path

    def __str__(self):
        return f"{self.run} seed {self.seed}"


class Report(NamedTuple):
    """What a job reports: steps done in an epoch, and the latest metrics or the epoch's row."""

    job: Job
    epoch: int
    step: int
    row: dict[str, Any]


class Prepared(NamedTuple):
    """What `prepare` found out."""

    steps_per_epoch: int
    gpus: int
    device: str
    precisions: list[str]


class JobError(Exception):
    """A fault of the program in a job; the message holds the job's traceback."""


def experiment_folder(config, out):
    return Path(out) / config.experiment.name


def list_jobs(config, out):
    """A job for each run and seed of the config."""
    folder = experiment_folder(config, out)
    return [
        Job(run, seed, folder / run / f"seed_{seed}")
        for seed in config.experiment.seeds
        for run in config.experiment.runs
    ]


def feature_cache(out):
    """Where trained feature networks are kept, shared by all experiments under `out`."""
    return Path(out) / "features"


def prepare(config, jobs, out):
    """Let fail now whatever would fail later: folders, data, feature network. Returns `Prepared`.

    Raises UserError.
    """
    for job in jobs:
        RunFolder(job.folder).create()
        RunFolder(job.folder).check_config(config)
    tf = import_tensorflow()
    from data import prepare as prepare_data
    from evaluate.features import load_features
    from train.display import progress

    with progress("looking at the data") as report:
        sizes, left_out = prepare_data(config, report)
    if left_out:
        print(f"{left_out} bad images are left out; `python main.py check-data` lists them")
    load_features(config.evaluate.features, feature_cache(out))
    return Prepared(
        steps_per_epoch=sizes["train"] // config.train.batch_size,
        gpus=len(tf.config.list_physical_devices("GPU")),
        device=device_name(tf),
        precisions=sorted(
            {settle(tf, config, RunFolder(j.folder).recorded()).train.precision for j in jobs}
        ),
    )


def run_job(config, job, out, report, threads=None):
    """Train one run, in this process, from where it stopped. `report` takes a `Report`.

    `threads` is how many cores to use, by default all. A run that goes on uses as many as it began
    with, on which its last bits depend, and its precision. Raises UserError.
    """
    tf = import_tensorflow()
    folder = RunFolder(job.folder)
    folder.create()
    recorded = folder.recorded()
    threads = recorded.get("threads") or threads or os.cpu_count()
    settled = settle(tf, config, recorded)
    device = set_up_device(tf, settled.train, threads)
    from data import open_images
    from train.loop import train_run

    def report_progress(epoch, step, row):
        report(Report(job, epoch, step, row))

    with folder.locked(), told_when_memory_ends(tf):
        folder.write_config(
            config,
            job.run,
            job.seed,
            device,
            threads=threads,
            precision=settled.train.precision,
            jit_compile=settled.train.jit_compile,
        )
        trainer, evaluator = _open_run(settled, job.run, job.seed, out)
        train_images = open_images(config.data, "train")
        train_run(config, trainer, train_images, evaluator, folder, job.seed, report_progress)


@contextlib.contextmanager
def told_when_memory_ends(tf, advice="try smaller batches, or fewer --jobs"):
    """Within, running out of memory raises UserError."""
    try:
        yield
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        raise UserError(f"out of memory; {advice} ({first_line(error)})") from error


def evaluate_run(path):
    """Measure a run's newest checkpoint again: (recorded row, new row, per-image metrics).

    The recorded row of an imported run, which was not trained on, has no metrics. Raises UserError
    if the folder holds no run, or none with a checkpoint and the row of its epoch.
    """
    tf = import_tensorflow()
    from train.checkpoints import Checkpoints

    folder = RunFolder(Path(path).resolve())
    config, run, seed = folder.read_config()
    is_in_place = folder.path.parent.name == run  # out / experiment / run / seed
    out = folder.path.parents[2] if is_in_place else folder.path
    trainer, evaluator = _open_run(settle(tf, config, folder.recorded()), run, seed, out)
    rows = {row["step"]: row for row in folder.evaluated_rows()}
    if "imported" in folder.recorded():
        rows.setdefault(0, {"epoch": 0})
    step = Checkpoints(trainer, folder).restore(rows)
    if step is None:
        raise UserError(f"{path}: no checkpoint of an epoch with metrics")
    recorded = rows[step]
    epoch = recorded["epoch"]
    row, per_image = evaluator.measure(epoch)
    return recorded, row | {"protocol": evaluator.protocol(epoch)}, per_image


def _open_run(config, run, seed, out):
    """The trainer and the evaluator of a run."""
    from data import check_size, open_images
    from evaluate.evaluator import Evaluator
    from evaluate.features import load_features
    from train.step import Trainer

    cache = feature_cache(out)
    features = load_features(config.evaluate.features, cache)
    trainer = Trainer(config, run, seed)
    test_images = open_images(config.data, "test")
    check_size(config, "test", len(test_images))
    return trainer, Evaluator(config, trainer, test_images, features, cache)


def prepare_apart(config, jobs, out):
    """`prepare` in a process of its own. Raises JobError too, if that is killed."""
    answers = processes.Queue()
    process = processes.start(_prepare_and_answer, config, jobs, out, answers)
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


def _prepare_and_answer(config, jobs, out, answers):
    try:
        answers.put(prepare(config, jobs, out))
    except (UserError, OSError) as error:
        answers.put(UserError(in_one_line(error)))
    except Exception:
        answers.put(JobError(f"preparation:\n{traceback.format_exc()}"))


def default_workers(gpus, jobs):
    """As many runs at once as there are cores; on a GPU, one."""
    return 1 if gpus else max(1, min(len(jobs), os.cpu_count()))


def run_experiment(config, jobs, out, workers, report):
    """Run the jobs, `workers` at a time, each in a process of its own with its share of the cores.

    A job that raises UserError does not stop the others; returns the messages of those that did.
    Raises JobError for a fault of the program or a process that was killed: the others are stopped
    then, and go on from their last checkpoint next time.
    """
    workers = min(workers, len(jobs))
    threads = max(1, os.cpu_count() // workers)
    messages = processes.Queue()
    waiting, running, failures = deque(jobs), {}, []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                job = waiting.popleft()
                running[job] = processes.start(_work, config, job, out, messages, threads)
            ended = [job for job, process in running.items() if not process.is_alive()]
            failures += _handle_messages(messages, report)  # of those that ended, the last words
            for job in ended:
                process = running.pop(job)
                process.join()
                if process.exitcode:
                    raise JobError(f"{job} was killed (exit code {process.exitcode})")
    finally:
        processes.end(running.values())
    return failures


def _handle_messages(messages, report):
    """Pass reports on for half a second; raise a JobError, return the texts of UserErrors."""
    failures = []
    deadline = time.monotonic() + _WAIT_SECONDS
    while (remaining := deadline - time.monotonic()) > 0:
        try:
            message = messages.get(timeout=remaining)
        except queue.Empty:
            break
        if isinstance(message, UserError):
            failures.append(str(message))
        elif isinstance(message, JobError):
            raise message
        else:
            report(message)
    return failures


def _work(config, job, out, messages, threads):
    """The main function of a job's process."""
    try:
        run_job(config, job, out, messages.put, threads)
    except Stopped:
        messages.cancel_join_thread()  # nobody may be there to listen
        raise
    except (UserError, OSError) as error:
        messages.put(UserError(f"{job}: {in_one_line(error)}"))
    except Exception:  # an exception of TensorFlow may not survive the way to the parent
        messages.put(JobError(f"{job}:\n{traceback.format_exc()}"))
