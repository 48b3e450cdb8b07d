"""Files and images are written whole, by a module that does not need TensorFlow."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.storage import save_image, write_whole


def test_importing_storage_does_not_import_tensorflow():
    code = "import sys, data.storage; sys.exit('tensorflow' in sys.modules)"
    root = Path(__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_an_interrupted_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "folder" / "file.txt"
    write_whole(path, lambda unfinished: unfinished.write_text("old"))

    def write_half(unfinished):
        unfinished.write_text("ne")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_whole(path, write_half)
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_an_image_is_saved_as_png_without_loss(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    path = tmp_path / "images" / "image.png"
    save_image(path, pixels)
    with Image.open(path) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image), pixels)
    with pytest.raises(OSError, match="image"):
        save_image(path / "below.png", pixels)
