"""Purity of regions against true instances.

Shapes: N points, G tokens, K members of a token, R regions.
"""
from dataclasses import dataclass
from typing import Tuple

import numpy as np
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import contingency_matrix


@dataclass(frozen=True)
class RegionPurity:
    """Agreement of regions with instances."""
    # Share of the points in a region whose region's majority instance is
    # theirs
    purity: float
    # The same of all points, where those in no region count as one more region
    purity_all: float
    ari: float  # Adjusted Rand index of the points in a region
    covered: float  # Share of the points that are in a region
    num_regions: int  # R
    # Regions of an instance, i.e. those with their majority in it; mean over
    # the instances that have any
    regions_per_instance: float
    found: float  # Share of the instances that have a region


def instance_labels(instance: np.ndarray, semantic: np.ndarray) -> np.ndarray:
    """(N,) int64 labels: one per instance, and one per class of the points in
    none (id 0)."""
    instance = np.asarray(instance, dtype=np.int64)
    stuff = -1 - np.asarray(semantic, dtype=np.int64)
    return np.where(instance > 0, instance, stuff)


def region_purity(region_ids: np.ndarray,
                  instance_ids: np.ndarray,
                  ignore_region: int = 0) -> RegionPurity:
    """Agreement of (N,) regions with (N,) :func:`instance_labels`; NaN for
    shares of no points."""
    is_covered = region_ids != ignore_region
    regions, instances = region_ids[is_covered], instance_ids[is_covered]
    owners, hits = _majorities(regions, instances)
    rest = instance_ids[~is_covered]
    rest_hits = _majorities(np.zeros_like(rest), rest)[1].sum()
    all_instances, found = np.unique(instance_ids), np.unique(owners)
    return RegionPurity(
        purity=_share(hits.sum(), len(regions)),
        purity_all=_share(hits.sum() + rest_hits, len(instance_ids)),
        ari=(float(adjusted_rand_score(instances, regions))
             if len(regions) else float('nan')),
        covered=_share(len(regions), len(region_ids)),
        num_regions=len(owners),
        regions_per_instance=_share(len(owners), len(found)),
        found=_share(len(found), len(all_instances)))


def membership_purity(instance_ids: np.ndarray) -> float:
    """Purity of tokens that may share points, such as FPS + kNN groups.

    The share of the memberships (G, K) in which the point is of its token's
    majority instance.
    """
    tokens = np.repeat(np.arange(len(instance_ids)), instance_ids.shape[1])
    hits = _majorities(tokens, instance_ids.reshape(-1))[1]
    return _share(hits.sum(), instance_ids.size)


def _majorities(regions: np.ndarray,
                instances: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """(R,) majority instance of each region, the lowest of equal ones, and
    (R,) numbers of points that are of it."""
    if not len(regions):
        return instances, np.zeros(0, np.int64)
    counts = contingency_matrix(regions, instances)
    return np.unique(instances)[counts.argmax(axis=1)], counts.max(axis=1)


def _share(part: float, whole: float) -> float:
    return float(part) / whole if whole else float('nan')
