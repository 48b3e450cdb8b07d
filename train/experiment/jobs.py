"""The jobs of an experiment: one for each run and seed. See `Job` and `list_jobs`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from config import PAPER_RUNS, Config, UserError, resolve_run
from config.loading import override_run
from train.runs.folder import RunFolder


@dataclass(frozen=True)
class Job:
    """One run with one seed: its folder and the run's own config.

    `accept_new_data` lets it go on with other images than it was trained on so far.
    """

    run: str
    seed: int
    folder: RunFolder
    config: Config = field(compare=False, repr=False)
    accept_new_data: bool = field(default=False, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.run} seed {self.seed}"

    @property
    def first_run(self) -> RunFolder | None:
        """The folder of the run whose generator this one takes, see `train.from_run`."""
        name = self.config.train.from_run
        if name is None:
            return None
        if name in PAPER_RUNS or name in self.config.experiment.runs:
            return RunFolder.in_experiment(self.folder.path.parents[1], name, self.seed)
        return RunFolder(name)

    def check_folder(self) -> None:
        """Raise UserError if the job cannot go on in its folder, see `RunFolder.check_config`."""
        self.folder.check_config(self.config, self.run, self.seed)

    def check_images(self, images: Mapping[str, Any]) -> list[str]:
        """See `RunFolder.check_images`."""
        return self.folder.check_images(images, self.accept_new_data)

    def epochs_left(self) -> int:
        return max(0, self.config.train.epochs - self.folder.epochs_done())


class Connected(NamedTuple):
    """The event that a job has reached all the processes that it trains with."""

    job: Job


class Resumed(NamedTuple):
    """The event that a job goes on in an epoch after `step` steps in all; or after that epoch."""

    job: Job
    epoch: int
    step: int
    is_done: bool

    def __str__(self) -> str:
        epochs = f"epoch {self.epoch} of {self.job.config.train.epochs}"
        if self.is_done:
            return f"goes on after {epochs}, step {self.step}"
        return f"goes on in {epochs}, after step {self.step}"


class StepsDone(NamedTuple):
    """The event that a job took steps.

    `row` holds the latest step's statistics, or the epoch's row when the epoch is done.
    """

    job: Job
    epoch: int
    step: int
    row: dict[str, Any]


Event = Connected | Resumed | StepsDone
OnEvent = Callable[[Event], None]


class Prepared(NamedTuple):
    """What the checks before a training found; `steps_per_epoch` has a number for each job."""

    steps_per_epoch: list[int]
    gpus: int
    device: str
    precisions: list[str]


class Measuring(Protocol):
    """What measures the runs of an experiment: `evaluate.measuring.Measuring`."""

    def train_features(self, config: Config) -> None:
        """Train what measures a run, if it is trained here and missing. Raises UserError."""

    def check(self, config: Config) -> None:
        """Raise UserError if a run cannot be measured as its config asks."""

    def open(self, config: Config, model: Any, processes: Any, test_images: Any) -> Any:
        """The `train.loop.Evaluator` of a `train.model.Model` on its test images."""


def experiment_folder(config: Config, out: Path) -> Path:
    """The folder of an experiment below the folder of all results."""
    return Path(out) / config.experiment.name


def make_job(config: Config, run: str, seed: int, out: Path, accept_new_data: bool = False) -> Job:
    """The job of a run, of the experiment or the paper's. Raises UserError for an unknown run."""
    folder = RunFolder.in_experiment(experiment_folder(config, out), run, seed)
    return Job(run, seed, folder, resolve_run(config, run), accept_new_data)


def reopen_job(
    path: Path, overrides: Sequence[str], accept_new_data: bool, contradicting: Mapping[str, Any]
) -> Job:
    """The job of the run in a folder, wherever that is: its own config, with some keys overridden.

    Raises UserError if the folder holds no run, as `config.load` does for the overrides, and if one
    of the options in `contradicting`, {name: value}, is not None.
    """
    if given := [name for name, value in contradicting.items() if value is not None]:
        raise UserError(
            f"--resume takes config, run and seed from {path}, and goes on there; leave out "
            f"{', '.join(given)}"
        )
    folder = RunFolder(path)
    record = folder.read()
    config = override_run(record.config, record.run, overrides)
    return Job(record.run, record.seed, folder, config, accept_new_data)


def list_jobs(config: Config, out: Path, accept_new_data: bool = False) -> list[Job]:
    """A job for each run and seed of an experiment, in the order of the config."""
    return [
        make_job(config, run, seed, out, accept_new_data)
        for seed in config.experiment.seeds
        for run in config.experiment.runs
    ]


def select_jobs(jobs: list[Job], index: int | None, count: int | None) -> list[Job]:
    """Every `count`-th job from `index` on; all of them if both are None. Raises UserError."""
    if (index is None) != (count is None):
        raise UserError("--run-index I and --run-count N belong together")
    if count is None:
        return jobs
    if index >= count:
        raise UserError(f"--run-index: use 0 to {count - 1} for --run-count {count}")
    return jobs[index::count]


def shared_distribution(jobs: list[Job]) -> str:
    """The `train.distribution` of all jobs, or "none" if they differ and none is multi_worker.

    Raises UserError if only some of them are multi_worker: its processes train all jobs together.
    """
    found = {job.config.train.distribution for job in jobs}
    if len(found) > 1 and "multi_worker" in found:
        raise UserError("train.distribution: multi_worker is for all runs of an experiment or none")
    return found.pop() if len(found) == 1 else "none"


def require_divisible(config: Config, replicas: int) -> None:
    """Raise UserError unless `replicas` equal parts make up a batch."""
    size = config.train.batch_size
    if size % replicas:
        raise UserError(
            f"train.batch_size: {size} cannot be shared out equally among {replicas} replicas; use "
            "a multiple of that, or train.distribution: none"
        )
