"""The config of an experiment: a YAML file, checked strictly. See `load`, and `configs/`."""

from config.errors import UserError, in_one_line, reason
from config.loading import load, validate
from config.runs import resolve_run, resolve_runs
from config.sections import PAPER_RUNS, Config

__all__ = [
    "PAPER_RUNS",
    "Config",
    "UserError",
    "in_one_line",
    "load",
    "reason",
    "resolve_run",
    "resolve_runs",
    "validate",
]
