"""How much of the 2D features a network that sees xyz alone could predict.

Stage 1 teaches geometry to predict the 2D feature of a region. What no
geometry can explain, such as a paint, it cannot learn.

Shapes: R regions, D descriptors of their geometry, C channels.
"""
from pathlib import Path
from typing import Dict, List, NamedTuple

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ..datasets import RGBDFrameDataset

_MIN_POINTS = 16


class RegionGeometry(NamedTuple):
    """Regions of many frames."""

    geometry: np.ndarray  # (R, D) of :func:`describe`
    features: np.ndarray  # (R, C) mean 2D features
    scans: np.ndarray  # (R,) str


def describe(xyz: np.ndarray) -> np.ndarray:
    """Shape, height and size of a region.

    Args:
        xyz (np.ndarray): (N, 3) points, z up from the floor, meters.

    Returns:
        np.ndarray: (12,) height of the center, lowest and highest point;
        extents; standard deviations along the principal axes, largest first;
        how far the first and the last axis point up; logarithm of N.
    """
    low, high = xyz.min(0), xyz.max(0)
    values, axes = np.linalg.eigh(np.cov(xyz.T))
    spread = np.sqrt(values[::-1].clip(min=0))
    return np.concatenate([[xyz[:, 2].mean(), low[2], high[2]], high - low,
                           spread,
                           np.abs(axes[2, [2, 0]]), [np.log(len(xyz))]])


def read_regions(data_root: Path, ann_file: str, folder: str, num_points: int,
                 max_frames: int) -> RegionGeometry:
    """Read the regions of some frames as pre-training does.

    Args:
        data_root (Path): Prepared data set.
        ann_file (str): Infos whose scans are read.
        folder (str): Of the region features in it.
        num_points (int): Points of a frame.
        max_frames (int): Frames, evenly spaced over all.

    Returns:
        RegionGeometry: Regions of at least 16 points.
    """
    dataset = RGBDFrameDataset(
        data_root=str(data_root),
        ann_file=ann_file,
        pipeline=[
            dict(
                type='mmdet3d.LoadRGBDPoints',
                num_points=num_points,
                columns=('region', )),
            dict(type='mmdet3d.LoadRegionTargets', folder=folder),
            dict(type='mmdet3d.PackPretrainInputs')
        ])
    geometry: List[np.ndarray] = []
    features: List[np.ndarray] = []
    scans: List[str] = []
    count = min(max_frames, len(dataset))
    for index in np.linspace(0, len(dataset) - 1, count).astype(int):
        sample = dataset[int(index)]
        points = sample['inputs']['points'].numpy()
        values = sample['data_samples'].regions.features.numpy()
        for number in np.unique(points[:, 3].astype(int)):
            own = points[points[:, 3] == number, :3]
            if number > 0 and len(own) >= _MIN_POINTS:
                geometry.append(describe(own.astype(np.float64)))
                features.append(values[number - 1])
                scans.append(sample['data_samples'].scan)
    return RegionGeometry(
        np.array(geometry), np.array(features), np.array(scans))


def explained_variance(regions: RegionGeometry) -> Dict[str, float]:
    """Share of the features' variance that geometry explains.

    Args:
        regions (RegionGeometry): Of two scans at least; the last fifth of
            the scans is held out.

    Returns:
        Dict[str, float]: On the held-out scans ``ridge`` and ``mlp`` (64
        hidden units), 1 = all, 0 = no better than the mean; and ``common``,
        the share of the features' power that is one vector.
    """
    scans = np.unique(regions.scans)
    is_held_out = np.isin(regions.scans, scans[-max(len(scans) // 5, 1):])
    known = regions.features[~is_held_out]
    unknown = regions.features[is_held_out]
    mean = known.mean(0)
    found = dict(
        common=float(np.square(mean).sum() / np.square(known).sum(1).mean()))
    models = dict(
        ridge=RidgeCV(np.logspace(-3, 3, 7)),
        mlp=MLPRegressor(
            hidden_layer_sizes=(64, ),
            alpha=1e-2,
            early_stopping=True,
            max_iter=300,
            random_state=0))
    scale = known.std()
    for name, model in models.items():
        fitted = make_pipeline(StandardScaler(),
                               model).fit(regions.geometry[~is_held_out],
                                          (known - mean) / scale)
        guess = fitted.predict(regions.geometry[is_held_out])
        guess = guess.reshape(unknown.shape) * scale + mean
        found[name] = float(1 - np.square(guess - unknown).sum() /
                            np.square(mean - unknown).sum())
    return found
