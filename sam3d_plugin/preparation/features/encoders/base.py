"""Interface of image encoders.

Shapes: C channels, H W pixels, h w features.
"""
import abc
from typing import Any, Callable, Dict, List, Sequence, Tuple

import numpy as np
from torch import Tensor

Size = Tuple[int, int]


class ImageEncoder(abc.ABC):
    """A frozen image encoder.

    Instances are pickled into worker processes before they are used: a model
    is loaded at the first call of :meth:`encode`, not in the constructor.

    Attributes:
        name: Name by which :func:`build_encoder` knows the encoder.
        batch_size: Images per call of :meth:`encode` that it works best with.
        in_process: Whether it must stay in the main process, as models on a
            GPU must.
    """
    name: str
    batch_size: int = 1
    in_process: bool = False

    @abc.abstractmethod
    def settings(self) -> Dict[str, Any]:
        """Settings that determine the features, as JSON values.

        Models are named with the hash of their checkpoint; no absolute paths.
        """

    @abc.abstractmethod
    def encode(self, images: Sequence[np.ndarray]) -> List[Tensor]:
        """Encode (H, W, 3) uint8 RGB images, which may differ in size.

        Returns per image (C, h, w) float32 over the whole image: feature (i,
        j) belongs to the pixels of its cell when the image is cut into h x w
        equal cells.
        """


def fit_size(height: int, width: int, long_side: int, multiple: int) -> Size:
    """Height and width once the longer side is ``long_side``, pixels.

    Both are rounded to a multiple, half up, and are at least one of it. The
    aspect is kept up to that; nothing is cropped.
    """
    scale = long_side / max(height, width)
    tall, wide = (
        max(1, int(side * scale / multiple + 0.5)) * multiple
        for side in (height, width))
    return tall, wide


def encode_by_size(images: Sequence[np.ndarray], batch_size: int,
                   forward: Callable[[np.ndarray], Tensor]) -> List[Tensor]:
    """Encode images of one size together.

    Args:
        images (Sequence[np.ndarray]): (H, W, 3) uint8 each, of any sizes.
        batch_size (int): Images of a batch, at most.
        forward (Callable[[np.ndarray], Tensor]): From (B, H, W, 3) images to
            (B, C, h, w).

    Returns:
        List[Tensor]: (C, h, w) of each image, in their order.
    """
    by_size: Dict[Size, List[int]] = {}
    for i, image in enumerate(images):
        height, width = image.shape[:2]
        by_size.setdefault((height, width), []).append(i)
    encoded: Dict[int, Tensor] = {}
    for indices in by_size.values():
        for begin in range(0, len(indices), batch_size):
            part = indices[begin:begin + batch_size]
            encoded.update(
                zip(part, forward(np.stack([images[i] for i in part]))))
    return [encoded[i] for i in range(len(images))]
