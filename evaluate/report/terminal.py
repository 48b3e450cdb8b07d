"""Tables and sentences for the terminal. See `print_table` and `print_lines`."""

import codecs
import os
import sys
from collections.abc import Iterable, Sequence

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

_UNLIMITED = 500  # columns: no table is wider
_PLAIN = {"±": "+-", "∘": "*", "█": "#", "→": "->", "·": "*"}  # for terminals without Unicode


def replace_closed_streams() -> None:
    """Put the null device in place of standard streams that the shell closed (`>&-`).

    The next file that is opened would be taken for the stream, and get what is printed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
            setattr(sys, name, open(number, "w" if number else "r"))  # noqa: SIM115


def print_any_character() -> None:
    """Make the terminal show other characters in place of those that it has not."""
    codecs.register_error("plain", _replace_characters)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="plain")


def _replace_characters(error: UnicodeError) -> tuple[str, int]:
    """(other characters, the position behind them): a handler for `codecs.register_error`."""
    missing = error.object[error.start : error.end]
    return "".join(_PLAIN.get(character, "?") for character in missing), error.end


def print_table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], console: Console | None = None
) -> None:
    """Print texts under titles; an empty row draws a line.

    What is wider than the terminal becomes several tables. Each begins with the first column, and
    all but the first leave out rows that say nothing more. Where there is no terminal, as in a
    file, it is one table.
    """
    console = console or Console()
    if not console.is_terminal:
        console = Console(file=console.file, width=_UNLIMITED)
    parts = [[0]]
    for column in range(1, len(titles)):
        table = _make_table(titles, rows, [*parts[-1], column])
        width = console.measure(table, options=console.options.update(max_width=_UNLIMITED)).maximum
        if width > console.width and len(parts[-1]) > 1:
            parts.append([0])
        parts[-1].append(column)
    console.print(_make_table(titles, rows, parts[0]))
    for columns in parts[1:]:
        told = [row for row in rows if not row or any(row[column] for column in columns[1:])]
        console.print(_make_table(titles, told, columns))


def _make_table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], columns: Sequence[int]
) -> Table:
    table = Table(box=SIMPLE)
    for column in columns:
        table.add_column(Text(titles[column]), no_wrap=column > 0, overflow="fold")
    for row in rows:
        if row:
            table.add_row(*(Text(row[column]) for column in columns))
        else:
            table.add_section()
    return table


def print_lines(lines: Iterable[str], console: Console | None = None) -> None:
    """Print sentences; on a terminal they are broken between words."""
    console = console or Console()
    for line in lines:
        text = Text(line)
        console.print(text, highlight=False, soft_wrap=not console.is_terminal)
