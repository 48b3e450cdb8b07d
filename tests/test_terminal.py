"""Tables and sentences on a terminal, and one that knows only ASCII."""

import io
import subprocess
import sys

import pytest
from rich.console import Console

from evaluate.report.terminal import print_lines, print_table

TITLES = ["metric", *(f"number {index}" for index in range(9))]
ROWS = [["fid", *(f"{index}.25 ±0.5" for index in range(9))], [], ["mean", "7", *[""] * 8]]


def shown(function, *arguments, **options):
    console = Console(file=io.StringIO(), color_system=None, **options)
    function(*arguments, console)
    return console.file.getvalue()


def test_a_table_is_split_between_columns_to_fit_a_terminal():
    lines = shown(print_table, TITLES, ROWS, force_terminal=True, width=80).splitlines()
    assert max(map(len, lines)) <= 80
    words = [line.split() for line in lines]
    titles = [line for line in words if "number" in line]
    assert len(titles) == 2
    assert [line[0] for line in titles] == ["metric", "metric"]
    assert titles[0][1:] + titles[1][1:] == " ".join(TITLES[1:]).split()
    values = [line for line in words if "fid" in line]
    assert values[0][1:] + values[1][1:] == " ".join(ROWS[0][1:]).split()
    assert [line for line in words if "mean" in line] == [["mean", "7"]]  # in the first table only


@pytest.mark.parametrize("options", [{"width": 80}, {"force_terminal": True, "width": 300}])
def test_a_table_in_a_file_or_on_a_wide_terminal_is_one(options):
    assert shown(print_table, TITLES, ROWS, **options).count("metric") == 1


def test_sentences_break_between_words_on_a_terminal_only():
    sentence = "a step takes 0.0481 GFLOP an image"
    assert shown(print_lines, [sentence], width=20) == sentence + "\n"
    broken = shown(print_lines, [sentence], force_terminal=True, width=20)
    assert [line.rstrip() for line in broken.splitlines()] == [
        "a step takes 0.0481",
        "GFLOP an image",
    ]


def test_a_terminal_with_ascii_alone_shows_other_characters():
    code = (
        "from evaluate.report.terminal import print_any_character, print_table\n"
        "print_any_character()\n"
        "print_table(['z∘s', 'value'], [['█ Éva \\udce9', '3 ±1']])\n"
    )
    environment = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True
    )
    words = result.stdout.decode("ascii").split()
    assert [word for word in words if set(word) - set("-+|")] == [
        "z*s", "value", "#", "?va", "?", "3", "+-1",
    ]  # fmt: skip
