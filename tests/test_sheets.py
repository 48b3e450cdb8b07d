"""The layout of image sheets, pixel by pixel."""

import numpy as np
import tensorflow as tf

from evaluate.sheets import save_sheet, tile, vary_element


def constant_images(values, size):
    values = np.asarray(values, np.float32)
    return np.broadcast_to(values[:, None, None, None], (len(values), size, size, 3))


def test_tiles_go_row_by_row_with_white_gaps():
    sheet = tile(constant_images([-1.0, 0.0, 1.0], 48), columns=2)
    assert sheet.shape == (2 * 48 + 2, 2 * 48 + 2, 3)
    assert (sheet[0, 0, 0], sheet[47, 50, 0], sheet[50, 0, 0]) == (0, 128, 255)
    assert np.all(sheet[48:50] == 255)
    assert np.all(sheet[:, 48:50] == 255)
    assert np.all(sheet[50:, 50:] == 255)  # no fourth image


def test_small_images_are_enlarged_and_pairs_stand_together():
    sheet = tile(constant_images([-1.0, -1.0, -1.0, -1.0], 16), columns=4, group=2)
    assert sheet.shape == (48, 4 * 48 + 3 * 2 + 8, 3)
    dark = sheet[0, :, 0] == 0
    assert dark[0:48].all()
    assert dark[50:98].all()
    assert not dark[98:108].any()
    assert dark[108:156].all()


def test_one_element_varies_and_the_others_stay():
    latents = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    varied = vary_element(latents, element=2, limit=2.0).reshape(3, 8, 5)
    np.testing.assert_allclose(varied[1, :, 2], np.linspace(-2, 2, 8), rtol=1e-6)
    others = [0, 1, 3, 4]
    np.testing.assert_array_equal(
        varied[:, :, others], np.repeat(latents[:, None, others], 8, axis=1)
    )


def test_a_sheet_is_saved_as_it_is(tmp_path):
    sheet = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    save_sheet(tmp_path / "images" / "sheet.png", sheet)
    read = tf.io.decode_png((tmp_path / "images" / "sheet.png").read_bytes())
    np.testing.assert_array_equal(read, sheet)
