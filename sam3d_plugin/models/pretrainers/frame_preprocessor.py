"""Frames of a batch on the device of the model."""
from typing import Any, Dict

import torch
from mmdet3d.registry import MODELS
from mmengine.model import BaseDataPreprocessor


@MODELS.register_module()
class FramePreprocessor(BaseDataPreprocessor):
    """Stack the points of a batch and move them to the model's device.

    Data samples stay where they are: a target generator that reads them
    puts their arrays together first, so that they move as a few large ones.

    Args:
        non_blocking (bool): Whether copies from pinned memory overlap with
            other work. Defaults to True.
    """

    def __init__(self, non_blocking: bool = True) -> None:
        super().__init__(non_blocking)

    def forward(self, data: Dict[str, Any], training: bool = False) -> dict:
        """Stack and move.

        Args:
            data (Dict[str, Any]): ``inputs`` with ``points``, a list of
                B tensors (N, 3 + D) or one (B, N, 3 + D), and
                ``data_samples``.
            training (bool): Not looked at.

        Returns:
            dict: The same with ``points`` (B, N, 3 + D) float32.

        Raises:
            ValueError: When frames have different numbers of points.
        """
        points = self.cast_data(data['inputs']['points'])
        if not torch.is_tensor(points):
            counts = sorted({len(p) for p in points})
            if len(counts) > 1:
                raise ValueError(
                    f'frames of a batch have {counts[0]} to {counts[-1]} '
                    'points: put PointSample with num_points into the '
                    'pipeline')
            points = torch.stack(points)
        return dict(
            inputs=dict(points=points.float()),
            data_samples=data.get('data_samples'))
