"""What an experiment will take, without training it. See `make_plan`."""

import glob
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from config import Config, UserError
from config.runs import group_runs
from data.loading import check_length, check_size, open_images, prepare, shuffled_batches
from data.stored import ArrayImages
from evaluate.element_changes import ElementChanges
from evaluate.evaluator import Evaluator
from evaluate.measuring import Measuring
from evaluate.metrics.frechet import frechet_distance
from evaluate.metrics.precision_recall import neighbour_metrics
from evaluate.sheet_layout import enlargement
from train.experiment.jobs import list_jobs
from train.experiment.launch import default_jobs_at_once
from train.flops import step_flops
from train.methods import make_trainer
from train.runtime.device import device_name, gpu_count, peak_memory, set_up_device
from train.runtime.failures import shortage_reported
from train.runtime.startup import cores
from train.step import Trainer
from train.timing import median_seconds, time_step

_READING_SECONDS = 5.0
_NEIGHBOUR_ROWS = 2000  # timed in place of all rows: the time grows with the square of their number
_SHEETS, _TILES = 12, 64  # image sheets of an epoch, and images on each
_COPIES_OF_SHEETS = 2  # one is for TensorBoard
_IMAGES_AS_SHEETS = 128  # measuring this many images takes as long as drawing the sheets
_FLOAT_BYTES = 4
_COPIES_OF_WEIGHTS = 3  # in a checkpoint: the weights and the two means of Adam; averages add one
_NO_COST = {  # these keys change neither time nor memory nor disk
    "experiment": True,
    "latent": {"prior", "dynamic_scale", "variance", "variance_decay"},
    "train": {
        "learning_rate",
        "mapper_learning_rate_multiplier",
        "beta_1",
        "beta_2",
        "weight_decay",
        "loss_reduction",
        "learning_rate_decay",
        "adversarial_loss",
        "wgan_gp_target",
        "drift_weight",
        "weight_clip",
        "encoder_weight",
        "encoder_loss_in",
        "from_run",
    },
}


class DataCost(NamedTuple):
    """Numbers of images and steps, and images a second that can be read; None without the data."""

    train_images: int
    test_images: int
    steps_per_epoch: int
    images_read_per_second: float | None


class StepCost(NamedTuple):
    """Parameters by network, and what a training step takes."""

    parameters: dict[str, int]
    flops_per_image: float
    seconds: float
    images_per_second: float
    memory_bytes: int


class RunCost(NamedTuple):
    """Cost of one run with one seed; `runs` names all runs with this cost."""

    runs: list[str]
    precision: str
    epochs: int
    evaluations: int
    data: DataCost
    step: StepCost
    evaluation_seconds: float
    checkpoint_bytes: int
    sheet_bytes: int
    cache_bytes: int  # which all runs share

    @property
    def training_seconds(self) -> float:
        return self.epochs * self.data.steps_per_epoch * self.step.seconds

    @property
    def all_evaluations_seconds(self) -> float:
        return self.evaluations * self.evaluation_seconds


class Plan(NamedTuple):
    """What an experiment takes: the cost of its runs, and what the numbers leave out."""

    name: str
    seeds: int
    jobs_at_once: int
    device: str
    costs: list[RunCost]
    missing: list[str]


