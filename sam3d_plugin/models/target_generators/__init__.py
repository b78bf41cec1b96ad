"""What tokens shall predict."""
from .region_feature_targets import RegionFeatureTargets, RegionTargets
from .teacher_token_targets import TeacherTargets, TeacherTokenTargets

__all__ = [
    'RegionFeatureTargets', 'RegionTargets', 'TeacherTargets',
    'TeacherTokenTargets'
]
