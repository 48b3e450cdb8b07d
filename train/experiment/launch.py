"""The jobs of an experiment, side by side in processes of their own. See `run_jobs`."""

import os
import queue
import time
import traceback
from collections import deque
from collections.abc import Collection, Sequence
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

from config import UserError, in_one_line
from train.experiment.jobs import (
    Connected,
    Event,
    Job,
    Measuring,
    OnEvent,
)
from train.runtime import processes
from train.runtime.cluster import Cluster, ProcessLostError
from train.runtime.processes import FaultError
from train.runtime.signals import SIGNALS, Stopped
from train.runtime.startup import cores, import_tensorflow, use_gpus, visible_gpus

_WAIT_SECONDS = 0.5


def default_jobs_at_once(jobs: Sequence[Job], gpus: int) -> int:
    """One job for each GPU, or without GPUs for each core; 1 if a job uses several devices."""
    if any(job.config.train.distribution not in ("auto", "none") for job in jobs):
        return 1
    return max(1, min(len(jobs), gpus or cores()))


def run_jobs(
    jobs: Sequence[Job],
    cluster: Cluster,
    measuring: Measuring,
    on_event: OnEvent,
    jobs_at_once: int,
    gpus: int = 0,
) -> list[str]:
    """Train jobs, `jobs_at_once` at a time, each in a process with its share of cores and `gpus`.

    A job that raises UserError does not stop the others; returns the messages of such jobs. Raises
    FaultError for a fault of the program or a process that was killed: the other jobs are stopped
    then, and go on from their last checkpoint next time. With multi_worker, raises UserError if the
    other processes cannot be reached.
    """
    launcher = _Launcher(cluster, measuring, on_event, min(jobs_at_once, len(jobs)), gpus)
    waiting = deque(jobs)
    try:
        while waiting or launcher.running:
            while launcher.free_gpus and (job := take_ready(waiting, launcher.running)):
                launcher.start(job)
            launcher.watch()
    finally:
        launcher.end()
    return launcher.failures


def take_ready(waiting: deque[Job], running: Collection[Job]) -> Job | None:
    """Remove the first job that needs no generator of a job that waits or runs; None if all do."""
    unfinished = {job.folder for job in (*waiting, *running)}
    for job in waiting:
        if job.first_run not in unfinished:
            waiting.remove(job)
            return job
    return None


class _Running(NamedTuple):
    process: BaseProcess
    gpus: list[str]
    since: float


class _Launcher:
    """The processes of the jobs that run now, and their messages."""

    def __init__(
        self,
        cluster: Cluster,
        measuring: Measuring,
        on_event: OnEvent,
        jobs_at_once: int,
        gpus: int,
    ) -> None:
        self.cluster, self.measuring, self.on_event = cluster, measuring, on_event
        self.threads = max(1, cores() // jobs_at_once)
        self.free_gpus = deque(share_out(visible_gpus(gpus), jobs_at_once))  # one share a job
        self.messages = processes.Queue()
        self.running: dict[Job, _Running] = {}
        self.connected: set[Job] = set()
        self.failures: list[str] = []

    def start(self, job: Job) -> None:
        """Start a job with a free share of the GPUs."""
        gpus = self.free_gpus.popleft()
        process = processes.start(
            _work, job, self.cluster, self.measuring, self.messages, self.threads, gpus
        )
        self.running[job] = _Running(process, gpus, time.monotonic())

    def watch(self) -> None:
        """Handle messages for half a second, then finish jobs that had ended before."""
        ended = [job for job in self.running if not self.running[job].process.is_alive()]
        self._handle_messages()
        for job in ended:
            self._finish(job)
        if not self.cluster.is_alone:
            self._require_connection()

    def end(self) -> None:
        """Stop everything that runs; it saves a checkpoint first."""
        if not self.cluster.is_alone:
            for job in self.running.keys() - self.connected:
                self.running[job].process.kill()  # TensorFlow waits, and lets Python do nothing
        processes.end([each.process for each in self.running.values()])

    def _finish(self, job: Job) -> None:
        """Give an ended job's GPUs back. Raises `Stopped` for a signal, FaultError for a kill."""
        process, gpus, _ = self.running.pop(job)
        self.free_gpus.append(gpus)
        process.join()
        number = process.exitcode - 128
        if number in SIGNALS:  # one asked it to, here or in another process of the cluster
            raise Stopped(number)
        if process.exitcode:
            raise FaultError(f"{job} was killed (exit code {process.exitcode})")

    def _handle_messages(self) -> None:
        """Pass events on for half a second; raise a FaultError, note the texts of UserErrors."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while (remaining := deadline - time.monotonic()) > 0:
            try:
                message: Event | Exception = self.messages.get(timeout=remaining)
            except queue.Empty:
                return
            if isinstance(message, UserError):
                self.failures.append(str(message))
            elif isinstance(message, FaultError):
                raise message
            elif isinstance(message, Connected):
                self.connected.add(message.job)
            else:
                self.on_event(message)

    def _require_connection(self) -> None:
        """Raise UserError if a job has waited too long for the others that TF_CONFIG lists."""
        for job in self.running.keys() - self.connected:
            seconds = job.config.train.connect_seconds
            if time.monotonic() > self.running[job].since + seconds:
                silent = ", ".join(self.cluster.unreachable())
                raise UserError(
                    f"TF_CONFIG: no connection within {seconds} seconds (train.connect_seconds) to "
                    f"{silent or 'the others, which listen but do not agree'}"
                )


def share_out(gpus: Sequence[str], jobs_at_once: int) -> list[list[str]]:
    """Each job's own GPUs, or one shared GPU if there are fewer GPUs than jobs."""
    if not gpus:
        return [[] for _ in range(jobs_at_once)]
    return [
        list(gpus[index::jobs_at_once]) or [gpus[index % len(gpus)]]
        for index in range(jobs_at_once)
    ]


def _work(
    job: Job,
    cluster: Cluster,
    measuring: Measuring,
    messages: Any,
    threads: int,
    gpus: Sequence[str],
) -> None:
    """The main function of a job's process."""
    if gpus:
        use_gpus(gpus)
    try:
        import_tensorflow()
        from train.experiment.training import run_job

        run_job(job, cluster, measuring, messages.put, threads)
        return
    except Stopped:
        messages.cancel_join_thread()  # nobody may be there to listen
        raise
    except (UserError, OSError) as error:
        message = UserError(f"{job}: {in_one_line(error)}")
    except ProcessLostError as error:
        message = FaultError(f"{job}: {error}")
    except Exception:  # an exception of TensorFlow may not survive the way to the parent
        message = FaultError(f"{job}:\n{traceback.format_exc()}")
    messages.put(message)
    if job.config.train.distribution == "multi_worker":
        messages.close()
        messages.join_thread()
        os._exit(0)  # at its end TensorFlow may wait for processes that are gone
