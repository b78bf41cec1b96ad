"""Frames of a batch on the device of the model."""
from typing import Any, Dict, Optional, Sequence

import torch
from mmdet3d.registry import MODELS
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from ...store.errors import UserError


@MODELS.register_module()
class FramePreprocessor(BaseDataPreprocessor):
    """Stack every input of a batch and move it to the model's device.

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
            data (Dict[str, Any]): ``inputs``, by name lists of B tensors of
                one shape or stacked ones, and ``data_samples``.
            training (bool): Unused.

        Returns:
            dict: The same with (B, ...) tensors; ``points`` are float32.
            Their column of region ids is also an input ``region_ids`` (B, N)
            that stays on the CPU, where tokens are planned.

        Raises:
            ValueError: When an input is something else; it is named.
        """
        inputs = {
            name: _stack(name, self.cast_data(value))
            for name, value in data['inputs'].items()
        }
        samples = data.get('data_samples')
        if 'points' in inputs:
            inputs['points'] = inputs['points'].float()
            region_ids = _region_column(data['inputs']['points'], samples)
            if region_ids is not None:
                inputs['region_ids'] = region_ids
        return dict(inputs=inputs, data_samples=samples)


def _region_column(points: Sequence[Tensor],
                   data_samples: Optional[list]) -> Optional[Tensor]:
    """Region ids (B, N) of points that are still on the CPU."""
    columns = data_samples[0].metainfo.get('point_columns',
                                           {}) if data_samples else {}
    place = columns.get('region')
    if place is None or points[0].is_cuda or place >= points[0].shape[-1]:
        return None
    return torch.stack([view[..., place] for view in points])


def _stack(name: str, values: Any) -> Tensor:
    """One tensor (B, ...) of an input."""
    if torch.is_tensor(values):
        return values
    if not values or not all(torch.is_tensor(value) for value in values):
        raise UserError(f'input {name!r} is not a tensor per frame; move it '
                        'from keys to meta_keys of PackPretrainInputs')
    shapes = sorted({tuple(value.shape) for value in values})
    if len(shapes) > 1:
        remedy = 'PointSample with num_points' if name == 'points' else (
            'a step that makes them equal')
        raise UserError(
            f'input {name!r} of a batch has the shapes {shapes[0]} to '
            f'{shapes[-1]}: put {remedy} into the pipeline')
    return torch.stack(list(values))
