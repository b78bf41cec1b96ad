"""Predictions of a pre-training method and their losses."""
from .global_feature_head import GlobalFeatureHead
from .global_projector import GlobalProjector
from .masked_token_head import MaskedTokenHead
from .neighborhood_head import NeighborhoodHead
from .point_projector import PointProjector
from .reduction import frame_mean, pool_tokens
from .region_distill_head import RegionDistillHead
from .widths import check_width

__all__ = [
    'GlobalFeatureHead', 'GlobalProjector', 'MaskedTokenHead',
    'NeighborhoodHead', 'PointProjector', 'RegionDistillHead', 'check_width',
    'frame_mean', 'pool_tokens'
]
