"""Pre-training targets."""
from .frozen_targets import FrozenTargets
from .neighborhood_targets import NeighborhoodTargets
from .region_feature_targets import (RegionFeatureTargets, RegionTargets,
                                     look_up_regions)
from .teacher_token_targets import TeacherTargets, TeacherTokenTargets

__all__ = [
    'FrozenTargets', 'NeighborhoodTargets', 'RegionFeatureTargets',
    'RegionTargets', 'TeacherTargets', 'TeacherTokenTargets', 'look_up_regions'
]
