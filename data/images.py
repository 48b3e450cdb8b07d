"""From the bytes of an image file to what the networks take. See `decode` and `resize`.

Every file becomes RGB with 8 bits a channel:

- JPEG and PNG, grey or in colour: by TensorFlow, as the authors' code decodes; grey is repeated.
- All else by Pillow. Palettes are looked up, CMYK is converted, alpha is laid over white, 16-bit
  grey keeps its upper 8 bits (and no transparency), and a photo with an EXIF orientation is turned
  upright.
"""

import io

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
MAX_BYTES = 2**29  # of a file: a zip may promise terabytes
_READ_AS_IT_IS = ("JPEG", "MPO", "PNG")  # MPO: a JPEG with further pictures behind it
_ORIENTATION = 0x0112


class BadImageError(Exception):
    """The bytes are no image, or cannot be read; the message is the reason, without the name."""


def require_size(count):
    """Raise BadImageError for a file of so many bytes that it would fill the memory."""
    if count > MAX_BYTES:
        raise BadImageError(f"larger than {MAX_BYTES >> 20} MiB")


def to_decodable(content):
    """(bytes that TensorFlow decodes as documented above, (height, width)).

    The bytes of a plain JPEG or PNG come back as they are; of all else, the pixels as a BMP.
    Raises BadImageError.
    """
    if not content:
        raise BadImageError("empty file")
    require_size(len(content))
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        if _is_plain(image):
            return content, (image.height, image.width)
        image = _to_rgb(image)
        converted = io.BytesIO()
        image.save(converted, "BMP")
        return converted.getvalue(), (image.height, image.width)
    except Image.UnidentifiedImageError as error:
        raise BadImageError("not a JPEG, PNG, WebP or BMP image") from error
    except Image.DecompressionBombError as error:
        raise BadImageError(f"decompression bomb: {error}") from error
    except Exception as error:  # Pillow raises a different class for each kind of damage
        raise BadImageError(f"truncated or damaged: {error}") from error


def _is_plain(image):
    return (
        image.format in _READ_AS_IT_IS
        and image.mode in ("RGB", "L")
        and "transparency" not in image.info
        and ("exif" not in image.info or image.getexif().get(_ORIENTATION, 1) == 1)
    )


def _to_rgb(image):
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16-bit grey
        image = Image.fromarray(np.uint8(np.asarray(image) >> 8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")


def decode(decodable):
    """The pixels of what `to_decodable` returned: uint8 (height, width, 3), in a graph or not."""
    return tf.io.decode_image(decodable, channels=3, expand_animations=False)


def resize(image, resolution, crop="none", antialias=False):
    """Resize bilinearly: float32 (resolution, resolution, 3), 0 ... 255, in a graph or not.

    As the authors' code does by default: the whole frame, without antialiasing. `crop` "center"
    takes the largest central square first; with `antialias` every pixel of the image counts.
    """
    if crop == "center":
        shape = tf.shape(image)[:2]
        side = tf.reduce_min(shape)
        top, left = tf.unstack((shape - side) // 2)
        image = image[top : top + side, left : left + side]
    size = (resolution, resolution)
    if antialias:
        return tf.image.resize(image, size, antialias=True)
    # The operation behind tf.image.resize; what that adds takes as long again as small images do.
    return tf.raw_ops.ResizeBilinear(images=image[None], size=size, half_pixel_centers=True)[0]


def to_network_range(pixels):
    """Map 0 ... 255 to -1 ... 1: float32."""
    return pixels / np.float32(127.5) - np.float32(1)


def to_uint8(images):
    """The way back: clip to [-1, 1] and round to uint8 0 ... 255."""
    return np.uint8(np.rint((np.clip(images, -1.0, 1.0) + 1.0) * 127.5))
