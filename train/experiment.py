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
from train.cluster import ALONE, WorkerLostError
from train.device import cores, device_name, import_tensorflow, settle, use_gpus, visible_gpus
from train.job import Connected, Job, cluster_of, feature_cache, require_divisible, run_job
from train.run_folder import RunFolder
from train.signals import Stopped

_WAIT_SECONDS = 0.5


class Prepared(NamedTuple):
    """What `prepare` found out."""

    steps_per_epoch: int
    gpus: int
    device: str
    precisions: list[str]


class JobError(Exception):
    """A job ended before its time, by a fault of the program perhaps: then with its traceback."""


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


def prepare(config, jobs, out):
    """Let fail now whatever would fail later: folders, data, feature network. Returns `Prepared`.

    Raises UserError.
    """
    cluster = cluster_of(config)
    if cluster.is_chief:
        for job in jobs:
            RunFolder(job.folder).create()
            RunFolder(job.folder).check_config(config)
    tf = import_tensorflow()
    from data import prepare as prepare_data
    from evaluate.features import load_features
    from train.display import progress

    gpus = len(tf.config.list_physical_devices("GPU"))
    if cluster is not ALONE:
        require_divisible(config, len(cluster.addresses) * max(1, gpus))

    with progress("looking at the data") as report:
        sizes, left_out = prepare_data(config, report)
    if left_out:
        print(f"{left_out} bad images are left out; `python main.py check-data` lists them")
    load_features(config.evaluate.features, feature_cache(out))
    return Prepared(
        steps_per_epoch=sizes["train"] // config.train.batch_size,
        gpus=gpus,
        device=device_name(tf),
        precisions=sorted(
            {settle(tf, config, RunFolder(j.folder).recorded()).train.precision for j in jobs}
        ),
    )


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


def default_workers(settings, gpus, jobs):
    """As many runs at once as there are GPUs, or else cores; one, if it is to have all of them.

    `settings` is a `config.TrainConfig`.
    """
    if settings.distribution not in ("auto", "none"):
        return 1
    return max(1, min(len(jobs), gpus or cores()))


class _Running(NamedTuple):
    process: Any
    gpus: list[str]
    since: float


def run_experiment(config, jobs, out, workers, report, gpus=0):
    """Run the jobs, `workers` at a time, each in a process of its own with its share of devices.

    These are the cores, and so many `gpus`. A job that raises UserError does not stop the others;
    returns the messages of those that did. Raises JobError for a fault of the program or a process
    that was killed: the others are stopped then, and go on from their last checkpoint next time.
    With multi_worker, raises UserError if the other processes cannot be reached.
    """
    workers = min(workers, len(jobs))
    threads = max(1, cores() // workers)
    messages = processes.Queue()
    waiting, running, failures, connected = deque(jobs), {}, [], set()
    free = deque(share_out(visible_gpus(gpus), workers))
    cluster = cluster_of(config)

    def handle(message):
        connected.add(message.job) if isinstance(message, Connected) else report(message)

    try:
        while waiting or running:
            while waiting and free:
                job, of_job = waiting.popleft(), free.popleft()
                process = processes.start(_work, config, job, out, messages, threads, of_job)
                running[job] = _Running(process, of_job, time.monotonic())
            ended = [job for job in running if not running[job].process.is_alive()]
            failures += _handle_messages(messages, handle)  # of those that ended, the last words
            for job in ended:
                process, of_job, _ = running.pop(job)
                free.append(of_job)
                process.join()
                if (
                    process.exitcode > 128
                ):  # asked to by a signal, here or where others train with it
                    raise Stopped(process.exitcode - 128)
                if process.exitcode:
                    raise JobError(f"{job} was killed (exit code {process.exitcode})")
            if cluster is not ALONE:
                _require_connection(config, cluster, running, connected)
    finally:
        if cluster is not ALONE:
            for job in running.keys() - connected:
                running[job].process.kill()  # TensorFlow waits, and lets Python do nothing
        processes.end([each.process for each in running.values()])
    return failures


def _require_connection(config, cluster, running, connected):
    """Raise UserError if a job has waited too long for the others that TF_CONFIG lists."""
    seconds = config.train.connect_seconds
    for job in running.keys() - connected:
        if time.monotonic() > running[job].since + seconds:
            silent = ", ".join(cluster.unreachable()) or "the others, which listen but do not agree"
            raise UserError(
                f"TF_CONFIG: no connection within {seconds} seconds (train.connect_seconds) to "
                f"{silent}"
            )


def share_out(gpus, workers):
    """For each of several runs at once, the GPUs that it has for itself, or the one it shares."""
    if not gpus:
        return [[] for _ in range(workers)]
    return [gpus[index::workers] or [gpus[index % len(gpus)]] for index in range(workers)]


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


def _work(config, job, out, messages, threads, gpus):
    """The main function of a job's process."""
    if gpus:
        use_gpus(gpus)
    try:
        run_job(config, job, out, messages.put, threads)
        return
    except Stopped:
        messages.cancel_join_thread()  # nobody may be there to listen
        raise
    except (UserError, OSError) as error:
        message = UserError(f"{job}: {in_one_line(error)}")
    except WorkerLostError as error:
        message = JobError(f"{job}: {error}")
    except Exception:  # an exception of TensorFlow may not survive the way to the parent
        message = JobError(f"{job}:\n{traceback.format_exc()}")
    messages.put(message)
    if config.train.distribution == "multi_worker":
        messages.close()
        messages.join_thread()
        os._exit(0)  # at its end TensorFlow may wait for processes that are gone
