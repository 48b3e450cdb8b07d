"""What a run's config.yaml has under `recorded`. See `check_recorded`."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from config import UserError
from config.messages import explain
from config.sections import Count, Seed


class Recorded(BaseModel):
    """What a run was begun with, as far as the program reads it again; other keys may hold all."""

    model_config = ConfigDict(extra="allow", strict=True)

    run: str
    seed: Seed
    threads: Count | None = None
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] | None = None
    jit_compile: bool | None = None
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
