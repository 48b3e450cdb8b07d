"""What an experiment will take, without training it. See `make_plan`."""

import glob
import os
import time

import numpy as np

from config import UserError
from train.device import cores, device_name, import_tensorflow, peak_memory, set_up_device, settle
from train.experiment import default_workers, list_jobs
from train.job import feature_cache, told_when_memory_ends

_GIGA = 1e9
_READING_SECONDS = 5.0
_NEIGHBOUR_ROWS = 2000  # timed in place of all, of which the time grows as the square
_SHEETS, _TILES = 12, 64  # image sheets of an epoch, and images on each
_COPIES_OF_SHEETS = 2  # one is for TensorBoard
_IMAGES_AS_SHEETS = 128  # to be measured, these take as long as the sheets do to be drawn
_FLOAT_BYTES = 4
_COPIES_OF_WEIGHTS = 3  # in a checkpoint: the weights and the two means of Adam


def make_plan(config, out, jobs=None, report=None):
    """Times, memory and disk of an experiment, as a dict; `plan_lines` puts them into words.

    Some steps, the evaluation of a batch and some seconds of reading data are timed on this device,
    with the cores that each of `jobs` runs at once would have. Data that is not there is left out,
    if the config tells its size, as are features that cannot be had; a disk cache is filled, as
    training would. Raises UserError for what training would refuse, and for too little memory.
    """
    tf = import_tensorflow()
    gpus = len(tf.config.list_physical_devices("GPU"))
    everything = list_jobs(config, out)
    workers = min(jobs or default_workers(config.train, gpus, everything), len(everything))
    threads = max(1, cores() // workers)
    settled = settle(tf, config)
    set_up_device(tf, settled.train, threads)
    plan = {
        "name": config.experiment.name,
        "runs": len(everything),
        "workers": workers,
        "device": device_name(tf, threads),
        "precision": settled.train.precision,
        "missing": [],
    }
    if config.train.distribution not in ("auto", "none"):
        plan["missing"].append("the other devices of train.distribution; times are those of one")
    plan |= _read_data(config, plan["missing"], report)
    with told_when_memory_ends(tf):
        plan |= _time_training(settled)
        plan |= _time_evaluation(settled, plan, out)
    return plan | _size_of_files(config, plan)


def _read_data(config, missing, report):
    """Sizes of the splits, steps an epoch, images a second that can be read (None without data)."""
    from data import check_size, open_images, prepare, shuffled_batches

    sizes = {"train": config.data.train_size, "test": config.data.test_size}
    kind, _, path = config.data.source.partition(":")
    is_absent = kind not in ("digits", "tfds") and not (os.path.exists(path) or glob.glob(path))
    rate = None
    if is_absent and None not in sizes.values():
        for split, size in sizes.items():
            check_size(config, split, size)
        missing.append(f"{path}; the numbers of images are those of the config")
    else:
        sizes, _ = prepare(config, report)
        batches = shuffled_batches(config, open_images(config.data, "train"), seed=0, epoch=1)
        start, images = time.perf_counter(), 0
        for _ in batches:
            images += config.train.batch_size
            if (seconds := time.perf_counter() - start) > _READING_SECONDS:
                break
        rate = images / seconds
    return {
        "train_images": sizes["train"],
        "test_images": sizes["test"],
        "steps_per_epoch": sizes["train"] // config.train.batch_size,
        "images_read_per_second": rate,
    }


def _time_training(config):
    from models.flops import step_flops
    from train.step import Trainer
    from train.timing import time_step

    tf = import_tensorflow()
    trainer = Trainer(config, config.experiment.runs[0])
    seconds = time_step(config, trainer, calls=1).mean
    return {
        "parameters": {n: net.count_params() for n, net in trainer.networks._asdict().items()},
        "step_flops_per_image": step_flops(trainer.networks, config.train),
        "step_seconds": seconds,
        "images_per_second": config.train.batch_size / seconds,
        "memory_bytes": peak_memory(tf),
    }


def _time_evaluation(config, plan, out):
    """Seconds of one evaluation: its batches, and the comparison of their features."""
    from data.stored import ArrayImages
    from evaluate.evaluator import Evaluator
    from evaluate.features import load_features
    from evaluate.frechet import frechet_distance
    from evaluate.precision_recall import neighbour_metrics
    from train.step import Trainer
    from train.timing import median_seconds

    features = None
    try:
        features = load_features(config.evaluate.features, feature_cache(out))
    except UserError as error:
        plan["missing"].append(f"features; evaluation is timed without ({error})")
    batch_size, size = config.evaluate.batch_size, config.data.resolution
    random = np.random.default_rng(0)
    real = random.uniform(-1.0, 1.0, (batch_size, size, size, 3)).astype(np.float32)
    trainer = Trainer(config, config.experiment.runs[0])
    evaluator = Evaluator(config, trainer, ArrayImages(real))
    evaluator.features = features  # after it has done without those of the test images
    latents = trainer.sample_latents(batch_size)

    def evaluate_batch():
        values = evaluator.measure_batch(real, latents)
        return values["fake_features"].numpy() if features else values["is_finite"].numpy()

    images = plan["test_images"] // batch_size * batch_size
    width = evaluate_batch().shape[-1]
    seconds = (images + _IMAGES_AS_SHEETS) / batch_size * median_seconds(evaluate_batch)
    if features:
        samples = [random.standard_normal((images, width), np.float32) for _ in range(2)]
        some = [of_samples[:_NEIGHBOUR_ROWS] for of_samples in samples]
        distances = 1 + config.evaluate.bootstrap
        seconds += distances * median_seconds(lambda: frechet_distance(*samples), calls=1)
        ratio = images / len(some[0])
        seconds += ratio**2 * median_seconds(lambda: neighbour_metrics(*some), calls=1)
    return {"evaluation_seconds": seconds}


def _size_of_files(config, plan):
    """Bytes on disk at most: PNG makes sheets smaller, and not every run has all checkpoints."""
    from evaluate.sheets import enlargement

    weights = sum(plan["parameters"].values()) * _FLOAT_BYTES
    checkpoints = config.train.keep_checkpoints + 2  # the best one, and one while it is written
    size = config.data.resolution
    pixels = 3 * size**2
    evaluations = -(-config.train.epochs // config.evaluate.every)
    tiles = plan["runs"] * evaluations * _SHEETS * _TILES
    images = plan["train_images"] + plan["test_images"]
    return {
        "evaluations": evaluations,
        "checkpoint_bytes": plan["runs"] * checkpoints * _COPIES_OF_WEIGHTS * weights,
        "sheet_bytes": _COPIES_OF_SHEETS * tiles * pixels * enlargement(size) ** 2,
        "cache_bytes": images * pixels if config.data.cache == "disk" else 0,
        "epochs": config.train.epochs,
    }


def plan_lines(plan):
    """The plan in words, a line each."""
    steps = plan["epochs"] * plan["steps_per_epoch"]
    training = steps * plan["step_seconds"]
    evaluation = plan["evaluations"] * plan["evaluation_seconds"]
    rate, needed = plan["images_read_per_second"], plan["workers"] * plan["images_per_second"]
    rounds = -(-plan["runs"] // plan["workers"])
    flops = plan["step_flops_per_image"]
    yield (
        f"{plan['name']}: {plan['runs']} runs of {plan['epochs']} epochs of "
        f"{plan['steps_per_epoch']:,} steps"
    )
    yield "parameters: " + ", ".join(f"{name} {n:,}" for name, n in plan["parameters"].items())
    yield (
        f"a step takes {flops / _GIGA:.3g} GFLOP an image; in {plan['precision']} on "
        f"{plan['device']}: {plan['step_seconds']:.3g} s, "
        f"{plan['images_per_second']:.3g} images/s, "
        f"{flops * plan['images_per_second'] / _GIGA:.3g} GFLOP/s"
    )
    yield (
        f"a run: {_duration(training)} of training, {_duration(evaluation)} of evaluation "
        f"({plan['evaluations']} times {plan['test_images']:,} images)"
    )
    yield (
        f"the experiment: {_duration(rounds * (training + evaluation))}, "
        f"{plan['workers']} at a time"
    )
    yield f"memory: {_size(plan['workers'] * plan['memory_bytes'])} while training"
    yield (
        f"disk, at most: {_size(plan['checkpoint_bytes'])} of checkpoints, "
        f"{_size(plan['sheet_bytes'])} of image sheets"
        + (f", {_size(plan['cache_bytes'])} of decoded images" if plan["cache_bytes"] else "")
    )
    if rate:
        waiting = max(0.0, 1.0 - rate / needed)
        yield (
            f"data: {rate:,.0f} images/s can be read, training takes {needed:,.3g}: "
            + (f"it would wait {waiting:.0%} of the time" if waiting else "it does not wait")
        )
    yield from (f"missing: {what}" for what in plan["missing"])


def _duration(seconds):
    for unit, of_it in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * of_it:
            return f"{seconds / of_it:.1f} {unit}"
    return f"{seconds:.0f} seconds"


def _size(count):
    return f"{count / _GIGA:.1f} GB" if count >= _GIGA / 10 else f"{count / 1e6:.1f} MB"
