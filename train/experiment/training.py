"""One job in this process. See `run_job`."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from config import Config
from config.sections import TrainConfig
from data.loading import ImagesRecord, check_size, open_splits
from data.stored import Images
from train.experiment.first_run import record_first_run
from train.experiment.jobs import (
    Connected,
    Job,
    Measuring,
    OnEvent,
    Resumed,
    StepsDone,
    require_divisible,
)
from train.loop import train_run
from train.methods import make_trainer
from train.runs.folder import RunFolder
from train.runs.writer import RunWriter
from train.runtime.cluster import Cluster
from train.runtime.device import Device, set_up_device
from train.runtime.distribution import Processes, lost_process_reported, open_strategy
from train.runtime.failures import shortage_reported
from train.runtime.startup import cores


def run_job(
    job: Job, cluster: Cluster, measuring: Measuring, on_event: OnEvent, threads: int | None = None
) -> None:
    """Train one job, in this process, from where it stopped.

    `on_event` takes each `StepsDone`; before them, a `Connected` with multi_worker and a `Resumed`
    if the run goes on. `threads` is how many cores to use, by default all. A run that goes on keeps
    the number of cores that it began with, on which its last bits depend, and its precision.

    It trains on several devices as `train.distribution` says; with multi_worker, each process of
    `cluster` calls this at the same time. Raises UserError, and ProcessLostError if another process
    ends before.
    """
    writer = RunWriter(job.folder, cluster.is_chief)
    recorded = job.folder.recorded()
    threads = recorded.get("threads") or threads or cores()
    device = set_up_device(job.config.train, threads, recorded)
    strategy = open_strategy(device.train_config.distribution)
    if not cluster.is_alone:
        on_event(Connected(job))
    require_divisible(job.config, strategy.num_replicas_in_sync)
    with writer.locked(), shortage_reported(), lost_process_reported(cluster):
        images, images_record = open_splits(job.config.data)
        if cluster.is_chief:
            job.check_images(images_record)  # they may have changed since the preparation
        replicas = strategy.num_replicas_in_sync
        _write_config(job, writer, device, threads, replicas, images_record)
        _train(
            job, images, images_record, writer, strategy, device.train_config, measuring, on_event
        )


def _write_config(
    job: Job,
    writer: RunWriter,
    device: Device,
    threads: int,
    replicas: int,
    images_record: ImagesRecord,
) -> None:
    """Record the run's config, and with what it is begun."""
    writer.write_config(
        job.config,
        job.run,
        job.seed,
        f"{device.name}, {replicas} replicas" if replicas > 1 else device.name,
        images=images_record,
        threads=threads,
        precision=device.train_config.precision,
        jit_compile=device.train_config.jit_compile,
        **(record_first_run(job) if writer.is_chief else {}),
    )


def _train(
    job: Job,
    images: Mapping[str, Images],
    images_record: ImagesRecord,
    writer: RunWriter,
    strategy: tf.distribute.Strategy,
    train_config: TrainConfig,
    measuring: Measuring,
    on_event: OnEvent,
) -> None:
    """Make the networks, make sure that all processes have the same, and train."""
    with strategy.scope():  # the variables made here have a copy on each replica
        processes = Processes()
        decided = {key: getattr(train_config, key) for key in ("precision", "jit_compile")}
        train_config = train_config.model_copy(update=processes.from_chief(decided))
        config = job.config.model_copy(update={"train": train_config})
        processes.require_same("settings", [_shared_settings(config), job.run, job.seed])
        processes.require_same("images", images_record)
        trainer = make_trainer(config, None, job.seed)
        check_size(config, "test", len(images["test"]))
        evaluator = measuring.open(config, trainer.evaluated(), processes, images["test"])
    processes.require_same("test images or features", evaluator.protocol(epoch=1))
    is_new = processes.from_chief(not job.folder.saved_steps())
    if is_new and (first := processes.from_chief(job.folder.recorded().get("first_run"))):
        trainer.take_generator(RunFolder(first["path"]), first["step"])

    def on_resume(epoch: int, step: int, is_done: bool) -> None:
        on_event(Resumed(job, epoch, step, is_done))

    def on_steps(epoch: int, step: int, row: dict[str, Any]) -> None:
        on_event(StepsDone(job, epoch, step, row))

    train_run(config, trainer, images["train"], evaluator, writer, job.seed, on_resume, on_steps)


def _shared_settings(config: Config) -> dict[str, Any]:
    """The settings that all processes must share: all but the paths of files."""
    return config.model_dump(exclude={"data": {"source", "cache_folder"}, "evaluate": {"features"}})
