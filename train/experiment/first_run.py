"""The first of two stages: the run whose generator another one takes. See `train.from_run`."""

from collections.abc import Sequence
from typing import Any

from config import Config, UserError
from train.experiment.jobs import Job
from train.runs.changes import list_changes

# The generator, and what it takes: equal keys make equal weights of equal meaning.
_ARCHITECTURE = (
    "data.resolution",
    "latent.dim",
    "latent.prior",
    "latent.dynamic_scale",
    "model.",
)


def check_first_runs(jobs: Sequence[Job]) -> None:
    """Raise UserError unless the first run of each job is complete, or trained by these jobs too.

    A job that has a checkpoint needs its first run no more.
    """
    by_folder = {job.folder: job for job in jobs}
    for job in jobs:
        if job.first_run is None or job.folder.saved_steps():
            continue
        chain = [job]
        while (first := by_folder.get(chain[-1].first_run)) and first not in chain:
            chain.append(first)
        if first:
            pairs = zip(chain, [*chain[1:], first], strict=True)
            takes = ", ".join(f"{a.run} takes its generator from {b.run}" for a, b in pairs)
            raise UserError(f"train.from_run: {takes}; name a run that is trained on its own")
        if len(chain) > 1 and chain[1].epochs_left():
            _require_architecture(job, chain[1].config)
        else:
            _require_complete(job)


def record_first_run(job: Job) -> dict[str, Any]:
    """What config.yaml records of the first run of a job that begins: {} if there is none.

    Raises UserError unless that run is complete.
    """
    if job.first_run is None or job.folder.config_path.exists():
        return {}
    last = _require_complete(job)
    path, step, images_seen = str(job.first_run.path), last["step"], last["images_seen"]
    return {"first_run": {"path": path, "step": step, "images_seen": images_seen}}


def _require_complete(job: Job) -> dict[str, Any]:
    """The last row of a job's first run. Raises UserError if it is missing, or does not fit."""
    first = job.first_run
    try:
        config, rows = first.read().config, first.rows()
    except UserError as error:
        runs = ", ".join(job.config.experiment.runs)
        raise UserError(
            f"{job}: train.from_run: takes a run of this experiment ({runs}) or the folder of a "
            f"run: {error}"
        ) from error
    _require_architecture(job, config)
    done, epochs = first.epochs_done(), config.train.epochs
    if done < epochs:
        raise UserError(
            f"{job}: train.from_run: {first.path}: {done} of its {epochs} epochs are done; train "
            "it to the end first"
        )
    return rows[-1]


def _require_architecture(job: Job, config: Config) -> None:
    changes = list_changes(config, job.config)
    if different := [text for text in changes if text.startswith(_ARCHITECTURE)]:
        raise UserError(
            f"{job}: train.from_run: {job.first_run.path} has another architecture "
            f"({'; '.join(different)})"
        )
