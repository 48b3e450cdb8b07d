"""Images a second of the data pipeline, beside decoding alone and what training takes.

    python -m benchmarks.data CONFIG [--set KEY=VALUE]... [--rounds 5]

The ceiling is a bare loop over the encoded training images in memory, which only decodes, in one
process a core. The caches are measured in turn with it, as an epoch of `data.shuffled_batches`;
what they read from disk is in the memory of the operating system.
"""

import argparse
import multiprocessing
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import config
import data
from data.images import decode, to_decodable
from train.device import import_tensorflow

CACHES = ("none", "disk", "memory")
_STEPS = 8


def keep_share(queue):
    """Start a process of the ceiling: it decodes its share of the images again and again."""
    global share
    share = queue.get()
    import_tensorflow().config.threading.set_intra_op_parallelism_threads(1)
    decode_share(100)


def decode_share(count=None):
    """Images a second of a bare loop."""
    contents = share[:count]
    start = time.perf_counter()
    for content in contents:
        decode(content)
    return len(contents) / (time.perf_counter() - start)


def measure_batches(settings, images):
    """Images a second of one epoch."""
    batches = data.shuffled_batches(settings, images, seed=0, epoch=1)
    start = time.perf_counter()
    for _ in batches:
        pass
    return len(batches.order) / (time.perf_counter() - start)


def measure_steps(settings, images):
    """Images a second that the training step takes; the median, after the first two."""
    from train.step import Trainer

    trainer = Trainer(settings, settings.experiment.runs[0], seed=0)
    seconds = []
    for batch, _ in zip(data.shuffled_batches(settings, images, 0, 1), range(_STEPS), strict=False):
        start = time.perf_counter()
        float(trainer.train_step(batch)["encoder_loss"])
        seconds.append(time.perf_counter() - start)
    return settings.train.batch_size / statistics.median(seconds[2:])


def measure_rates(settings, opened, rounds):
    """{name: images a second in each round} of the ceiling and of each cache."""
    encoded = opened["none"]
    contents = [to_decodable(encoded.source.read(index))[0] for index in encoded.indices]
    cores = os.cpu_count()
    context = multiprocessing.get_context("spawn")
    shares = context.Queue()
    for core in range(cores):
        shares.put(contents[core::cores])
    rates = {"ceiling": [], **{kind: [] for kind in CACHES}}
    with context.Pool(cores, keep_share, (shares,)) as pool:
        pool.starmap(decode_share, [()] * cores, chunksize=1)
        for _ in range(rounds):
            rates["ceiling"].append(sum(pool.starmap(decode_share, [()] * cores, chunksize=1)))
            for kind, images in opened.items():
                rates[kind].append(measure_batches(settings, images))
    return rates


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    settings = config.load(arguments.config, arguments.overrides)
    if settings.data.source == "digits":
        parser.error("takes a config with image files; digits are never decoded")
    opened = {}
    for kind in CACHES:
        start = time.perf_counter()
        of_kind = settings.data.model_copy(update={"cache": kind})
        opened[kind] = data.open_images(of_kind, "train")
        print(f"opened with cache {kind}: {time.perf_counter() - start:.1f} s", flush=True)
    rates = measure_rates(settings, opened, arguments.rounds)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    ceiling = medians["ceiling"]
    steps = measure_steps(settings, opened["memory"])
    print(
        f"{len(opened['none'])} images, {os.cpu_count()} cores; images a second, median of rounds"
    )
    print(f"training step: {steps:.0f}")
    print(f"decoding alone: {ceiling:.0f}")
    for kind in CACHES:
        rate = medians[kind]
        print(
            f"cache {kind}: {rate:.0f}, {rate / ceiling:.0%} of decoding alone, "
            f"{rate / steps:.0f} times the training step"
        )


if __name__ == "__main__":
    main()
