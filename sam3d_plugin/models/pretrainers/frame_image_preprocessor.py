"""Frames and their color images on the device of the model."""
from typing import Any, Dict, Sequence

import torch
from mmdet3d.registry import MODELS
from torch import Tensor

from .frame_preprocessor import FramePreprocessor


@MODELS.register_module()
class FrameImagePreprocessor(FramePreprocessor):
    """Stack, move and standardize the images of ``LoadFrameImage``.

    Args:
        mean (Sequence[float]): Of R, G, B from 0 to 255. Defaults to that of
            ImageNet.
        std (Sequence[float]): Standard deviation of the same. Defaults to
            that of ImageNet.
        non_blocking (bool): See :class:`FramePreprocessor`. Defaults to True.
    """

    mean: Tensor
    std: Tensor

    def __init__(self,
                 mean: Sequence[float] = (123.675, 116.28, 103.53),
                 std: Sequence[float] = (58.395, 57.12, 57.375),
                 non_blocking: bool = True) -> None:
        super().__init__(non_blocking)
        for name, values in (('mean', mean), ('std', std)):
            self.register_buffer(
                name, torch.tensor(values)[:, None, None], persistent=False)

    def forward(self, data: Dict[str, Any], training: bool = False) -> dict:
        """Stack, move and standardize.

        Args:
            data (Dict[str, Any]): See :class:`FramePreprocessor`.
            training (bool): Unused.

        Returns:
            dict: The same; ``color_image``, if it is an input, is (B, 3, H, W)
            float32.

        Raises:
            ValueError: See :class:`FramePreprocessor`.
        """
        batch = super().forward(data, training)
        inputs = batch['inputs']
        if 'color_image' in inputs:
            image = inputs['color_image'].float()
            inputs['color_image'] = (image - self.mean) / self.std
        return batch
