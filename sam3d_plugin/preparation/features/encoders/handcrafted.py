"""Color, gradient and texture statistics: image features without weights.

60 channels, none of which knows where in the image a pixel is:

    color      3   Lab
               12   soft membership in 12 basic colors
    edges       3   gradient magnitude, one per scale
               18   the same shared out over 6 orientations, per scale
                2   coherence of the gradient's direction (structure tensor)
    texture     6   local deviation of lightness and of color, per scale
                6   blobs brighter and darker than their surroundings
               10   local binary patterns (uniform, rotation invariant)

Shapes: C channels, H W pixels, h w features.
"""
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import cv2
import numpy as np
import torch
from torch import Tensor

from ....store.errors import StoreError
from .base import ImageEncoder, fit_size

# Lab of: black, gray, white, red, orange, brown, yellow, green, cyan, blue,
# purple, pink; of surfaces in rooms, so less saturated than on a screen.
_BASIC_COLORS = np.array(
    [[15, 0, 0], [50, 0, 0], [85, 0, 0], [42, 45, 28], [62, 28, 50],
     [35, 15, 22], [78, 2, 55], [48, -32, 25], [62, -22, -15], [38, 5, -38],
     [38, 30, -28], [70, 28, 3]], np.float32)
# Distance in Lab at which the membership in a basic color has dropped to
# 61 %: the spacing of the colors above is about twice that.
_COLOR_WIDTH = 15.0
_SCALES = (1.0, 2.0, 4.0)
_ORIENTATIONS = 6
_PATTERN_CODES = 10
# Lightness steps that a camera's noise does not reach.
_PATTERN_THRESHOLD = 1.5

# Offset and spread of each family of channels in photographs of rooms,
# rounded: stored features are (value - offset) / spread.
_STANDARD: Dict[str, Tuple[float, float, int]] = dict(
    lightness=(50.0, 25.0, 1),
    chroma=(0.0, 12.0, 2),
    colors=(0.1, 0.2, 12),
    gradients=(1.7, 2.0, 3),
    orientations=(0.3, 0.8, 18),
    coherence=(0.6, 0.3, 2),
    lightness_deviation=(8.0, 7.0, 3),
    chroma_deviation=(5.0, 4.0, 3),
    blobs=(1.0, 2.0, 6),
    patterns=(0.1, 0.2, 10))


class HandcraftedEncoder(ImageEncoder):
    """Statistics of the neighborhood of each pixel, standardized.

    Args:
        long_side (int): Longer side of the image that they are computed on,
            pixels; scales are 1, 2 and 4 pixels of it.
        stride (int): Pixels of that image per feature, along each side;
            features are means over them.

    Raises:
        StoreError: When one of the two is not positive.
    """
    name = 'handcrafted'

    def __init__(self, long_side: int = 320, stride: int = 2) -> None:
        if long_side < 1 or stride < 1:
            raise StoreError('long_side and stride must be positive')
        self.long_side = long_side
        self.stride = stride

    def settings(self) -> Dict[str, Any]:
        """Sizes, and the number of the definition above."""
        return dict(definition=1, long_side=self.long_side, stride=self.stride)

    def encode(self, images: Sequence[np.ndarray]) -> List[Tensor]:
        """(60, h, w) float32 for each (H, W, 3) uint8 RGB image."""
        return [torch.from_numpy(self._encode(image)) for image in images]

    def _encode(self, image: np.ndarray) -> np.ndarray:
        height, width = fit_size(image.shape[0], image.shape[1],
                                 self.long_side, self.stride)
        area = cv2.INTER_AREA
        if (height, width) != image.shape[:2]:
            shrinks = height < image.shape[0]
            image = cv2.resize(
                image, (width, height),
                interpolation=area if shrinks else cv2.INTER_LINEAR)
        lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
        size = width // self.stride, height // self.stride
        channels = [
            cv2.resize(channel, size, interpolation=area)
            for channel in pixel_statistics(lab)
        ]
        table = np.repeat(
            np.array([(o, s) for o, s, _ in _STANDARD.values()], np.float32),
            [count for _, _, count in _STANDARD.values()],
            axis=0)[..., None, None]
        return (np.stack(channels) - table[:, 0]) / table[:, 1]


def pixel_statistics(lab: np.ndarray) -> Iterator[np.ndarray]:
    """The channels (H, W) float32 of a (H, W, 3) Lab image before
    standardization, in the order of ``_STANDARD``."""
    lightness = np.ascontiguousarray(lab[..., 0])
    blurred = [_blur(lightness, scale) for scale in _SCALES]
    gradients = [_gradient(image) for image in blurred]
    yield from cv2.split(lab)
    yield from _color_membership(lab)
    for dx, dy in gradients:
        yield _magnitude(dx, dy)
    for dx, dy in gradients:
        yield from _oriented(dx, dy)
    for (dx, dy), scale in zip(gradients, _SCALES[1:]):
        yield _coherence(dx, dy, 2 * scale)
    for scale in _SCALES:
        yield _deviation(lab[..., :1], 2 * scale)
    for scale in _SCALES:
        yield _deviation(lab[..., 1:], 2 * scale)
    wider = [*blurred[1:], _blur(lightness, 2 * _SCALES[-1])]
    for narrow, wide in zip(blurred, wider):
        difference = narrow - wide
        yield np.maximum(difference, 0)
        yield np.maximum(-difference, 0)
    yield from _patterns(lightness)


