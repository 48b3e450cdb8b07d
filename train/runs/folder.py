"""The folder of one run: its config, metrics and checkpoints. See `RunFolder`."""

import contextlib
import fcntl
import itertools
import json
import os
import platform
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from config import Config, UserError, find_run, reason
from config.loading import parse_yaml, read_text, to_yaml, validate_run
from data.paths import require_file
from data.storage import make_folder, write_whole
from train.runs.absence import explain_no_run
from train.runs.changes import MAY_CHANGE, list_changes, list_image_changes
from train.runs.recorded import check_recorded, record_beginning, record_going_on
from train.runs.rows import append_row, has_lowest_fid, read_rows

CHECKPOINT_NAME = "step"


class RunRecord(NamedTuple):
    """What config.yaml says about a run: its config, its name and seed, how it was begun."""

    config: Config
    run: str
    seed: int
    recorded: dict[str, Any]

    @property
    def label(self) -> str:
        """What figures call the run."""
        return find_run(self.config, self.run).label


class RunFolder:
    """results/<experiment>/<run>/seed_<n>: its paths, and what reads and writes them.

    Folders of one path are equal.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config_path = self.path / "config.yaml"
        self.metrics_path = self.path / "metrics.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.best = self.checkpoints / "best"
        self.lock_path = self.path / "lock"
        self.lock_state: os.stat_result | None = None
        self.tensorboard = self.path / "tensorboard"

    @classmethod
    def in_experiment(cls, experiment_folder: Path, run: str, seed: int) -> "RunFolder":
        """The folder of a run and a seed in the folder of an experiment."""
        return cls(experiment_folder / run / f"seed_{seed}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunFolder) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    @property
    def seed(self) -> str:
        """The run's seed as text; the folder's name tells it if config.yaml cannot be read."""
        try:
            return str(self.read().seed)
        except UserError:
            return self.path.name.removeprefix("seed_")

    @property
    def results_folder(self) -> Path:
        """The folder of all experiments, or this one if it does not stand in its run's folder."""
        path = self.path.resolve()
        is_in_place = path.parent.name == self.read().run and len(path.parents) > 2
        return path.parents[2] if is_in_place else path

    def create(self) -> None:
        """Raises UserError if the folder cannot be made or written to."""
        try:
            make_folder(self.path)
            self.lock_path.open("ab").close()  # which changes nothing in the folder of a run
        except OSError as error:
            raise UserError(f"{self.path}: cannot write here: {reason(error)}") from error

    def images(self, epoch: int) -> Path:
        """The folder of an epoch's image sheets."""
        return self.path / "images" / f"epoch_{epoch:04d}"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Within, this process alone may write here. Raises UserError, naming the other one.

        The lock is the operating system's, and ends with the process, however that ends.
        """
        with open(self.lock_path, "a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                raise UserError(f"{self.path} is in use by {file.read().strip()}") from error
            file.truncate(0)
            file.write(f"process {os.getpid()} on {platform.node()}, since {time.ctime()}\n")
            file.flush()
            self.lock_state = os.fstat(file.fileno())
            self.require_present()  # not moved away in the meantime
            yield
            self.lock_state = None

    def move_aside(self) -> Path | None:
        """Rename the folder, if it holds a run; returns the new path, or None."""
        if not self.config_path.exists():
            return None
        names = (f"old_{self.path.name}_{number}" for number in itertools.count(1))
        aside = next(path for path in map(self.path.with_name, names) if not path.exists())
        with self.locked():
            self.path.rename(aside)
        return aside

    def require_present(self) -> None:
        """Raise UserError if the folder that this process locked is gone or was replaced."""
        try:
            is_ours = os.path.samestat(os.stat(self.lock_path), self.lock_state)
        except FileNotFoundError:
            is_ours = False
        if not is_ours:
            raise UserError(f"{self.path} was removed or moved while the run was going on")

    def saved_steps(self, best: bool = False) -> dict[int, Path]:
        """{step: path without ending} of the last checkpoints, or of the best one."""
        files = (self.best if best else self.checkpoints).glob(f"{CHECKPOINT_NAME}-*.index")
        files = filter(Path.is_file, files)  # a pipe in the place of one would never end
        numbered = {file.stem.rpartition("-")[2]: file.with_suffix("") for file in files}
        return {int(number): path for number, path in numbered.items() if number.isdecimal()}

    def rows(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl, one an epoch; none if there is no such file yet."""
        return read_rows(self.metrics_path)

    def evaluated_rows(self) -> list[dict[str, Any]]:
        """The rows of epochs that were evaluated, see `evaluate.every`."""
        return [row for row in self.rows() if "fake_psnr" in row]

    def append(self, row: dict[str, Any]) -> None:
        """Add the row of an epoch, within `locked`. Raises UserError if the folder was removed."""
        self.require_present()
        append_row(self.metrics_path, row)

    def last_step(self, epoch: int) -> int | None:
        """The step, of all, after which an epoch ended; None if the epoch has no row."""
        steps = [row.get("step") or 0 for row in self.rows() if row["epoch"] == epoch]
        return max(steps, default=None)

    def is_best(self, row: dict[str, Any]) -> bool:
        """Whether a new row has a lower FID than all rows before with the same protocol."""
        return has_lowest_fid(row, self.rows())

    def epochs_done(self) -> int:
        """The last epoch that has a row; 0 if there is none."""
        return max((row["epoch"] for row in self.rows()), default=0)

    def write_json(self, name: str, value: dict[str, Any]) -> Path:
        """Write a JSON file into the folder, whole or not at all; returns its path."""
        path, text = self.path / name, json.dumps(value, indent=1)
        write_whole(path, lambda unfinished: unfinished.write_text(text, encoding="utf-8"))
        return path

    def check_config(self, config: Config, run: str, seed: int) -> None:
        """Raise UserError, naming the differences, if another run was begun in this folder."""
        if not self.config_path.exists():
            return
        before = self.read()
        is_import = "imported" in before.recorded  # it may be trained on with any seed
        if before.run != run or (before.seed != seed and not is_import):
            raise UserError(
                f"{self.path} holds {before.run}, seed {before.seed}, not {run}, seed {seed}; "
                "move it away"
            )
        refused = list_changes(before.config, config, leave_out=MAY_CHANGE)
        if refused:
            raise UserError(
                f"{self.path} holds a run with other settings ({'; '.join(refused)}); "
                "choose another --out or experiment.name, or move it away"
            )
        if config.train.epochs < (done := self.epochs_done()):
            raise UserError(
                f"{self.path}: {done} epochs are done; train.epochs takes {done} or more. "
                f"Received: {config.train.epochs}"
            )

    def check_images(self, images: Mapping[str, Any], accept: bool) -> list[str]:
        """How these images differ from those that the run was trained on: one text a split.

        Raises UserError with these texts unless `accept`.
        """
        changes = list_image_changes(self.recorded(), images)
        if changes and not accept:
            raise UserError(
                f"{self.path} was trained on other images ({'; '.join(changes)}); "
                "--accept-new-data goes on with the new ones, --fresh starts over"
            )
        return changes

    def read(self) -> RunRecord:
        """What config.yaml says about the run. Raises UserError if the folder holds none."""
        if not self.config_path.exists():
            raise UserError(f"{self.path}: {explain_no_run(self.path)}")
        require_file(self.config_path)
        where = f"{self.config_path}: damaged"
        try:
            values = parse_yaml(read_text(self.config_path), where)
            recorded = values.pop("recorded")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"{where}: not the config.yaml of a run") from error
        recorded = check_recorded(recorded, where)
        config = validate_run(values, recorded["run"], where)
        return RunRecord(config, recorded["run"], recorded["seed"], recorded)

    def recorded(self) -> dict[str, Any]:
        """What is recorded about the run's beginning, see `write_config`; nothing before it."""
        return self.read().recorded if self.config_path.exists() else {}

    def write_config(
        self,
        config: Config,
        run: str,
        seed: int,
        device: str,
        images: Mapping[str, Any] | None = None,
        **begun_with: Any,
    ) -> None:
        """Write config.yaml: the run's config and, as `recorded`, what the run was begun with.

        `images` is the record of the images it trains on, if it does. If a resumed run changes keys
        that may change, or its images, config.yaml gets the new values, and a line under
        `recorded.changes`. Raises UserError if another run was begun in this folder.
        """
        self.check_config(config, run, seed)
        if not self.config_path.exists():
            begun_with |= {} if images is None else {"images": dict(images)}
            recorded = record_beginning(run, seed, device, begun_with)
        else:
            record = self.read()
            changes = list_changes(record.config, config)
            changes += list_image_changes(record.recorded, images)
            recorded = record_going_on(record.recorded, self.epochs_done(), changes, images)
            if recorded == record.recorded:
                return
        text = to_yaml(config.model_dump() | {"recorded": recorded})
        write_whole(self.config_path, lambda path: path.write_text(text, encoding="utf-8"))
