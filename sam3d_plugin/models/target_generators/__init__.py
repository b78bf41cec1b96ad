"""Pre-training targets."""
from .frozen_targets import FrozenTargets
from .region_feature_targets import RegionFeatureTargets, RegionTargets
from .teacher_token_targets import TeacherTargets, TeacherTokenTargets

__all__ = [
    'FrozenTargets', 'RegionFeatureTargets', 'RegionTargets', 'TeacherTargets',
    'TeacherTokenTargets'
]
