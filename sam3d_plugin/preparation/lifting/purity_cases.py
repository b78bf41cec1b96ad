"""What :mod:`.purity_study` compares: tokens without regions, and the room.

Shapes: N points, G tokens, K members of a token, H W pixels.
"""
from dataclasses import asdict
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence

import numpy as np
import torch
from scipy.spatial import cKDTree

from ... import ops
from ...ops.projection import transform
from ...store.errors import FrameError
from ...store.posed_images import (Cameras, RGBDFrame, decode_color,
                                   decode_depth, decode_matrix)
from ..regions.generators import build_generator
from .lifting import frame_points
from .purity import instance_labels, membership_purity, region_purity

# Points of a pre-training sample (docs/method.md, "Samples").
SAMPLE = 20_000
NEIGHBORS = 128
# How far a pixel may lie from the labeled vertex whose instance it takes.
REACH = 0.05


class Labeled(NamedTuple):
    """Points with their true instances and regions of several kinds."""
    xyz: np.ndarray  # (N, 3) meters
    instances: np.ndarray  # (N,) labels
    regions: Dict[str, np.ndarray]  # (N,) ids by kind, 0 = in no region

    def take(self, chosen: np.ndarray) -> 'Labeled':
        """Some of the points."""
        return Labeled(self.xyz[chosen], self.instances[chosen], {
            kind: ids[chosen]
            for kind, ids in self.regions.items()
        })

    def sample(self, seed: int) -> 'Labeled':
        """As many points as a pre-training sample has, without order."""
        rng = np.random.default_rng(seed)
        return self.take(rng.permutation(len(self.xyz))[:SAMPLE])


def furthest(xyz: np.ndarray, count: int) -> np.ndarray:
    """Indices (G,) of furthest point sampling from the first point."""
    points = torch.from_numpy(np.ascontiguousarray(xyz, np.float32))[None]
    return ops.furthest_point_sample(points, count)[0].long().numpy()


def nearest_center_regions(xyz: np.ndarray, count: int) -> np.ndarray:
    """Regions 1..G: each point with the nearest of G sampled centers."""
    return cKDTree(xyz[furthest(xyz, count)]).query(xyz)[1] + 1


def neighbor_members(xyz: np.ndarray, count: int, size: int) -> np.ndarray:
    """Members (G, K) of FPS + kNN tokens, which may share points."""
    return cKDTree(xyz).query(xyz[furthest(xyz, count)], k=size)[1]


def measure_part(part: Labeled, kind: str) -> Dict[str, Dict[str, float]]:
    """Purity of one kind of regions and of as many tokens without.

    Returns the figures of the regions, of nearest-center tokens, and of FPS +
    kNN tokens of 128 points and of as many as all tokens have on average
    (whose purity is of memberships).
    """
    ids = part.regions[kind]
    count = len(np.unique(ids[ids > 0]))
    centers = nearest_center_regions(part.xyz, count)
    results = dict(
        regions=asdict(region_purity(ids, part.instances)),
        fps_nearest_center=asdict(region_purity(centers, part.instances)))
    for name, size in ((f'fps_knn_{NEIGHBORS}', NEIGHBORS),
                       ('fps_knn_mean_size', len(part.xyz) // count)):
        members = neighbor_members(part.xyz, count, size)
        results[name] = dict(
            purity=membership_purity(part.instances[members]),
            covered=len(np.unique(members)) / len(part.xyz),
            num_regions=count,
            members=size)
    return results


def measure_regions(parts: Sequence[Labeled],
                    kind: str) -> Dict[str, Dict[str, float]]:
    """Means of :func:`measure_part`, weighted by the parts' points.

    Returns the figures by kind of tokens; numbers of tokens and members are
    plain means.
    """
    measured = [measure_part(part, kind) for part in parts]
    weights = [len(part.xyz) for part in parts]
    return {
        name: {
            key:
            round(
                float(
                    np.average(
                        [found[name][key] for found in measured],
                        weights=None if key in ('num_regions',
                                                'members') else weights)), 4)
            for key in measured[0][name]
        }
        for name in measured[0]
    }


def read_room(folder: Path) -> Labeled:
    """The labeled scan scene0000_00, in its axis-aligned frame."""
    scan = np.load(folder / 'scene0000_00_labelled.npz', allow_pickle=False)
    return Labeled(
        scan['xyz_aligned'],
        instance_labels(scan['instance'], scan['sem_nyu40']),
        # Published from 0 on; 0 is a group like the others.
        dict(published_sam=scan['sam3d_ensemble_group'].astype(np.int64) + 1))


def read_room_frames(folder: Path) -> List[RGBDFrame]:
    """The RGB-D frames of scan 00."""
    intrinsics = _matrix(folder / 'intrinsic_depth.txt')[:3, :3]
    cameras = Cameras(intrinsics, intrinsics, np.eye(4), True)
    frames = []
    for path in sorted((folder / 'frames').glob('*.color.jpg')):
        name = path.name.split('.')[0]
        depth = (folder / 'frames' / f'{name}.depth.png').read_bytes()
        frames.append(
            RGBDFrame('scene0000_00', name,
                      decode_color(path.read_bytes(), str(path)),
                      decode_depth(depth, name).astype(np.float32) / 1000,
                      _matrix(folder / 'frames' / f'{name}.pose.txt'),
                      cameras))
    return frames


def _matrix(path: Path) -> np.ndarray:
    return decode_matrix(path.read_bytes(), str(path))


def label_frames(folder: Path, room: Labeled, generator: str) -> List[Labeled]:
    """Back-projected pixels near labeled vertices, one part per frame.

    Args:
        folder (Path): Of the room.
        room (Labeled): Its scan.
        generator (str): Finds the regions of the frames.

    Returns:
        List[Labeled]: With regions of that kind and the published ones.

    Raises:
        FrameError: When a frame has no regions.
    """
    frames = read_room_frames(folder)
    align = _matrix(folder / 'axis_align_matrix.txt')
    tree = cKDTree(room.xyz)
    parts = []
    for frame, ids in zip(frames,
                          build_generator(generator, {}).generate(frames)):
        if isinstance(ids, FrameError):
            raise ids
        xyz, regions = frame_points(frame, ids)
        xyz = transform(xyz, align).astype(np.float32)
        distance, nearest = tree.query(xyz, distance_upper_bound=REACH)
        is_near = np.isfinite(distance)
        vertices = nearest[is_near]
        parts.append(
            Labeled(
                xyz[is_near], room.instances[vertices], {
                    generator: regions[is_near],
                    'published_sam': room.regions['published_sam'][vertices]
                }))
    return parts