def make_plan(
    config: Config,
    out: Path,
    jobs_at_once: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Plan:
    """Measure on this device what the runs of an experiment will take.

    It times some steps, the evaluation of a batch and some seconds of reading data, with the cores
    that each of `jobs_at_once` jobs would have. Data that is not there is left out if the config
    tells its size, and so are features that cannot be had; a disk cache is filled, as training
    would. Raises UserError for what training would refuse, and for too little memory.
    """
    jobs = list_jobs(config, out)
    jobs_at_once = min(jobs_at_once or default_jobs_at_once(jobs, gpu_count()), len(jobs))
    threads = max(1, cores() // jobs_at_once)
    set_up_device(config.train, threads)
    missing: list[str] = []
    with shortage_reported():
        costs = [
            _run_cost(run_config, names, out, missing, on_progress)
            for names, run_config in group_runs(config, exclude=_NO_COST)
        ]
    if any(job.config.train.distribution not in ("auto", "none") for job in jobs):
        missing.append("the other devices of train.distribution; times are for one device")
    seeds = len(config.experiment.seeds)
    unique = list(dict.fromkeys(missing))
    return Plan(config.experiment.name, seeds, jobs_at_once, device_name(threads), costs, unique)


def _run_cost(
    config: Config,
    runs: list[str],
    out: Path,
    missing: list[str],
    on_progress: Callable[[int, int], None] | None,
) -> RunCost:
    data = _read_data(config, missing, on_progress)
    trainer = make_trainer(config, None)
    step = _time_steps(trainer)
    evaluations = -(-config.train.epochs // config.evaluate.every)
    weights = sum(step.parameters.values()) * _FLOAT_BYTES
    checkpoints = config.train.keep_checkpoints + 2  # the best one, and one while it is written
    copies = _COPIES_OF_WEIGHTS + (config.train.average_decay is not None)
    size = config.data.resolution
    images = data.train_images + data.test_images
    tiles = _COPIES_OF_SHEETS * evaluations * _SHEETS * _TILES
    return RunCost(
        runs,
        trainer.train_config.precision,
        config.train.epochs,
        evaluations,
        data,
        step,
        _time_evaluation(config, trainer, data.test_images, out, missing),
        checkpoint_bytes=checkpoints * copies * weights,
        sheet_bytes=tiles * 3 * (size * enlargement(size)) ** 2,
        cache_bytes=images * 3 * size**2 if config.data.cache == "disk" else 0,
    )


def _read_data(
    config: Config, missing: list[str], on_progress: Callable[[int, int], None] | None
) -> DataCost:
    sizes = {"train": config.data.train_size, "test": config.data.test_size}
    kind, _, path = config.data.source.partition(":")
    is_absent = kind not in ("digits", "tfds") and not (os.path.exists(path) or glob.glob(path))
    rate = None
    if is_absent and None not in sizes.values():
        for split, size in sizes.items():
            check_size(config, split, size)
        missing.append(f"{path}; the config gives the numbers of images")
    else:
        sizes, _ = prepare(config, on_progress)
        rate = _reading_rate(config)
    check_length(config, sizes["train"])
    steps = sizes["train"] // config.train.images_per_step
    return DataCost(sizes["train"], sizes["test"], steps, rate)


def _reading_rate(config: Config) -> float:
    """Images a second."""
    batches = shuffled_batches(config, open_images(config.data, "train"), seed=0, epoch=1)
    start, images, seconds = time.perf_counter(), 0, 0.0
    for _ in batches:
        images += config.train.images_per_step
        if (seconds := time.perf_counter() - start) > _READING_SECONDS:
            break
    return images / seconds


def _time_steps(trainer: Trainer) -> StepCost:
    seconds = time_step(trainer, calls=1).mean
    return StepCost(
        trainer.networks.parameter_counts(),
        step_flops(trainer),
        seconds,
        trainer.images_per_step / seconds,
        peak_memory(),
    )


def _time_evaluation(
    config: Config, trainer: Trainer, test_images: int, out: Path, missing: list[str]
) -> float:
    """Seconds of one evaluation: its batches, and the comparison of their features."""
    features = None
    try:
        features = Measuring(out).load_features(config)
    except UserError as error:
        missing.append(f"features; evaluation is timed without ({error})")
    batch_size, size = config.evaluate.batch_size, config.data.resolution
    random = np.random.default_rng(0)
    real = random.uniform(-1.0, 1.0, (batch_size, size, size, 3)).astype(np.float32)
    evaluator = Evaluator(config, trainer, trainer.processes, ArrayImages(real))
    latents = trainer.sample_latents(batch_size, seed=0)

    def evaluate_batch() -> np.ndarray:
        are_finite = evaluator.measure_batch(real, latents)["is_finite"].numpy()
        return features.extract(real).numpy() if features else are_finite

    images = test_images // batch_size * batch_size
    width = evaluate_batch().shape[-1]
    seconds = (images + _IMAGES_AS_SHEETS) / batch_size * median_seconds(evaluate_batch)
    seconds += _time_moving(evaluator.element_changes)
    if features:
        samples = [random.standard_normal((images, width), np.float32) for _ in range(2)]
        rows = [sample[:_NEIGHBOUR_ROWS] for sample in samples]
        distances = 1 + config.evaluate.bootstrap
        seconds += distances * median_seconds(lambda: frechet_distance(*samples), calls=1)
        ratio = images / len(rows[0])
        seconds += ratio**2 * median_seconds(lambda: neighbour_metrics(*rows), calls=1)
    return seconds


def _time_moving(changes: ElementChanges) -> float:
    """Seconds of moving all latent elements, as only runs with dynamic latent scale do."""
    batch = changes.latents[np.zeros(changes.batch_size, int)]

    def move_batch() -> np.ndarray:
        return changes.measure_batch(batch, batch).numpy()

    move_batch()  # which also traces it
    return changes.latents.size / changes.batch_size * median_seconds(move_batch)
