"""Packing of pre-training inputs."""
from typing import Any, Sequence

import numpy as np
import torch
from mmdet3d.registry import TRANSFORMS
from mmdet3d.structures import BasePoints, Det3DDataSample, PointData
from torch import Tensor

from ...store.errors import UserError
from .base import Step


@TRANSFORMS.register_module()
class PackPretrainInputs(Step):
    """Pack the inputs of a method, and what it predicts.

    Required Keys:

    - those of ``keys``
    - regions (:obj:`InstanceData`, optional), or a list of those of views
    - pts_semantic_mask (np.ndarray, optional): for probes and supervision

    Args:
        keys (Sequence[str]): Keys that become inputs: points (those of several
            views are stacked), arrays or tensors.
        meta_keys (Sequence[str]): Keys that become ``metainfo``; absent ones
            are left out.
    """

    def __init__(
        self,
        keys: Sequence[str] = ('points', ),
        meta_keys: Sequence[str] = ('scan', 'frame', 'sample_idx')
    ) -> None:
        self.keys = tuple(keys)
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict) -> dict:
        """Pack one sample.

        ``data_samples`` has ``regions``, the labels as ``gt_pts_seg``, and in
        ``metainfo`` also ``point_columns``, which names the columns behind
        xyz.

        Raises ValueError when no step of the pipeline adds one of the keys.
        """
        missing = [key for key in self.keys if key not in results]
        if missing:
            raise UserError(
                f'PackPretrainInputs: keys names {missing[0]!r}, which no '
                f'step before it adds; it could be one of '
                f'{", ".join(k for k in results if _is_array(results[k]))}')
        metainfo = {k: results[k] for k in self.meta_keys if k in results}
        for points in _views(results.get('points', [])):
            metainfo['point_columns'] = dict(points.attribute_dims or {})
        sample = Det3DDataSample(metainfo=metainfo)
        if 'regions' in results:
            sample.regions = results['regions']
        if 'pts_semantic_mask' in results:
            labels = torch.from_numpy(results['pts_semantic_mask'])
            sample.gt_pts_seg = PointData(pts_semantic_mask=labels)
        inputs = {key: _to_tensor(key, results[key]) for key in self.keys}
        return dict(inputs=inputs, data_samples=sample)


def _views(points: Any) -> list:
    """Points of each view of a sample."""
    return points if isinstance(points, list) else [points]


def _is_array(value: Any) -> bool:
    """Whether a result can be an input."""
    return all(
        isinstance(view, (BasePoints, np.ndarray, Tensor))
        for view in _views(value))


def _to_tensor(key: str, value: Any) -> Tensor:
    """The tensor of an input."""
    if not _is_array(value):
        raise UserError(f'PackPretrainInputs: {key} is a '
                        f'{type(value).__name__}, not points, an array or a '
                        'tensor; put it in meta_keys')
    if isinstance(value, list):
        return torch.stack([_to_tensor(key, view) for view in value])
    if isinstance(value, BasePoints):
        return value.tensor
    return value if torch.is_tensor(value) else torch.from_numpy(value)
