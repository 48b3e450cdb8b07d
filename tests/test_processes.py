"""Processes beside the main one."""

import warnings

from train.runtime import processes


def warn():
    warnings.warn("Corrupt EXIF data.  Expecting to read 2 bytes\nbut only got 0. ", stacklevel=1)
    warnings.warn("Image size (99000000 pixels) exceeds limit of 89478485 pixels", stacklevel=1)


def test_warnings_are_one_line_without_the_source(capfd):
    process = processes.start(warn)
    process.join()
    assert process.exitcode == 0
    assert capfd.readouterr().err == (
        "warning: Corrupt EXIF data. Expecting to read 2 bytes but only got 0.\n"
    )
