"""Whether narrower numbers and lazy R1 train as well: curves of several seeds, side by side.

    python -m benchmarks.variants [CONFIG] [--set KEY=VALUE]... [--seeds 3] [--out results]

It trains the config's first run (DLS, DG on digits) at every seed in float32, again in bfloat16,
and again with R1 in every 16th step, and compares the means over the seeds. The three are the runs
of one experiment, results/<name>_variants: it trains only what is not complete.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from benchmarks.runs import first_run, vary_run
from config import Config, load
from evaluate.measuring import Measuring
from evaluate.metrics.table import summarise
from train.experiment.all_jobs import train_jobs
from train.experiment.jobs import Job, list_jobs, shared_distribution
from train.runtime.cluster import read_cluster

VARIANTS = {
    "float32": {"train.precision": "float32"},
    "mixed_bfloat16": {"train.precision": "mixed_bfloat16"},
    "r1_interval 16": {"train.precision": "float32", "train.r1_interval": 16},
}
CURVES = ("encoder_loss", "latent_entropy")
_FIRST_EPOCH = 3  # before it, the curves are steep

Curves = dict[str, np.ndarray]


def build_experiment(config: Config, seeds: int) -> Config:
    """The experiment whose runs are the variants of the config's first run."""
    config = vary_run(config, first_run(config), VARIANTS)
    changes = {"name": f"{config.experiment.name}_variants", "seeds": list(range(seeds))}
    experiment = config.experiment.model_copy(update=changes)
    evaluate = config.evaluate.model_copy(update={"features": "none", "every": 1})
    return config.model_copy(update={"experiment": experiment, "evaluate": evaluate})


def train_all(config: Config, out: Path) -> list[Job]:
    """Train the jobs that are not complete; returns all jobs of the experiment."""
    jobs = list_jobs(config, out)
    cluster, measuring = read_cluster(shared_distribution(jobs)), Measuring(out)
    for job in jobs:
        job.check_folder()
    to_do = [job for job in jobs if job.epochs_left()]
    if to_do:
        failures = train_jobs(to_do, cluster, measuring, summarise)
        if failures:
            raise SystemExit("; ".join(failures))
    return jobs


def read_curves(config: Config, jobs: list[Job]) -> dict[str, Curves]:
    """{label: {metric: (seeds, epochs)}} of the trained runs."""
    curves = {}
    for name, run in config.experiment.runs.items():
        rows = [job.folder.rows()[: job.config.train.epochs] for job in jobs if job.run == name]
        curves[run.label] = {
            metric: np.array([[row[metric] for row in seed_rows] for seed_rows in rows])
            for metric in CURVES
        }
    return curves


def print_table(curves: dict[str, Curves]) -> None:
    """Print the ends of the curves, and how far their means are from those in float32."""
    reference = {metric: curves["float32"][metric].mean(axis=0) for metric in CURVES}  # (epochs,)
    first_epoch = min(_FIRST_EPOCH, len(reference["encoder_loss"]))
    at_most = f"at most, from epoch {first_epoch} on"
    print(f"| | L_enc at the end | from float32's | {at_most} | entropy at the end | {at_most} |")
    print("|---|---|---|---|---|---|")
    for label, variant in curves.items():
        loss, entropy = (variant[metric] for metric in CURVES)
        differences = {
            metric: variant[metric].mean(axis=0) / reference[metric] - 1 for metric in CURVES
        }
        largest = {name: max(d[first_epoch - 1 :], key=abs) for name, d in differences.items()}
        print(
            f"| {label} | {loss[:, -1].mean():.3f} ± {loss[:, -1].std(ddof=1):.3f} "
            f"| {differences['encoder_loss'][-1]:+.1%} | {largest['encoder_loss']:+.1%} "
            f"| {entropy[:, -1].mean():.2f} | {largest['latent_entropy']:+.1%} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", default="configs/quick.yaml")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("results"))
    arguments = parser.parse_args()
    if arguments.seeds < 2:
        parser.error("--seeds: use 2 or more, for their deviation")
    config = build_experiment(load(arguments.config, arguments.overrides), arguments.seeds)
    print_table(read_curves(config, train_all(config, arguments.out)))


if __name__ == "__main__":
    main()
