"""Pipeline steps that mmdet3d does not have."""
from .check_points import CheckPoints
from .load_region_ids import LoadRegionIds
from .load_region_targets import LoadRegionTargets
from .load_rgbd_points import LoadRGBDPoints
from .pack_pretrain import PackPretrainInputs
from .seeded_point_sample import SeededPointSample

__all__ = [
    'CheckPoints', 'LoadRGBDPoints', 'LoadRegionIds', 'LoadRegionTargets',
    'PackPretrainInputs', 'SeededPointSample'
]
