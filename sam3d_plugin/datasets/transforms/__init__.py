"""Pipeline steps that mmdet3d does not have."""
from .center_points import CenterPoints
from .check_points import CheckPoints
from .few_labels import KeepPointLabels
from .keep_box_labels import KeepBoxLabels
from .load_frame_image import LoadFrameImage
from .load_frame_labels import LoadFrameLabels
from .load_region_ids import LoadRegionIds
from .load_region_targets import LoadRegionTargets
from .load_rgbd_points import LoadRGBDPoints
from .pack_pretrain import PackPretrainInputs
from .random_cuboid import DropCuboid, RandomCuboid
from .seeded_point_sample import SeededPointSample
from .turn_points import TurnPoints
from .two_views import FindCorrespondences, TwoViews

__all__ = [
    'CenterPoints', 'CheckPoints', 'DropCuboid', 'FindCorrespondences',
    'KeepBoxLabels', 'KeepPointLabels', 'LoadFrameImage', 'LoadFrameLabels',
    'LoadRGBDPoints', 'LoadRegionIds', 'LoadRegionTargets',
    'PackPretrainInputs', 'RandomCuboid', 'SeededPointSample', 'TurnPoints',
    'TwoViews'
]
