"""Decode image files and resize them for the networks. See `decode` and `resize`.

Every file becomes RGB with 8 bits a channel:

- TensorFlow decodes JPEG and PNG, grey or in colour, as in the authors' code; grey is repeated.
- Pillow decodes everything else. It looks palettes up, converts CMYK, lays alpha over white, keeps
  the upper 8 bits of 16-bit grey (without its transparency) and turns a photo with an EXIF
  orientation upright.
"""

import io
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from data.standard_error import captured_lines

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
MAX_BYTES = 2**29  # of a file: a zip file may claim to hold terabytes
MAX_PIXELS = 2 * Image.MAX_IMAGE_PIXELS  # of a file: Pillow opens no larger ones
_TENSORFLOW_FORMATS = ("JPEG", "MPO", "PNG")  # MPO: a JPEG with further pictures behind it
_ORIENTATION = 0x0112
LIBJPEG_LINES = (  # how the lines begin that libjpeg writes to standard error, without a file name
    "Corrupt JPEG data",
    "Inconsistent progression sequence",
    "Invalid SOS parameters",
    "Premature end of JPEG file",
    "Unknown Adobe color transform",
    "Warning: unknown JFIF revision",
)


class BadImageError(Exception):
    """The bytes are no image or cannot be read. The message is the reason, without the name."""


def require_size(size: int) -> None:
    """Raise BadImageError for more bytes than `MAX_BYTES`, which might fill the memory."""
    if size > MAX_BYTES:
        raise BadImageError(f"larger than {MAX_BYTES >> 20} MiB")


class Decodable(NamedTuple):
    """What `to_decodable` makes of an image file; `frames` is more than 1 for an animation."""

    content: bytes
    size: tuple[int, int]  # height, width
    frames: int


def to_decodable(content: bytes) -> Decodable:
    """The image as bytes that TensorFlow decodes as documented above.

    A plain JPEG or PNG is returned unchanged. Pillow decodes any other image, and its pixels are
    returned as a BMP. Raises BadImageError.
    """
    if not content:
        raise BadImageError("empty file")
    require_size(len(content))
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        if _is_plain(image):
            return Decodable(content, (image.height, image.width), _count_frames(image))
        frames = _count_frames(image)
        image = _to_rgb(image)
        converted = io.BytesIO()
        image.save(converted, "BMP")
        return Decodable(converted.getvalue(), (image.height, image.width), frames)
    except Image.UnidentifiedImageError as error:
        raise BadImageError("not a JPEG, PNG, WebP or BMP image") from error
    except Image.DecompressionBombError as error:
        raise BadImageError(f"decompression bomb: {error}") from error
    except MemoryError:  # says nothing about the image
        raise
    except Exception as error:  # Pillow raises a different class for each kind of damage
        raise BadImageError(f"truncated or damaged: {error}") from error


def _is_plain(image: Image.Image) -> bool:
    return (
        image.format in _TENSORFLOW_FORMATS
        and image.mode in ("RGB", "L")
        and "transparency" not in image.info
        and ("exif" not in image.info or image.getexif().get(_ORIENTATION, 1) == 1)
    )


def _count_frames(image: Image.Image) -> int:
    return 1 if image.format == "MPO" else getattr(image, "n_frames", 1)


def _to_rgb(image: Image.Image) -> Image.Image:
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16-bit grey
        image = Image.fromarray(np.uint8(np.asarray(image) >> 8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")


def decode(decodable: bytes | tf.Tensor) -> tf.Tensor:
    """The pixels of what `to_decodable` returned: uint8 (height, width, 3). Works in a graph."""
    return tf.io.decode_image(decodable, channels=3, expand_animations=False)


def decode_or_refuse(decodable: bytes) -> tf.Tensor:
    """`decode` outside a graph. Raises BadImageError for a damaged image."""
    try:
        return decode(decodable)
    except tf.errors.ResourceExhaustedError:  # says nothing about the image
        raise
    except tf.errors.OpError as error:  # TensorFlow's message does not help the user
        raise BadImageError("truncated or damaged") from error


def decode_file(content: bytes) -> tuple[tf.Tensor, str]:
    """(the pixels of a file's bytes, what the user should know about them; "" for most images).

    libjpeg repairs some damage in a JPEG; an animated image has more frames than the one that
    `decode` gives. Raises BadImageError.
    """
    with captured_lines(LIBJPEG_LINES) as remarks:
        decodable = to_decodable(content)
        pixels = decode_or_refuse(decodable.content)
    if decodable.frames > 1:
        remarks.append(f"animated; only the first of its {decodable.frames} frames is read")
    return pixels, "; ".join(remarks)


def resize(
    image: tf.Tensor | np.ndarray, resolution: int, crop: str = "none", antialias: bool = False
) -> tf.Tensor:
    """Resize an image (height, width, 3) bilinearly: float32 (resolution, resolution, 3), 0 to 255.

    By default the whole frame, without antialiasing, as in the authors' code. `crop` "center" first
    cuts out the largest central square; with `antialias` every pixel of the image counts. Works in
    a graph.
    """
    if crop == "center":
        shape = tf.shape(image)[:2]
        side = tf.reduce_min(shape)
        top, left = tf.unstack((shape - side) // 2)
        image = image[top : top + side, left : left + side]
    size = (resolution, resolution)
    if antialias:
        return tf.image.resize(image, size, antialias=True)
    # tf.image.resize calls this operation; its other work takes as long again for a small image.
    return tf.raw_ops.ResizeBilinear(images=image[None], size=size, half_pixel_centers=True)[0]


def to_network_range(pixels: tf.Tensor | np.ndarray) -> tf.Tensor | np.ndarray:
    """Map pixels of any shape from [0, 255] to [-1, 1]: float32."""
    return pixels / np.float32(127.5) - np.float32(1)


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Map images of any shape from [-1, 1], clipped, back to uint8 0 to 255, rounded."""
    return np.uint8(np.rint((np.clip(images, -1.0, 1.0) + 1.0) * 127.5))
