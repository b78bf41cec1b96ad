"""Pipeline steps that mmdet3d does not have."""
from .check_points import CheckPoints
from .load_region_ids import LoadRegionIds
from .seeded_point_sample import SeededPointSample

__all__ = ['CheckPoints', 'LoadRegionIds', 'SeededPointSample']
