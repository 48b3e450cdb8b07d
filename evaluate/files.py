"""Files that others may read while they are written. See `write_whole`."""

import os
import tempfile
from pathlib import Path


def write_whole(path, write):
    """Call `write(unfinished_path)` and rename the result: nobody ever reads half of it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        unfinished = Path(folder) / path.name
        write(unfinished)
        os.replace(unfinished, path)
