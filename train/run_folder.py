"""The folder of one run: its config, metrics and checkpoints. See `RunFolder`."""

import contextlib
import fcntl
import importlib.metadata
import itertools
import json
import math
import os
import platform
import subprocess
import time
from pathlib import Path

import yaml

from config import RUN_NAMES, UserError, reason, validate
from evaluate.files import write_whole
from train.metrics_file import append_row, read_rows

CHECKPOINT_NAME = "step"
PACKAGES = ("tensorflow", "keras", "numpy", "scipy")
# What may differ when a run goes on: it does not change what is trained.
_MAY_CHANGE = (
    "experiment.",
    "train.epochs",
    "train.checkpoint_every",
    "train.keep_checkpoints",
    "train.distribution",
    "train.connect_seconds",
    "evaluate.",
    "data.cache_folder",
)


class RunFolder:
    """results/<experiment>/<run>/seed_<n>: what is written there, and what was already."""

    def __init__(self, path):
        self.path = Path(path)
        self.config_path = self.path / "config.yaml"
        self.metrics_path = self.path / "metrics.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.best = self.checkpoints / "best"
        self.lock_path = self.path / "lock"
        self.lock_state = None
        self.tensorboard = self.path / "tensorboard"

    def create(self):
        """Raises UserError if the folder cannot be made or written to."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            probe = self.path / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise UserError(f"{self.path}: cannot write here: {reason(error)}") from error

    def images(self, epoch):
        return self.path / "images" / f"epoch_{epoch:04d}"

    @contextlib.contextmanager
    def locked(self):
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

    def move_aside(self):
        """Rename the folder, if it holds a run; returns the new path, or None."""
        if not self.config_path.exists():
            return None
        names = (f"old_{self.path.name}_{number}" for number in itertools.count(1))
        aside = next(path for path in map(self.path.with_name, names) if not path.exists())
        with self.locked():
            self.path.rename(aside)
        return aside

    def require_present(self):
        """Raise UserError if the folder that this process locked is gone, or another."""
        try:
            is_ours = os.path.samestat(os.stat(self.lock_path), self.lock_state)
        except FileNotFoundError:
            is_ours = False
        if not is_ours:
            raise UserError(f"{self.path} was removed or moved while the run was going on")

    def saved_steps(self, best=False):
        """{step: path without ending} of its checkpoints, or of the best one."""
        files = (self.best if best else self.checkpoints).glob(f"{CHECKPOINT_NAME}-*.index")
        return {int(file.stem.rpartition("-")[2]): file.with_suffix("") for file in files}

    def rows(self):
        """The rows of metrics.jsonl, one an epoch; none if there is no such file yet."""
        return read_rows(self.metrics_path)

    def evaluated_rows(self):
        """The rows of epochs that were evaluated, see `evaluate.every`."""
        return [row for row in self.rows() if "fake_psnr" in row]

    def append(self, row):
        """Add the row of an epoch, within `locked`. Raises UserError if the folder was removed."""
        self.require_present()
        append_row(self.metrics_path, row)

    def has_row(self, epoch):
        return epoch in {row["epoch"] for row in self.rows()}

    def is_best(self, row):
        """Whether the FID of a new row is lower than all before that were made in the same way."""
        before = [
            old["fid"]
            for old in self.rows()
            if old.get("fid") is not None and _way(old) == _way(row)
        ]
        return row.get("fid") is not None and row["fid"] < min(before, default=math.inf)

    def epochs_done(self):
        """The last epoch that has a row; 0 if there is none."""
        return max((row["epoch"] for row in self.rows()), default=0)

    def write_divergence(self, error):
        """Write divergence.json about a `train.monitor.NotFiniteError`; returns its path."""
        report = {
            "quantity": error.name,
            "step": error.step,
            "last_good_checkpoint": max(self.saved_steps(), default=None),
            "last_steps": [
                {name: value if math.isfinite(value) else str(value) for name, value in row.items()}
                for row in error.steps
            ],
        }
        path = self.path / "divergence.json"
        text = json.dumps(report, indent=1)
        write_whole(path, lambda unfinished: unfinished.write_text(text, encoding="utf-8"))
        return path

    def check_config(self, config):
        """Raise UserError, naming the differences, if a run with other settings was begun here."""
        if not self.config_path.exists():
            return
        before = self._read_config()[0].model_dump()
        differences = _differences(before, config.model_dump(), leave_out=_MAY_CHANGE)
        if differences:
            raise UserError(
                f"{self.path} holds a run with other settings ({'; '.join(differences)}); "
                "choose another --out or experiment.name, or move it away"
            )

    def read_config(self):
        """(config, run name, seed) of the run. Raises UserError if the folder holds none."""
        config, recorded = self._read_config()
        return config, recorded["run"], recorded["seed"]

    def recorded(self):
        """What is recorded of the run's beginning, see `write_config`; nothing before it."""
        return self._read_config()[1] if self.config_path.exists() else {}

    def write_config(self, config, run, seed, device, **begun_with):
        """Write config.yaml: the resolved config and, as `recorded`, what it was begun with.

        A run that goes on with what may change gets the new values, and a line of them under
        `recorded.changes`. Raises UserError if a run with other settings was begun here.
        """
        self.check_config(config)
        if not self.config_path.exists():
            recorded = {"run": run, "seed": seed, "device": device} | begun_with
            recorded["git_commit"] = _git_commit()
            recorded["python"] = platform.python_version()
            recorded |= {package: importlib.metadata.version(package) for package in PACKAGES}
        else:
            before, recorded = self._read_config()
            changes = _differences(before.model_dump(), config.model_dump())
            if not changes:
                return
            entry = f"after epoch {self.epochs_done()}: {'; '.join(changes)}"
            recorded["changes"] = [*recorded.get("changes", []), entry]
        text = yaml.safe_dump(config.model_dump() | {"recorded": recorded}, sort_keys=False)
        write_whole(self.config_path, lambda path: path.write_text(text, encoding="utf-8"))

    def _read_config(self):
        """(config, what is recorded of its beginning)."""
        if not self.config_path.exists():
            raise UserError(f"{self.path}: no run here (there is no config.yaml)")
        try:
            values = yaml.safe_load(self.config_path.read_text(encoding="utf-8"))
            recorded = values.pop("recorded")
            if not {"run", "seed"} <= recorded.keys():
                raise KeyError
        except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"{self.config_path}: damaged; it is not that of a run") from error
        return validate(values, self.config_path), recorded


def read_runs(experiment_folder):
    """The run folders with metrics: a dict of run names to lists of `RunFolder`, one a seed.

    Raises UserError if there is none.
    """
    runs = {}
    for name in RUN_NAMES:
        folders = sorted(Path(experiment_folder).glob(f"{name}/seed_*"))
        measured = [folder for folder in map(RunFolder, folders) if folder.evaluated_rows()]
        if measured:
            runs[name] = measured
    if not runs:
        raise UserError(f"{experiment_folder}: no run with metrics here (looked for */seed_*/)")
    return runs


def _differences(before, now, leave_out=()):
    before, now = _flatten(before), _flatten(now)
    return [
        f"{key}: {before.get(key)}, now {value}"
        for key, value in now.items()
        if before.get(key) != value and not key.startswith(leave_out)
    ]


def _flatten(values, prefix=""):
    flat = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat |= _flatten(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat


def _way(row):
    """How the metrics of a row were made, but for the seed, which every epoch has its own of."""
    return {name: value for name, value in row["protocol"].items() if name != "seed"}


def _git_commit():
    """The commit of this code, or None outside a git checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()
