"""The folder of one run: its config, metrics and checkpoints. See `RunFolder`."""

import importlib.metadata
import json
import platform
import subprocess
from pathlib import Path

import yaml

from config import RUN_NAMES, UserError, reason, validate
from evaluate.files import write_whole

CHECKPOINT_NAME = "epoch"
_PACKAGES = ("tensorflow", "keras", "numpy", "scipy")
# A run may go on with more epochs, within another choice of runs, or with its caches elsewhere;
# nothing else may change.
_MAY_CHANGE = ("experiment", "train.epochs", "data.cache_folder")


class RunFolder:
    """results/<experiment>/<run>/seed_<n>: what is written there, and what was already."""

    def __init__(self, path):
        self.path = Path(path)
        self.config_path = self.path / "config.yaml"
        self.metrics_path = self.path / "metrics.jsonl"
        self.checkpoints = self.path / "checkpoints"
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

    def rows(self):
        """The rows of metrics.jsonl, one an epoch; none if there is no such file yet."""
        if not self.metrics_path.exists():
            return []
        lines = self.metrics_path.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def evaluated_rows(self):
        """The rows of epochs that were evaluated, see `evaluate.every`."""
        return [row for row in self.rows() if "fake_psnr" in row]

    def append(self, row):
        """Add the row of an epoch, unless it is there already: a resumed run repeats none."""
        if row["epoch"] in {old["epoch"] for old in self.rows()}:
            return
        with open(self.metrics_path, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def epochs_done(self):
        """The last epoch that has a row; 0 if there is none."""
        return max((row["epoch"] for row in self.rows()), default=0)

    def is_complete(self, epochs):
        """Whether the last epoch has its row and its checkpoint, which is written after the row."""
        last = max(epochs, self.epochs_done())
        return (
            self.epochs_done() == last
            and (self.checkpoints / f"{CHECKPOINT_NAME}-{last}.index").exists()
        )

    def check_config(self, config):
        """Raise UserError, naming the differences, if a run with other settings was begun here."""
        if not self.config_path.exists():
            return
        differences = _differences(self.read_config()[0].model_dump(), config.model_dump())
        if differences:
            raise UserError(
                f"{self.path} holds a run with other settings ({'; '.join(differences)}); "
                "choose another --out or experiment.name, or move it away"
            )

    def read_config(self):
        """(config, run name, seed) of the run. Raises UserError if the folder holds none."""
        if not self.config_path.exists():
            raise UserError(f"{self.path}: no run here (there is no config.yaml)")
        values = yaml.safe_load(self.config_path.read_text(encoding="utf-8"))
        recorded = values.pop("recorded", None) if isinstance(values, dict) else None
        if not recorded:
            raise UserError(f"{self.config_path}: damaged; it does not say of which run it is")
        return validate(values, self.config_path), recorded["run"], recorded["seed"]

    def write_config(self, config, run, seed, device):
        """Write config.yaml, once: the resolved config and, as `recorded`, what it was begun with.

        Raises UserError if a run with other settings was begun here.
        """
        self.check_config(config)
        if self.config_path.exists():
            return
        recorded = {"run": run, "seed": seed, "device": device, "git_commit": _git_commit()}
        recorded["python"] = platform.python_version()
        recorded |= {package: importlib.metadata.version(package) for package in _PACKAGES}
        text = yaml.safe_dump(config.model_dump() | {"recorded": recorded}, sort_keys=False)
        write_whole(self.config_path, lambda path: path.write_text(text, encoding="utf-8"))


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


def _differences(before, now):
    before, now = _flatten(before), _flatten(now)
    return [
        f"{key}: {before.get(key)}, now {value}"
        for key, value in now.items()
        if before.get(key) != value and not key.startswith(_MAY_CHANGE)
    ]


def _flatten(values, prefix=""):
    flat = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat |= _flatten(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat


def _git_commit():
    """The commit of this code, or None outside a git checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()
