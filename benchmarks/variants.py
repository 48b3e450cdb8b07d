"""Whether narrower numbers and lazy R1 train as well: curves of several seeds, side by side.

    python -m benchmarks.variants [CONFIG] [--set KEY=VALUE]... [--seeds 3] [--out results]

Trains the first run of the config (DLS, DG on digits) in float32 at every seed, again with
bfloat16, and again with R1 in every 16th step, and compares the means over the seeds. What is
trained already is not trained again.
"""

import argparse
from pathlib import Path

import numpy as np

import config
from train.display import Display
from train.experiment import default_workers, list_jobs, prepare_apart, run_experiment
from train.run_folder import RunFolder

VARIANTS = {
    "float32": {"precision": "float32"},
    "mixed_bfloat16": {"precision": "mixed_bfloat16"},
    "r1_interval 16": {"precision": "float32", "r1_interval": 16},
}
CURVES = ("encoder_loss", "latent_entropy")
_FIRST_EPOCH = 3  # before it, the curves are steep


def train(settings, out):
    """Train what is not complete; returns {curve: (seeds, epochs)}."""
    jobs = list_jobs(settings, out)
    folders = [RunFolder(job.folder) for job in jobs]
    for folder in folders:
        folder.check_config(settings)
    epochs = settings.train.epochs
    to_do = [job for job in jobs if RunFolder(job.folder).epochs_done() < epochs]
    if to_do:
        prepared = prepare_apart(settings, jobs, out)
        workers = default_workers(settings.train, prepared.gpus, to_do)
        with Display(settings, to_do, prepared.steps_per_epoch) as display:
            failures = run_experiment(settings, to_do, out, workers, display.update, prepared.gpus)
        if failures:
            raise SystemExit("; ".join(failures))
    rows = [folder.rows()[:epochs] for folder in folders]
    return {name: np.array([[row[name] for row in of_seed] for of_seed in rows]) for name in CURVES}


def vary(settings, name, changes, seeds):
    """The config of a variant."""
    experiment = {
        "name": f"{settings.experiment.name}_{name.replace(' ', '_')}",
        "seeds": list(range(seeds)),
        "runs": settings.experiment.runs[:1],
    }
    values = settings.model_dump()
    values["experiment"] = experiment
    values["train"] |= changes
    values["evaluate"] |= {"features": "none", "every": 1}
    return config.validate(values, name)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", default="configs/quick.yaml")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("results"))
    arguments = parser.parse_args()
    if arguments.seeds < 2:
        parser.error("--seeds: use 2 or more, for their deviation")
    settings = config.load(arguments.config, arguments.overrides)
    curves = {
        name: train(vary(settings, name, changes, arguments.seeds), arguments.out)
        for name, changes in VARIANTS.items()
    }
    at_most = f"at most, from epoch {_FIRST_EPOCH} on"
    print(f"| | L_enc at the end | from float32's | {at_most} | entropy at the end | {at_most} |")
    print("|---|---|---|---|---|---|")
    for name, of_variant in curves.items():
        loss, entropy = (of_variant[curve] for curve in CURVES)
        ratios = {
            curve: of_variant[curve].mean(axis=0) / curves["float32"][curve].mean(axis=0) - 1
            for curve in CURVES
        }
        largest = {
            curve: max(of_curve[_FIRST_EPOCH - 1 :], key=abs) for curve, of_curve in ratios.items()
        }
        print(
            f"| {name} | {loss[:, -1].mean():.3f} ± {loss[:, -1].std(ddof=1):.3f} "
            f"| {ratios['encoder_loss'][-1]:+.1%} | {largest['encoder_loss']:+.1%} "
            f"| {entropy[:, -1].mean():.2f} | {largest['latent_entropy']:+.1%} |"
        )


if __name__ == "__main__":
    main()
