"""What a run's config.yaml has under `recorded`: with what it was begun, what changed since."""

import importlib.metadata
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from config import UserError
from config.messages import explain
from config.values import Count, ImageCount, Seed

PACKAGES = ("tensorflow", "keras", "numpy", "scipy")


class RecordedImages(BaseModel):
    """The numbers of a run's images, and digests of their content in the order of the split."""

    model_config = ConfigDict(strict=True)

    train: ImageCount
    train_digest: str
    test: ImageCount
    test_digest: str


class RecordedFirstRun(BaseModel):
    """The run whose generator a run took, its steps by then, and their real images."""

    model_config = ConfigDict(strict=True)

    path: str
    step: Annotated[int, Field(ge=0)]
    images_seen: Annotated[int, Field(ge=0)]


class Recorded(BaseModel):
    """What a run was begun with, as far as the program reads it again; other keys may hold all."""

    model_config = ConfigDict(extra="allow", strict=True)

    run: str
    seed: Seed
    threads: Count | None = None
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] | None = None
    jit_compile: bool | None = None
    images: RecordedImages | None = None
    first_run: RecordedFirstRun | None = None
    changes: list[str] = []
    imported: dict[str, str] = {}


class _Recording(BaseModel):
    recorded: Recorded


def check_recorded(recorded: Any, where: str) -> dict[str, Any]:
    """The values as they are. Raises UserError, beginning with `where`, for a fault."""
    try:
        _Recording(recorded=recorded)
    except ValidationError as error:
        raise UserError(f"{where}: {explain(error, _Recording)}") from error
    return recorded


def record_beginning(
    run: str, seed: int, device: str, begun_with: Mapping[str, Any]
) -> dict[str, Any]:
    """The record of a run that begins now, with this code and these packages."""
    recorded = {"run": run, "seed": seed, "device": device} | dict(begun_with)
    recorded["git_commit"] = _git_commit()
    recorded["python"] = platform.python_version()
    return recorded | {package: importlib.metadata.version(package) for package in PACKAGES}


def record_going_on(
    recorded: Mapping[str, Any],
    epochs_done: int,
    changes: Sequence[str],
    images: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The record of a run that goes on with these changes, on these images if they are known."""
    going_on = dict(recorded)
    if images is not None:
        going_on["images"] = dict(images)
    if changes:
        entry = f"after epoch {epochs_done}: {'; '.join(changes)}"
        going_on["changes"] = [*recorded.get("changes", []), entry]
    return going_on


def _git_commit() -> str | None:
    """The commit of this code, or None outside a git checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()
