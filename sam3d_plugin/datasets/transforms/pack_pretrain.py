"""The end of a pre-training pipeline."""
from typing import Sequence

import torch
from mmcv.transforms import BaseTransform
from mmdet3d.registry import TRANSFORMS
from mmdet3d.structures import Det3DDataSample, PointData


@TRANSFORMS.register_module()
class PackPretrainInputs(BaseTransform):
    """Pack points as inputs and regions as what to predict.

    Required Keys:

    - points (:obj:`BasePoints`)
    - regions (:obj:`InstanceData`, optional)
    - pts_semantic_mask (np.ndarray, optional): for probes, not for training
    - those of ``meta_keys`` that the data sample shall have

    Args:
        meta_keys (Sequence[str]): Keys that become ``metainfo``; absent ones
            are left out. Defaults to ('scan', 'frame', 'sample_idx').
    """

    def __init__(
        self,
        meta_keys: Sequence[str] = ('scan', 'frame', 'sample_idx')) -> None:
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict) -> dict:
        """Pack one sample.

        Args:
            results (dict): Result dict of the pipeline.

        Returns:
            dict: ``inputs`` with ``points`` (Tensor): (N, 4) x, y, z,
            region; ``data_samples`` with ``regions``, and the labels as
            ``gt_pts_seg``.
        """
        sample = Det3DDataSample(metainfo={
            key: results[key]
            for key in self.meta_keys if key in results
        })
        if 'regions' in results:
            sample.regions = results['regions']
        if 'pts_semantic_mask' in results:
            labels = torch.from_numpy(results['pts_semantic_mask'])
            sample.gt_pts_seg = PointData(pts_semantic_mask=labels)
        return dict(
            inputs=dict(points=results['points'].tensor), data_samples=sample)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(meta_keys={self.meta_keys})'
