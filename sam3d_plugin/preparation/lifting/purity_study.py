"""Purity of regions and tokens, on a real room and on SynthRooms."""
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from ...store.posed_images import decode_image
from . import purity_cases as cases
from .lifting import read_frame, see_points
from .purity import (RegionPurity, instance_labels, membership_purity,
                     region_purity)
from .region_merging import MergeOptions, RegionMerger
from .scan_regions_step import ScanRegionsStep

GENERATOR = 'superpixel'
PUBLISHED = 'published_sam'
# Tokens and members of the quick check.
KNN_TOKENS = ((256, 128), (2048, 128), (2048, 32))
# Points that make a region a token (docs/method.md, "Tokens").
TOKEN_POINTS = 16
RULES = dict(
    ours=MergeOptions(),
    ours_whole=MergeOptions(counted='whole'),
    sam3d=MergeOptions(counted='whole', keep_apart=False))


def study_room(folder: Path) -> Dict[str, Any]:
    """Purity on the real room."""
    room = cases.read_room(folder)
    frames = cases.label_frames(folder, room, GENERATOR)
    samples = [frame.sample(seed) for seed, frame in enumerate(frames)]
    return dict(
        frames=dict(
            points=sum(len(frame.xyz) for frame in frames),
            all_pixels={
                kind: cases.measure_regions(frames, kind)
                for kind in (GENERATOR, PUBLISHED)
            },
            samples={
                kind: cases.measure_regions(samples, kind)
                for kind in (GENERATOR, PUBLISHED)
            }),
        scan=cases.measure_regions([room], PUBLISHED),
        quick_check=check_quickly(room))


def check_quickly(room: cases.Labeled) -> Dict[str, Any]:
    """The issue's quick check on 20,000 sampled points of the scan.

    Returns the purity of the groups large enough to be tokens, and of FPS +
    kNN tokens.
    """
    sample = room.sample(0)
    groups = sample.regions[PUBLISHED]
    counts = np.bincount(groups)
    is_token = counts[groups] >= TOKEN_POINTS
    result: Dict[str, Any] = dict(
        published_sam=dict(
            tokens=int((counts >= TOKEN_POINTS).sum()),
            purity=region_purity(groups[is_token],
                                 sample.instances[is_token]).purity,
            purity_of_all_groups=region_purity(groups,
                                               sample.instances).purity))
    for count, size in KNN_TOKENS:
        members = cases.neighbor_members(sample.xyz, count, size)
        result[f'knn_{count}x{size}'] = dict(
            tokens=count, purity=membership_purity(sample.instances[members]))
    return result


def study_synthrooms(data: Path, limit: Optional[int]) -> Dict[str, Any]:
    """Purity of merged regions on SynthRooms.

    Returns means over the scans by kind of masks and rule.
    """
    step = ScanRegionsStep(data)
    scans = step.images.scans()[:limit]
    rows: Dict[str, Dict[str, List[RegionPurity]]] = {}
    for scan in scans:
        xyz = step.read_points(scan)
        instances = instance_labels(
            *(np.frombuffer((data / folder /
                             f'{scan}.bin').read_bytes(), '<i8')
              for folder in ('instance_mask', 'semantic_mask')))
        for kind, views in lift_views(step, data, scan, xyz).items():
            found = rows.setdefault(kind, {})
            for ids, is_seen in views:
                result = region_purity(ids[is_seen], instances[is_seen])
                found.setdefault('single_frames', []).append(result)
            merged = merge_by_rules([ids for ids, _ in views], xyz)
            for name, ids in merged.items():
                result = region_purity(ids, instances)
                found.setdefault(name, []).append(result)
    settings = step.settings()['region_maps']
    return dict(
        scans=len(scans),
        generator=settings.get('generator'),
        kinds={
            kind: {
                name: mean_of(found)
                for name, found in by_rule.items()
            }
            for kind, by_rule in rows.items()
        })


def lift_views(step: ScanRegionsStep, data: Path, scan: str,
               xyz: np.ndarray) -> Dict[str, List[Tuple]]:
    """What each frame sees of a scan.

    Args:
        step (ScanRegionsStep): Reads frames and id maps.
        data (Path): The set.
        scan (str): Name of the scan.
        xyz (np.ndarray): (N, 3) its points, meters.

    Returns:
        Dict[str, List[Tuple]]: By kind of masks, for each frame the ids (N,)
        and whether a point is seen (N,).
    """
    views: Dict[str, List[Tuple]] = dict(generated=[], true_masks=[])
    for name in step.images.frames(scan):
        frame, region_map = read_frame(step.images, step.maps, scan, name)
        path = data / 'frame_instances' / scan / f'{name}.png'
        true = decode_image(path.read_bytes(), str(path)).astype(np.uint16)
        views['generated'].append(see_points(xyz, frame, region_map))
        views['true_masks'].append(see_points(xyz, frame, true))
    return views


def merge_by_rules(views: Sequence[np.ndarray],
                   xyz: np.ndarray) -> Dict[str, np.ndarray]:
    """Merged ids (N,) by rule, and as many tokens without regions."""
    merged = {}
    for name, options in RULES.items():
        merger = RegionMerger(options)
        for ids in views:
            merger.add(ids)
        merged[name] = merger.result(xyz)
    count = int(merged['ours'].max())
    merged['fps_nearest_center'] = cases.nearest_center_regions(xyz, count)
    return merged


def mean_of(results: Sequence[RegionPurity]) -> Dict[str, float]:
    """Mean of every figure."""
    values = [asdict(result) for result in results]
    return {
        key: round(float(np.mean([value[key] for value in values])), 4)
        for key in values[0]
    }
