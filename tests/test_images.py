"""Decoding: formats, modes and damage; resizing."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data.images import (
    BadImageError,
    decode,
    decode_file,
    decode_or_refuse,
    resize,
    to_decodable,
    to_network_range,
    to_uint8,
)
from data.standard_error import captured_lines

RANDOM = np.random.default_rng(0).integers(0, 256, (21, 30, 4), dtype=np.uint8)
RGB = RANDOM[..., :3]


def encode(pixels, file_format, mode=None, **options):
    image = Image.fromarray(pixels) if isinstance(pixels, np.ndarray) else pixels
    file = io.BytesIO()
    (image.convert(mode) if mode else image).save(file, file_format, **options)
    return file.getvalue()


def pixels_of(content):
    decodable, size, _ = to_decodable(content)
    pixels = decode(decodable).numpy()
    assert pixels.shape == (*size, 3)
    assert pixels.dtype == np.uint8
    return pixels


def resized_by_hand(image, resolution):
    """Bilinear interpolation at pixel centres, without antialiasing."""
    image = image.astype(np.float64)
    for axis in (0, 1):
        size = image.shape[axis]
        position = (np.arange(resolution) + 0.5) * size / resolution - 0.5
        low = np.floor(position).astype(int)
        weight = (position - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        below = image.take(np.clip(low, 0, size - 1), axis=axis)
        above = image.take(np.clip(low + 1, 0, size - 1), axis=axis)
        image = below * (1 - weight) + above * weight
    return image


@pytest.mark.parametrize(
    ("file_format", "options"), [("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True})]
)
def test_lossless_formats_give_back_the_pixels(file_format, options):
    np.testing.assert_array_equal(pixels_of(encode(RGB, file_format, **options)), RGB)


def test_a_jpeg_is_decoded_as_in_the_authors_code():
    content = encode(RGB, "JPEG")
    np.testing.assert_array_equal(pixels_of(content), tf.io.decode_jpeg(content).numpy())


def test_a_jpeg_of_several_pictures_gives_the_first():
    content = encode(RGB, "MPO", save_all=True, append_images=[Image.fromarray(RGB[::-1])])
    np.testing.assert_array_equal(pixels_of(content), tf.io.decode_jpeg(content).numpy())


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "JPEG"])
def test_grey_is_repeated(file_format):
    pixels = pixels_of(encode(RANDOM[..., 0], file_format))
    np.testing.assert_array_equal(pixels[..., 0], pixels[..., 2])
    if file_format != "JPEG":
        np.testing.assert_array_equal(pixels[..., 1], RANDOM[..., 0])


def test_black_and_white():
    bits = RANDOM[..., 0] > 127
    for file_format in ("PNG", "BMP"):
        pixels = pixels_of(encode(bits, file_format))
        np.testing.assert_array_equal(pixels, np.repeat(bits[..., None] * np.uint8(255), 3, -1))


@pytest.mark.parametrize("file_format", ["PNG", "BMP"])
def test_palettes_are_looked_up(file_format):
    paletted = Image.fromarray(RGB).quantize(16)
    expected = np.asarray(paletted.convert("RGB"))
    np.testing.assert_array_equal(pixels_of(encode(paletted, file_format)), expected)


def test_a_transparent_palette_entry_is_white():
    paletted = Image.fromarray(RGB).quantize(16)
    pixels = pixels_of(encode(paletted, "PNG", transparency=3))
    expected = np.array(paletted.convert("RGB"))
    expected[np.asarray(paletted) == 3] = 255
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
def test_alpha_is_laid_over_white(file_format):
    options = {"lossless": True, "exact": True} if file_format == "WEBP" else {}
    alpha = RANDOM[..., 3:] / 255
    expected = RGB * alpha + 255 * (1 - alpha)
    pixels = pixels_of(encode(RANDOM, file_format, **options))
    np.testing.assert_allclose(pixels, expected, atol=1)


def test_grey_with_alpha_is_laid_over_white():
    grey, alpha = RANDOM[..., 0], RANDOM[..., 3]
    both = Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)])
    expected = grey * (alpha / 255) + 255 - alpha.astype(float)
    np.testing.assert_allclose(pixels_of(encode(both, "PNG"))[..., 0], expected, atol=1)


def test_16_bits_keep_the_upper_8():
    values = (RANDOM[..., 0].astype(np.uint16) << 8) + RANDOM[..., 1]
    pixels = pixels_of(encode(values, "PNG"))
    np.testing.assert_array_equal(pixels, np.repeat(RANDOM[..., :1], 3, axis=-1))
    colour = tf.io.encode_png(RGB.astype(np.uint16) * 256 + 77).numpy()
    np.testing.assert_array_equal(pixels_of(colour), RGB)


def test_cmyk():
    smooth = np.full((16, 16, 3), (200, 80, 30), np.uint8)
    pixels = pixels_of(encode(smooth, "JPEG", mode="CMYK", quality=100))
    np.testing.assert_allclose(pixels, smooth, atol=3)


def test_a_photo_taken_sideways_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # viewers turn it by 90 degrees clockwise
    smooth = np.kron(np.arange(4).reshape(2, 2), np.ones((16, 24)))[..., None] * 60
    content = encode(np.repeat(smooth, 3, -1).astype(np.uint8), "JPEG", exif=exif)
    assert pixels_of(content).shape == (48, 32, 3)
    corners = pixels_of(content)[[4, 4, -4, -4], [4, -4, 4, -4], 0]
    np.testing.assert_allclose(corners, [120, 0, 180, 60], atol=3)


def bomb():
    """A PNG of 30,000 x 30,000 black pixels: 110 KB that decode to 2.7 GB."""

    def chunk(kind, content):
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(30_000 * (1 + 30_000 // 8)), 1)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"GIF89a and so on", "not a JPEG, PNG, WebP or BMP image"),
        (encode(RGB, "GIF"), "not a JPEG, PNG, WebP or BMP image"),
        (encode(RGB, "WEBP")[:-100], "truncated or damaged"),
        (encode(RGB, "BMP")[:-100], "truncated or damaged"),
        (encode(RANDOM, "PNG")[:-100], "truncated or damaged"),
        (b"\xff\xd8\xff\xe0", "not a JPEG"),
        (bomb(), "decompression bomb"),
    ],
)
def test_bad_images_are_refused_with_the_reason(content, reason):
    with pytest.raises(BadImageError, match=reason):
        to_decodable(content)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_tensorflow_finds_out_when_an_image_it_decodes_is_truncated(file_format):
    with pytest.raises(BadImageError, match=r"^truncated or damaged$"):
        decode_or_refuse(to_decodable(encode(RGB, file_format)[:-100]).content)


def corrupt_jpeg():
    """A JPEG with 12 bytes too many, which libjpeg passes over and every viewer shows."""
    content = encode(RGB, "JPEG")
    return content[:-2] + bytes(12) + content[-2:]


def animation(file_format):
    """Three frames, the first of them `RGB`."""
    frames = [Image.fromarray(np.rot90(RGB, 2 * turn)) for turn in range(3)]
    options = {"lossless": True} if file_format == "WEBP" else {}
    return encode(frames[0], file_format, save_all=True, append_images=frames[1:], **options)


@pytest.mark.parametrize(
    ("content", "remark"),
    [
        (corrupt_jpeg(), "Corrupt JPEG data: 11 extraneous bytes before marker 0xd9"),
        (animation("WEBP"), "animated; only the first of its 3 frames is read"),
        (animation("PNG"), "animated; only the first of its 3 frames is read"),
        (animation("MPO"), ""),
        (encode(RGB, "JPEG"), ""),
        (encode(RANDOM, "PNG"), ""),
        (encode(RGB, "WEBP"), ""),
        (encode(RGB, "BMP"), ""),
    ],
)
def test_what_is_unusual_about_a_good_image(content, remark):
    pixels, found = decode_file(content)
    assert found == remark
    np.testing.assert_array_equal(pixels, decode(to_decodable(content).content))


@pytest.mark.parametrize("file_format", ["WEBP", "PNG"])
def test_the_first_frame_of_an_animation_counts(file_format):
    np.testing.assert_array_equal(pixels_of(animation(file_format)), RGB)


def test_other_lines_of_standard_error_pass(capfd):
    with captured_lines(("Corrupt",)) as lines:
        os.write(2, b"Corrupt JPEG data\nsomething else\n")
    assert lines == ["Corrupt JPEG data"]
    assert capfd.readouterr().err == "something else\n"


def test_an_image_is_not_called_damaged_when_memory_runs_out(monkeypatch):
    def exhaust(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM")

    def run_out(*_, **__):
        raise MemoryError

    monkeypatch.setattr(tf.io, "decode_image", exhaust)
    with pytest.raises(tf.errors.ResourceExhaustedError):
        decode_or_refuse(encode(RGB, "PNG"))
    monkeypatch.setattr(Image, "open", run_out)
    with pytest.raises(MemoryError):
        to_decodable(encode(RGB, "PNG"))


def test_whole_images_are_resized_bilinearly_without_antialiasing():
    resized = resize(RGB, 8)
    expected = tf.image.resize(RGB, (8, 8))
    np.testing.assert_allclose(resized, expected, rtol=1e-6)
    np.testing.assert_allclose(resized, resized_by_hand(RGB, 8), rtol=1e-4, atol=1e-4)


def test_the_centre_is_the_largest_square():
    np.testing.assert_array_equal(resize(RGB, 8, crop="center"), resize(RGB[:, 4:25], 8))
    np.testing.assert_array_equal(
        resize(RGB.swapaxes(0, 1), 8, crop="center"), resize(RGB[:, 4:25].swapaxes(0, 1), 8)
    )


def test_with_antialiasing_every_pixel_counts():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::8] = 255  # 1 column in 8
    np.testing.assert_allclose(resize(stripes, 8, antialias=True)[:, 1:-1], 255 / 8, atol=1.0)
    assert np.max(resize(stripes, 8)) == 0.0


def test_pixels_are_mapped_to_the_range_of_the_networks_and_back():
    np.testing.assert_allclose(to_network_range(np.uint8([0, 51, 255])), [-1.0, -0.6, 1.0])
    values = np.array([-3.0, -1.0, 0.0, 0.5, 1.0, 7.0])
    np.testing.assert_array_equal(to_uint8(values), [0, 0, 128, 191, 255, 255])
