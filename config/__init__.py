"""The config of an experiment: a YAML file, checked strictly. See `load`, and `configs/`."""

from config.errors import UserError, first_line, in_one_line, printable, reason
from config.loading import load
from config.runs import find_run, resolve_run
from config.sections import PAPER_RUNS, Config

__all__ = [
    "PAPER_RUNS",
    "Config",
    "UserError",
    "find_run",
    "first_line",
    "in_one_line",
    "load",
    "printable",
    "reason",
    "resolve_run",
]
