"""Images per second of the data pipeline, of decoding alone and of the training step.

    python -m benchmarks.data CONFIG [--set KEY=VALUE]... [--rounds 5]

"Decoding alone" is the ceiling: one process a core decodes encoded training images from memory in
a bare loop. The caches are measured in turn with it, each over one epoch of
`data.loading.shuffled_batches`; the operating system holds the files that they read in memory.
"""

import argparse
import multiprocessing
import multiprocessing.queues
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from config import Config, load
from data.images import decode, to_decodable
from data.loading import open_images, shuffled_batches
from data.stored import EncodedImages, Images
from train.runtime.startup import import_tensorflow
from train.step import Trainer

CACHES = ("none", "disk", "memory")
_STEPS = 8


def keep_share(shares: multiprocessing.queues.Queue) -> None:
    """Prepare a process that measures decoding alone: keep its share of the encoded images."""
    global share
    share = shares.get()
    import_tensorflow()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    decode_share(100)


def decode_share(count: int | None = None) -> float:
    """Decode the first `count` images of the share, or all; returns images per second."""
    contents = share[:count]
    start = time.perf_counter()
    for content in contents:
        decode(content)
    return len(contents) / (time.perf_counter() - start)


def measure_batches(config: Config, images: Images) -> float:
    """Images per second over one epoch."""
    batches = shuffled_batches(config, images, seed=0, epoch=1)
    start = time.perf_counter()
    for _ in batches:
        pass
    return len(batches.order) / (time.perf_counter() - start)


def measure_steps(config: Config, images: Images) -> float:
    """Images per second of the training step: the median, without the first two steps."""
    trainer = Trainer(config, next(iter(config.experiment.runs)), seed=0)
    seconds = []
    for batch, _ in zip(shuffled_batches(config, images, 0, 1), range(_STEPS), strict=False):
        start = time.perf_counter()
        float(trainer.train_step(batch)["encoder_loss"])
        seconds.append(time.perf_counter() - start)
    return config.train.batch_size / statistics.median(seconds[2:])


def measure_rates(
    config: Config, encoded: EncodedImages, opened: dict[str, Images], rounds: int
) -> dict[str, list[float]]:
    """{name: images per second in each round} of decoding alone and of each cache in `opened`."""
    contents = [to_decodable(encoded.source.read(index)).content for index in encoded.indices]
    cores = os.cpu_count()
    context = multiprocessing.get_context("spawn")
    shares = context.Queue()
    for core in range(cores):
        shares.put(contents[core::cores])
    rates = {"decoding alone": [], **{kind: [] for kind in opened}}
    with context.Pool(cores, keep_share, (shares,)) as pool:
        pool.starmap(decode_share, [()] * cores, chunksize=1)
        for _ in range(rounds):
            decoded = pool.starmap(decode_share, [()] * cores, chunksize=1)
            rates["decoding alone"].append(sum(decoded))
            for kind, images in opened.items():
                rates[kind].append(measure_batches(config, images))
    return rates


def open_all(config: Config) -> dict[str, Images]:
    """The training images with each cache."""
    opened = {}
    for kind in CACHES:
        start = time.perf_counter()
        data_config = config.data.model_copy(update={"cache": kind})
        opened[kind] = open_images(data_config, "train")
        print(f"opened with cache {kind}: {time.perf_counter() - start:.1f} s", flush=True)
    return opened


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    config = load(arguments.config, arguments.overrides)
    if config.data.source == "digits":
        parser.error("takes a config with image files; digits are never decoded")
    import_tensorflow()  # sets options that count from the first operation on
    opened = open_all(config)
    rates = measure_rates(config, opened["none"], opened, arguments.rounds)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    ceiling = medians.pop("decoding alone")
    steps = measure_steps(config, opened["memory"])
    count = len(opened["none"])
    print(f"{count} images, {os.cpu_count()} cores; images per second, median of rounds")
    print(f"training step: {steps:.0f}")
    print(f"decoding alone: {ceiling:.0f}")
    for kind, rate in medians.items():
        print(
            f"cache {kind}: {rate:.0f}, {rate / ceiling:.0%} of decoding alone, "
            f"{rate / steps:.0f} times the training step"
        )


if __name__ == "__main__":
    main()
