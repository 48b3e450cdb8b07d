"""metrics.jsonl: one row an epoch, only ever appended to. See `append_row` and `read_rows`."""

import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_json

from config import UserError
from config.messages import explain
from data.paths import require_file
from data.storage import flush

_LARGEST = 1e100  # that figures can show


def _to_number(value: Any) -> int | float | None:
    """The value; None for NaN and infinity: the PSNR of equal images, for one, is infinite."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if type(value) not in (int, float):
        raise ValueError("takes a number or null")
    if abs(value) > _LARGEST:
        raise ValueError(f"takes numbers up to {_LARGEST:g}")
    return value


def _to_interval(ends: list[Any]) -> list[float] | None:
    if len(ends) != 2:
        raise ValueError("takes [low, high]")
    return None if None in ends else ends


def _check_part(value: Any) -> Any:
    if isinstance(value, list | dict):
        raise ValueError("takes a text or a number")
    return value


_Number = Annotated[Any, AfterValidator(_to_number)]
_Interval = Annotated[list[_Number], AfterValidator(_to_interval)]
_Part = Annotated[Any, AfterValidator(_check_part)]


class Row(BaseModel):
    """An epoch's row. All keys that are not listed here are numbers; null is "not measured"."""

    model_config = ConfigDict(extra="allow", strict=True)
    __pydantic_extra__: dict[str, _Number]

    epoch: Annotated[int, Field(ge=1, lt=2**31)]
    step: Annotated[int, Field(ge=0)] | None = None
    intervals: dict[str, _Interval] = {}
    protocol: dict[str, _Part]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of the file; none if there is no file.

    A last line that a killed process left unfinished does not count. Raises UserError for any other
    line that is no row.
    """
    return _read(path)[0]


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Delete an unfinished last line, append a row, and wait until it is on disk.

    NaN and infinity, which JSON does not have, become null.
    """
    _, size = _read(path)
    with open(path, "ab") as file:
        file.truncate(size)
        file.write(to_json(row, inf_nan_mode="null") + b"\n")
        file.flush()
        os.fsync(file.fileno())
    flush(path.parent)


def has_lowest_fid(row: Mapping[str, Any], others: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a row has a lower FID than all others with the same protocol."""
    protocol = _comparable(row["protocol"])
    fids = [
        other["fid"]
        for other in others
        if other.get("fid") is not None and _comparable(other["protocol"]) == protocol
    ]
    return row.get("fid") is not None and row["fid"] < min(fids, default=math.inf)


def _comparable(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """How metrics were made, without what may differ within a run.

    The seed differs from epoch to epoch, and older rows have no resolution.
    """
    return {name: v for name, v in protocol.items() if name not in ("seed", "resolution")}


def _read(path: Path) -> tuple[list[dict[str, Any]], int]:
    """(rows, size in bytes of the finished lines)."""
    if path.exists():
        require_file(path)
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return [], 0
    finished = content[: content.rfind(b"\n") + 1]
    rows = []
    for number, line in enumerate(finished.splitlines(), start=1):
        try:
            rows.append(Row.model_validate_json(line).model_dump(exclude_unset=True))
        except ValidationError as error:
            fault = explain(error, Row).replace("at line 1 column", "at column")
            raise UserError(
                f"{path} line {number}: damaged: {fault}; repair it, or move the file"
            ) from error
    return rows, len(finished)