def _blur(image: np.ndarray, scale: float) -> np.ndarray:
    """Gaussian blur; scale is its standard deviation, pixels."""
    return cv2.GaussianBlur(image, (0, 0), scale)


def _gradient(image: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Central differences per pixel, along x and y."""
    return (cv2.Sobel(image, cv2.CV_32F, 1, 0, scale=1 / 8),
            cv2.Sobel(image, cv2.CV_32F, 0, 1, scale=1 / 8))


def _color_membership(lab: np.ndarray) -> Iterator[np.ndarray]:
    """Membership in each basic color, in [0, 1], summing to <= 1."""
    pixels = lab.reshape(-1, 3)
    squared = (
        np.square(pixels).sum(1, keepdims=True) -
        2 * pixels @ _BASIC_COLORS.T + np.square(_BASIC_COLORS).sum(1))
    kernel = np.exp(squared / np.float32(-2 * _COLOR_WIDTH**2))
    # The constant keeps colors far from all basic ones near 0.
    shares = kernel / (kernel.sum(1, keepdims=True) + np.float32(0.01))
    for column in shares.T:
        yield np.ascontiguousarray(column).reshape(lab.shape[:2])


def _magnitude(dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    # cv2.magnitude rounds differently at other addresses of its arguments.
    return np.sqrt(dx * dx + dy * dy)


def _oriented(dx: np.ndarray, dy: np.ndarray) -> Iterator[np.ndarray]:
    """Gradient magnitude shared out over undirected orientations.

    An orientation's share falls with the fourth power of the cosine of
    twice the angle between it and the gradient.
    """
    magnitude = _magnitude(dx, dy)
    safe = np.maximum(magnitude, np.float32(1e-6))
    # The double angle is the same for both directions of a gradient.
    cosine, sine = (dx * dx - dy * dy) / safe, 2 * dx * dy / safe
    shares = []
    for orientation in range(_ORIENTATIONS):
        angle = 2 * np.pi * orientation / _ORIENTATIONS
        aligned = np.float32(np.cos(angle)) * cosine
        aligned += np.float32(np.sin(angle)) * sine
        squared = np.square(np.maximum(aligned, 0))
        shares.append(squared * squared)
    scale = magnitude / np.maximum(sum(shares), np.float32(1e-20))
    for share in shares:
        yield share * scale


def _coherence(dx: np.ndarray, dy: np.ndarray, scale: float) -> np.ndarray:
    """1 where gradients around a pixel are parallel, 0 where they are not."""
    xx, yy, xy = (_blur(a * b, scale)
                  for a, b in ((dx, dx), (dy, dy), (dx, dy)))
    # Flat surfaces, whose gradients are noise, count as incoherent.
    return _magnitude(xx - yy, 2 * xy) / (xx + yy + np.float32(0.1))


def _deviation(image: np.ndarray, scale: float) -> np.ndarray:
    """Standard deviation around each pixel, over all channels together."""
    image = np.ascontiguousarray(image)
    mean, squared = _blur(image, scale), _blur(image * image, scale)
    variance = (squared - mean * mean).reshape(*image.shape[:2], -1).sum(2)
    return np.sqrt(np.maximum(variance, 0))


def _patterns(lightness: np.ndarray) -> Iterator[np.ndarray]:
    """Share of each uniform local binary pattern around a pixel.

    Codes 0 to 8 count the neighbors that are brighter, if those are
    together; 9 is for all other patterns.
    """
    height, width = lightness.shape
    padded = cv2.copyMakeBorder(lightness, 1, 1, 1, 1, cv2.BORDER_REFLECT_101)
    ring = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))
    threshold = lightness + np.float32(_PATTERN_THRESHOLD)
    brighter = [(padded[y:y + height, x:x + width] > threshold).view(np.uint8)
                for y, x in ring]
    count = np.sum(brighter, axis=0, dtype=np.uint8)
    changes = np.sum(
        [a ^ b for a, b in zip(brighter, brighter[1:] + brighter[:1])],
        axis=0,
        dtype=np.uint8)
    code = np.where(changes <= 2, count, _PATTERN_CODES - 1)
    for value in range(_PATTERN_CODES):
        yield _blur((code == value).astype(np.float32), _SCALES[1])
