"""Importing this package registers every data component."""
from ..libraries import prepare_libraries
from .frame_batch import collate_frames
from .frame_pair_dataset import FramePairDataset
from .rgbd_frame_dataset import RGBDFrameDataset
from .seeded_sampler import SeededSampler
from .transforms import (CenterPoints, CheckPoints, FindCorrespondences,
                         KeepBoxLabels, KeepPointLabels, LoadFrameImage,
                         LoadRegionIds, LoadRegionTargets, LoadRGBDPoints,
                         PackPretrainInputs, RandomCuboid, SeededPointSample,
                         TwoViews)

__all__ = [
    'CenterPoints', 'CheckPoints', 'FindCorrespondences', 'FramePairDataset',
    'KeepBoxLabels', 'KeepPointLabels', 'LoadFrameImage', 'LoadRGBDPoints',
    'LoadRegionIds', 'LoadRegionTargets', 'PackPretrainInputs',
    'RGBDFrameDataset', 'RandomCuboid', 'SeededPointSample', 'SeededSampler',
    'TwoViews', 'collate_frames'
]

prepare_libraries()
