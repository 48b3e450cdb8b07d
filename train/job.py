"""One run with one seed: `run_job` trains it, `evaluate_run` measures it again."""

import contextlib
from pathlib import Path
from typing import Any, NamedTuple

from config import UserError
from train.cluster import ALONE, read_cluster
from train.device import cores, first_line, import_tensorflow, set_up_device, settle
from train.run_folder import RunFolder


class Job(NamedTuple):
    """One run with one seed, and its folder."""

    run: str
    seed: int
    folder: Path

    def __str__(self):
        return f"{self.run} seed {self.seed}"


class Connected(NamedTuple):
    """What a job reports when it has reached all the processes that it trains with."""

    job: Job


class Report(NamedTuple):
    """What a job reports: steps done in an epoch, and the latest metrics or the epoch's row."""

    job: Job
    epoch: int
    step: int
    row: dict[str, Any]


def feature_cache(out):
    """Where trained feature networks are kept, shared by all experiments under `out`."""
    return Path(out) / "features"


def cluster_of(config):
    """The `Cluster` of a multi_worker training, else of this process alone. Raises UserError."""
    return read_cluster() if config.train.distribution == "multi_worker" else ALONE


def require_divisible(config, replicas):
    """Raise UserError unless a batch can be cut into equal parts for so many replicas."""
    size = config.train.batch_size
    if size % replicas:
        raise UserError(
            f"train.batch_size: {size} cannot be shared out equally among {replicas} replicas; use "
            "a multiple of that, or train.distribution: none"
        )


def run_job(config, job, out, report, threads=None):
    """Train one run, in this process, from where it stopped.

    `report` takes each `Report`, and with multi_worker a `Connected` first.

    `threads` is how many cores to use, by default all. A run that goes on uses as many as it began
    with, on which its last bits depend, and its precision.

    It trains on several devices as `train.distribution` says; with multi_worker, each process does
    this at the same time. Raises UserError, and WorkerLostError if another of them ends before.
    """
    tf = import_tensorflow()
    folder = RunFolder(job.folder)
    cluster = cluster_of(config)
    if cluster.is_chief:
        folder.create()
    recorded = folder.recorded()
    threads = recorded.get("threads") or threads or cores()
    settled = settle(tf, config, recorded)
    device = set_up_device(tf, settled.train, threads)
    from data import SPLITS, open_images
    from train.distribution import Workers, open_strategy, told_when_a_worker_is_lost
    from train.loop import train_run

    strategy = open_strategy(settled.train.distribution)
    if cluster is not ALONE:
        report(Connected(job))
    replicas = strategy.num_replicas_in_sync
    require_divisible(config, replicas)

    def report_progress(epoch, step, row):
        report(Report(job, epoch, step, row))

    with (
        folder.locked() if cluster.is_chief else contextlib.nullcontext(),
        told_when_memory_ends(tf),
        told_when_a_worker_is_lost(cluster),
    ):
        begun_with = {
            "threads": threads,
            "precision": settled.train.precision,
            "jit_compile": settled.train.jit_compile,
        }
        if cluster.is_chief:
            device += f", {replicas} replicas" if replicas > 1 else ""
            folder.write_config(config, job.run, job.seed, device, **begun_with)
        images = {split: open_images(config.data, split) for split in SPLITS}
        with strategy.scope():
            workers = Workers()
            settled = settle(tf, config, workers.from_chief(begun_with))
            sizes = [len(of_split) for of_split in images.values()]
            workers.require_same("settings", [_shared(settled), job.run, job.seed])
            workers.require_same("numbers of images", sizes)
            trainer, evaluator = _open_run(settled, job.run, job.seed, out, images["test"])
        workers.require_same("test images or features", evaluator.protocol(epoch=1))
        train_run(config, trainer, images["train"], evaluator, folder, job.seed, report_progress)


def _shared(config):
    """The settings that all processes must share, unlike the paths of files."""
    return config.model_dump(exclude={"data": {"source", "cache_folder"}, "evaluate": {"features"}})


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
    from data import open_images

    settled = settle(tf, config, folder.recorded())
    trainer, evaluator = _open_run(settled, run, seed, out, open_images(config.data, "test"))
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


def _open_run(config, run, seed, out, test_images):
    """The trainer and the evaluator of a run."""
    from data import check_size
    from evaluate.evaluator import Evaluator
    from evaluate.features import load_features
    from train.step import Trainer

    cache = feature_cache(out)
    features = load_features(config.evaluate.features, cache)
    trainer = Trainer(config, run, seed)
    check_size(config, "test", len(test_images))
    return trainer, Evaluator(config, trainer, test_images, features, cache)
