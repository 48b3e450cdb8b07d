"""metrics.jsonl: one row an epoch, only ever appended to. See `append_row` and `read_rows`."""

import json
import os
from pathlib import Path
from typing import Any

from config import UserError


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of the file; none if there is no file.

    A last line that a killed process left unfinished does not count. Raises UserError for any other
    line that is no row.
    """
    return _read(path)[0]


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Delete an unfinished last line, append a row, and wait until it is on disk."""
    _, size = _read(path)
    with open(path, "ab") as file:
        file.truncate(size)
        file.write(json.dumps(row).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> tuple[list[dict[str, Any]], int]:
    """(rows, size in bytes of the finished lines)."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return [], 0
    finished = content[: content.rfind(b"\n") + 1]
    rows = []
    for number, line in enumerate(finished.splitlines(), start=1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise UserError(f"{path} line {number}: damaged; move the file or repair it") from error
    return rows, len(finished)
