"""Importing this package registers every data component."""
from ..libraries import prepare_libraries
from . import transforms
from .frame_batch import collate_frames
from .frame_pair_dataset import FramePairDataset
from .rgbd_frame_dataset import RGBDFrameDataset
from .seeded_sampler import SeededSampler
from .transforms import *  # noqa: F403

__all__ = [
    'FramePairDataset', 'RGBDFrameDataset', 'SeededSampler', 'collate_frames'
] + transforms.__all__

prepare_libraries()
