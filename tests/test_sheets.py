"""The layout of image sheets, pixel by pixel."""

import numpy as np
import pytest
import tensorflow as tf

from evaluate.sheets import draw_sheets, label_rows, tile, vary_element


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


@pytest.mark.parametrize("size", [16, 128])
def test_labels_stand_beside_their_rows(size):
    sheet = tile(constant_images([-1.0] * 6, size), columns=2)
    labelled = label_rows(sheet, ["rank 1\nelement 411\ns = 0.0125", "", "rank 2"])
    width = labelled.shape[1] - sheet.shape[1]
    np.testing.assert_array_equal(labelled[:, width:], sheet)
    assert labelled[:, :8].min() == labelled[:, width - 6 : width].min() == 255
    height = (len(sheet) + 2) // 3 - 2
    inked = [
        np.flatnonzero(labelled[top:, :width].min(axis=(1, 2))[:height] < 100)
        for top in (0, height + 2, 2 * height + 4)
    ]
    assert len(inked[1]) == 0
    assert 24 <= len(inked[0]) <= height - 4  # three lines of 8 pixels or more, none cut
    assert abs(inked[0].mean() - height / 2) < 4
    assert inked[2].mean() == pytest.approx(height / 2, abs=4)


def test_one_element_varies_and_the_others_stay():
    latents = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    varied = vary_element(latents, element=2, limit=2.0).reshape(3, 8, 5)
    np.testing.assert_allclose(varied[1, :, 2], np.linspace(-2, 2, 8), rtol=1e-6)
    others = [0, 1, 3, 4]
    np.testing.assert_array_equal(
        varied[:, :, others], np.repeat(latents[:, None, others], 8, axis=1)
    )


class Inverter:
    """Images whose brightness is the first element of z∘s, and an encoder that reads it."""

    def generate(self, latents, scale):
        value = (np.asarray(latents) * scale)[:, 0]
        return tf.constant(np.broadcast_to(value[:, None, None, None], (len(value), 48, 48, 3)))

    def encode(self, images):
        value = np.asarray(images)[:, 0, 0, 0]
        return tf.constant(np.stack([value, value * 0], axis=1))

    def reconstruct(self, images, scale):
        return tf.constant(np.asarray(images) / 2)


@pytest.mark.parametrize(("prior", "limit"), [("normal", 2.0), ("uniform", 3.0**0.5)])
def test_what_the_sheets_show(prior, limit):
    scale = np.array([0.4, 0.1])
    latents = np.stack([np.linspace(-1, 1, 64), np.zeros(64)], axis=1)
    noise = np.stack([np.arange(6.0), np.zeros(6)], axis=1)
    real = np.broadcast_to(np.linspace(0, 1, 32)[:, None, None, None], (32, 48, 48, 3))
    sheets = draw_sheets(Inverter(), scale, prior, latents, noise, real)

    def brightness(name, row, column, pair_gaps=0):
        pixel = sheets[name][row * 50, column * 50 + 8 * pair_gaps, 0]
        return pixel / 127.5 - 1

    # rank 1 is the element with the larger scale: its row goes from -limit to limit times the scale
    ends = [brightness("interpolation_1", 3, column) for column in (0, 7)]
    assert ends == pytest.approx([-limit * 0.4, limit * 0.4], abs=0.01)
    constant = [brightness("interpolation_2", 0, column) for column in (0, 7)]
    assert constant == pytest.approx([-0.4, -0.4], abs=0.01)
    # pairs: the image on the left, its reconstruction on the right
    pair = [brightness("real_reconstructed", 7, column, pair_gaps=3) for column in (6, 7)]
    assert pair == pytest.approx([1.0, 0.5], abs=0.01)
    # noise: the image, its reconstruction, then 6 with noise of deviation 0.3 on the latent
    noisy = [brightness("latent_noise", 0, column) for column in range(8)]
    assert noisy == pytest.approx([0, 0] + [0.4 * 0.3 * n for n in range(6)], abs=0.01)
