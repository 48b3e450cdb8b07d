"""From image bytes, or digits, to what the networks take. See `decode` and `to_network_range`."""

import numpy as np
import tensorflow as tf

from config import UserError

EXTENSIONS = (".jpg", ".jpeg", ".png")
SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
SIGNATURE_SIZE = max(map(len, SIGNATURES))


def check_signature(name, first_bytes):
    """Raise UserError, naming the file, unless it begins as a JPEG or PNG file does."""
    if not first_bytes.startswith(SIGNATURES):
        raise UserError(f"{name}: not a JPEG or PNG image")


def decode(content, name):
    """Decode the bytes of a JPEG or PNG file: uint8 (height, width, 3).

    Grey is repeated, alpha dropped.

    Raises UserError, naming the file, if that cannot be done.
    """
    check_signature(name, content[:SIGNATURE_SIZE])
    try:
        return tf.io.decode_image(content, channels=3, expand_animations=False)
    except tf.errors.InvalidArgumentError as error:
        raise UserError(f"{name}: cannot be decoded; is the file truncated?") from error


def to_network_range(images, resolution):
    """Resize whole images bilinearly, without antialiasing, and map 0 ... 255 to -1 ... 1.

    As the authors' code does. Input: (..., height, width, 3). Output: float32 (..., resolution,
    resolution, 3).
    """
    return tf.image.resize(images, (resolution, resolution)).numpy() / np.float32(127.5) - 1


def to_uint8(images):
    """The way back: clip to [-1, 1] and round to uint8 0 ... 255."""
    return np.uint8(np.rint((np.clip(images, -1.0, 1.0) + 1.0) * 127.5))
