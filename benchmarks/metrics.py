"""Time and memory of the metrics on features, beside SciPy's matrix root.

    python -m benchmarks.metrics [--samples 10000] [--width 2048]

Each metric runs in a process of its own, so that its peak memory is its own.
"""

import argparse
import multiprocessing
import resource
import sys
import time
from collections.abc import Iterator

import numpy as np
import scipy.linalg

from evaluate.metrics.frechet import frechet_distance
from evaluate.metrics.precision_recall import precision_recall

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes


def make_features(samples: int, width: int) -> Iterator[np.ndarray]:
    """Real and fake features (samples, width), both standard normal."""
    random = np.random.default_rng(0)
    return (random.standard_normal((samples, width), dtype=np.float32) for _ in range(2))


def frechet_with_matrix_root(real: np.ndarray, fake: np.ndarray) -> float:
    """The textbook way: `scipy.linalg.sqrtm` of the product of the covariances."""
    a, b = np.cov(real, rowvar=False, ddof=0), np.cov(fake, rowvar=False, ddof=0)
    root = np.real(scipy.linalg.sqrtm(a @ b))
    between_means = np.sum(np.square(real.mean(axis=0) - fake.mean(axis=0)))
    return between_means + np.trace(a) + np.trace(b) - 2.0 * np.trace(root)


METRICS = {
    "Fréchet distance": frechet_distance,
    "Fréchet distance with scipy.linalg.sqrtm": frechet_with_matrix_root,
    "precision and recall, k = 3": precision_recall,
}


def measure(
    name: str, samples: int, width: int
) -> tuple[float | tuple[float, float], float, float]:
    """(result of the metric, seconds, peak memory of this process in GB)."""
    real, fake = make_features(samples, width)
    start = time.perf_counter()
    result = METRICS[name](real, fake)
    seconds = time.perf_counter() - start
    return result, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--width", type=int, default=2048)
    arguments = parser.parse_args()
    print(f"{arguments.samples} x {arguments.width} features, {multiprocessing.cpu_count()} cores")
    seconds = {}
    context = multiprocessing.get_context("spawn")
    for name in METRICS:
        with context.Pool(1) as pool:
            task = (name, arguments.samples, arguments.width)
            result, seconds[name], memory = pool.apply(measure, task)
        print(f"{name}: {seconds[name]:.1f} s, {memory:.2f} GB, result {result}", flush=True)
    ours, theirs, _ = seconds.values()
    print(f"sqrtm takes {theirs / ours:.1f} times as long")


if __name__ == "__main__":
    main()
