"""Config files. See `load`."""

import copy
import re
import warnings
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

from config.backbones import change_backbone
from config.errors import UserError, reason
from config.messages import explain, shorten
from config.runs import backbone_first, find_run, resolve_run, resolve_runs, set_key
from config.sections import Config, RunConfig

_MOST_LEVELS = 50  # Python's own limit is the next
_MOST_VALUES = 100_000
_MOST_CHARACTERS = 10**6


def load(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a config file and apply `KEY=VALUE` overrides such as `train.epochs=3`.

    Raises UserError for a missing or malformed file, a repeated or unknown key, a wrong type, a
    value out of range, or values that do not fit together.
    """
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot read the config file: {reason(error)}") from error
    values = parse_yaml(text, where=path)
    if not isinstance(values, dict):
        raise UserError(f"{path}: a config file has sections such as data: and train:")
    changed = copy.deepcopy(values)
    keys = [override(changed, given) for given in backbone_first(overrides)]
    try:
        config = _validate(changed)
    except UserError as error:
        is_in_file = _first_fault(error) == _find_fault(values)
        raise UserError(f"{path if is_in_file else '--set'}: {error}") from error
    for key in keys:
        _require_effect(config, key)
    return config


def read_text(path: str | Path) -> str:
    """The text of a config file. Raises OSError, and ValueError for what is none."""
    with open(path, encoding="utf-8") as file:
        text = file.read(_MOST_CHARACTERS + 1)  # /dev/zero has no end
    if len(text) > _MOST_CHARACTERS:
        raise ValueError(f"more than {_MOST_CHARACTERS} characters")
    return text


def override_run(config: Config, run: str, overrides: Sequence[str]) -> Config:
    """Apply `KEY=VALUE` overrides to the config of one run; they win over what the run sets itself.

    Raises UserError as `load` does, and for a key that makes the run one of the paper's.
    """
    values = config.model_dump()
    runs = values["experiment"]["runs"]
    own = runs.get(run) if isinstance(runs, dict) else None
    keys = [override(values, given) for given in backbone_first(overrides)]
    for key in keys if own else []:
        own["set"].pop(key, None)
    config = validate_run(values, run, "--set")
    for key in keys:
        if key in find_run(config, run).set:
            raise UserError(f"--set {key}: {run} sets this key itself")
    return config


def validate_run(values: dict[str, Any], run: str, where: str | Path) -> Config:
    """The `Config` of one run, from its resolved values, as nested dicts.

    Raises UserError for a fault. It begins with `where`.
    """
    try:
        return resolve_run(_parse(values), run)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def _validate(values: dict[str, Any]) -> Config:
    """Make a `Config` from nested dicts. Raises UserError for a fault, also in one of its runs."""
    config = _parse(values)
    resolve_runs(config)
    return config


def _parse(values: dict[str, Any]) -> Config:
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise UserError(explain(error, Config)) from error


def _find_fault(values: dict[str, Any]) -> str | None:
    """The first fault of a config, in words; None if there is none."""
    try:
        _validate(values)
    except UserError as error:
        return _first_fault(error)
    return None


def _first_fault(error: UserError) -> str:
    """The message without the number of other faults."""
    return str(error).partition(" (and ")[0]


def parse_yaml(text: str, where: str | Path) -> Any:
    """The value of a YAML text.

    Raises UserError, beginning with `where`, if it is malformed, nested deeply, or enormous where
    its aliases are written out.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except _RepeatedKeyError as error:
        raise UserError(f"{where}: {error}") from error
    except (yaml.YAMLError, ValueError, AttributeError) as error:  # PyYAML raises all three
        line = f" line {error.problem_mark.line + 1}:" if hasattr(error, "problem_mark") else ""
        problem = getattr(error, "problem", None) or "cannot be read"
        raise UserError(f"{where}:{line} not valid YAML: {problem}") from error


def to_yaml(values: dict[str, Any]) -> str:
    """A YAML text that `parse_yaml` reads as these values."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _RepeatedKeyError(Exception):
    """A mapping has one key twice."""


class _Loader(yaml.SafeLoader):
    """Refuses repeated keys, and values that are nested or repeated without end.

    Reads 1e-3 as a number, which is a string in YAML 1.1.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth, self._size = 0, 0  # of what is composed so far, aliases written out
        self._sizes: dict[yaml.Node, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node:
        is_alias, mark = self.check_event(yaml.AliasEvent), self.peek_event().start_mark
        size_before = self._size
        self._depth += 1
        if self._depth > _MOST_LEVELS:
            problem = f"more than {_MOST_LEVELS} values inside each other"
            raise ComposerError(None, None, problem, mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        self._size += self._sizes.get(node, _MOST_VALUES) if is_alias else 1
        if self._size > _MOST_VALUES:  # or an alias within its own value, which has no end
            problem = f"more than {_MOST_VALUES} values, with aliases written out"
            raise ComposerError(None, None, problem, mark)
        self._sizes.setdefault(node, self._size - size_before)
        return node

    def construct_scalar(self, node: yaml.ScalarNode) -> str:
        text = super().construct_scalar(node)
        if "\0" in text or text != text.encode(errors="ignore").decode():
            problem = "a text with \\0 or half a character"  # no path can have them
            raise ConstructorError(None, None, problem, node.start_mark)
        return text

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        if not re.fullmatch("[-+]?(0|[1-9][0-9_]*)", node.value):  # 010 is 8, 1:30 is 90 in YAML
            problem = f"a whole number is decimal, without leading zeros: {shorten(node.value)}"
            raise ConstructorError(None, None, problem, node.start_mark)
        return super().construct_yaml_int(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[Any, int] = {}
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                continue
            key, line = (key_node.tag, key_node.value), key_node.start_mark.line + 1
            if key in lines:
                name, places = shorten(key_node.value), f"lines {lines[key]} and {line}"
                raise _RepeatedKeyError(f"{name}: this key is there twice, on {places}")
            lines[key] = line
        return super().construct_mapping(node, deep)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


class _Dumper(yaml.SafeDumper):
    """Quotes the texts that `_Loader` would read as numbers."""


for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
        list("-+0123456789"),
    )


def override(values: dict[str, Any], given: str, example: str = "train.epochs=3") -> str:
    """Apply one `--set KEY=VALUE`; returns the key. Raises UserError, which shows an `example`."""
    key, equals, text = given.partition("=")
    if not equals or not all(part.strip() for part in key.split(".")):
        raise UserError(f"--set takes KEY=VALUE, such as {example}. Received: {given}")
    value = parse_yaml(text, where=f"--set {given}")
    set_key(values, key, value, where=f"--set {given}")
    return key.strip()


def _require_effect(config: Config, key: str) -> None:
    """Warn if runs set a key themselves, which wins over `--set`; raise UserError if all do."""
    runs = config.experiment.runs
    keeping = [n for n, run in runs.items() if key in run.set or _drops(config, run, key)]
    what = "this key"
    if any(key not in runs[name].set for name in keeping):
        what += " or model.backbone"
    if len(keeping) == len(runs):
        raise UserError(f"--set {key}: every run sets {what} itself; change experiment.runs")
    if keeping:
        warnings.warn(
            f"--set {key}: {', '.join(keeping)} keep the value of experiment.runs, which sets "
            f"{what}",
            stacklevel=3,
        )


def _drops(config: Config, run: RunConfig, key: str) -> bool:
    """Whether a run has another backbone, which begins without this key of the section model."""
    section, _, name = key.partition(".")
    backbone = config.model.backbone
    own = run.set.get("model.backbone", backbone)
    return section == "model" and name not in change_backbone({"backbone": backbone, name: 0}, own)
