"""Image files as arrays, and back.

Shapes: H W pixels.
"""
import io
import re
import struct
from typing import Any, Callable, Tuple

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from .errors import FrameError
from .foreign_files import foreign_kind

JPEG_QUALITY = 95
_COLOR_MODES = ('RGB', 'RGBA', 'RGBX', 'P', 'PA', 'L', 'LA', 'CMYK', 'YCbCr')
# Colors of 10 to 14 bits in 16 are darker than this in 8.
_DARK = 64
_ORIENTATION = 0x0112  # of EXIF
# Header of a PNG file whose pixels are one gray value of 16 bits.
_GRAY_16_PNG = re.compile(rb'\x89PNG\r\n\x1a\n.{16}\x10\x00', re.DOTALL)
# The largest value of a PGM file.
_PGM = re.compile(rb'P5\s+(?:#[^\n]*\n\s*)*\d+\s+\d+\s+(\d+)\s')


def decode_image(content: bytes, name: str) -> np.ndarray:
    """Pixels of an image file, complete or not at all.

    Returns (H, W) or (H, W, C), dtype of the file, RGB order. FrameError when
    it is not an image, or truncated.
    """
    if _GRAY_16_PNG.match(content):
        return _decode_png(content, name)
    pixels = _decode(content, name, np.asarray)
    header = _PGM.match(content)
    if header and pixels.dtype == np.int32:
        # PIL stretches the values of a PGM file to 16 bits.
        pixels = np.round(pixels * (int(header[1]) / 65535)).astype(np.int32)
    return pixels


def _decode_png(content: bytes, name: str) -> np.ndarray:
    """Pixels of a PNG; OpenCV is faster than PIL and finds all damage."""
    try:
        pixels = cv2.imdecode(
            np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:  # sizes that no image has
        pixels = None
    if pixels is None:
        raise FrameError(f'{name} is not a readable image: the PNG is '
                         'truncated or damaged; copy or make it again')
    return pixels


def _decode(content: bytes, name: str, read: Callable[[Image.Image],
                                                      Any]) -> Any:
    try:
        with Image.open(io.BytesIO(content)) as image:
            return read(image)
    except FrameError:
        raise
    except UnidentifiedImageError:
        kind = foreign_kind(content) or 'of an unknown format'
        raise FrameError(
            f'{name} is not a readable image: it is {kind}') from None
    except (OSError, SyntaxError, ValueError, struct.error,
            Image.DecompressionBombError) as error:
        raise FrameError(
            f'{name} is not a readable image ({error})') from error


def decode_color(content: bytes, name: str) -> np.ndarray:
    """Colors of an image file.

    (H, W, 3) uint8 RGB of an RGB, gray, CMYK or palette image. Transparency is
    ignored, and so is an orientation in the EXIF data: cameras are those of
    the pixels. FrameError when it is not a readable image, or of another kind.
    """

    def read(image: Image.Image) -> np.ndarray:
        if image.mode not in _COLOR_MODES:
            raise FrameError(f'{name} is not an 8-bit color image: its mode '
                             f'is {image.mode}; is it a depth image?')
        pixels = np.asarray(image.convert('RGB'))
        if _is_deep_png(content) and pixels.max() < _DARK:
            raise FrameError(f'{name} uses only a part of its 16 bits; store '
                             'colors in 8 bits')
        return pixels

    return _decode(content, name, read)


def _is_deep_png(content: bytes) -> bool:
    """Whether an image file has colors of 16 bits, as its header says."""
    return content[:8] == b'\x89PNG\r\n\x1a\n' and content[24] == 16


def image_size(content: bytes, name: str) -> Tuple[int, int]:
    """H, W in the header of an image file; FrameError when it has none."""
    return _decode(content, name, lambda image: image.size[::-1])


def is_plain_jpeg(content: bytes) -> bool:
    """Whether every program reads a color image in the same way.

    True for JPEG files in RGB without an EXIF orientation.
    """
    if not content.startswith(b'\xff\xd8\xff'):
        return False
    with Image.open(io.BytesIO(content)) as image:
        return image.mode == 'RGB' and (image.getexif().get(_ORIENTATION, 1)
                                        == 1)


def decode_uint16(content: bytes, name: str) -> np.ndarray:
    """(H, W) uint16 of a gray image; FrameError for other kinds."""
    image = decode_image(content, name)
    if image.ndim != 2 or image.dtype not in (np.uint16, np.int32):
        raise FrameError(f'{name} is not a 16-bit gray image: {image.dtype}, '
                         f'shape {image.shape}')
    return image.astype(np.uint16, copy=False)


def decode_depth(content: bytes, name: str) -> np.ndarray:
    """(H, W) uint16 millimeters; FrameError for other kinds or no depth."""
    image = decode_uint16(content, name)
    if not image.any():
        raise FrameError(f'{name} has no pixel with depth')
    return image


def encode_color(image: np.ndarray) -> bytes:
    """(H, W, 3) uint8 RGB as JPEG of quality 95 without chroma loss."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(
        buffer, 'JPEG', quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()


def encode_depth(millimeters: np.ndarray) -> bytes:
    """(H, W) uint16 as PNG; OpenCV is three times as fast here as PIL."""
    done, buffer = cv2.imencode('.png', millimeters.astype(np.uint16))
    assert done
    return buffer.tobytes()
