"""A walk through the rooms with a camera in the hand.

At each stop the camera looks where it sees most that it has not seen, among
random directions; a part of what it saw before has to stay in view. Frame of
reference: axis-aligned. Shapes: K poses, N rays.
"""
from dataclasses import dataclass, field
from typing import List

import numpy as np
from scipy import ndimage

from ..preparation.sources.scans.scan import CLASS_NAMES, DETECTION_CLASSES
from .layout import Room
from .rendering import Renderer

# Eyes' distance to walls and furniture, meters.
_CLEARANCE = 0.3
_CELL = 0.1
_HEADINGS = 20
# Stops tried in the direction of the walk, and anywhere in the room.
_STOPS = (3, 2)
# A view is poor when a quarter of it is nearer, meters.
_CLOSE = 0.8
# Farther surfaces do not count as seen, meters.
_FAR = 4.0
# Objects not yet seen that a stop's views aim at.
_TARGETS = 8
# Walks planned at most.
_PLANS = 3
_RAYS = (18, 24)
# Side of the cubes in which surfaces count as seen, meters.
_SEEN_CELL = 0.2
# Of a cube: how far they are shifted from the floor. A surface between two
# would be in either by the last digit of a ray, which processors differ in.
_SEEN_SHIFT = 0.37
# What counts against a newly seen cube of wall or floor: a newly seen cube of
# an object, one seen before, a whole new object.
_OBJECT_CELL = 3.0
_KNOWN_CELL = 0.4
_NEW_OBJECT = 150.0
# Share of rays by which an object counts as seen.
_OBJECT_SHARE = 0.02


@dataclass
class _Memory:
    """Surfaces seen so far: cubes, and rays per instance."""
    cells: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    rays: np.ndarray = field(default_factory=lambda: np.zeros(0))


def look(position: np.ndarray, yaw: float, pitch: float,
         roll: float) -> np.ndarray:
    """Pose of a camera.

    Args:
        position (np.ndarray): (3,) meters.
        yaw (float): Where it looks, radians counter-clockwise from x.
        pitch (float): Upwards, radians.
        roll (float): About its axis, radians.

    Returns:
        np.ndarray: (4, 4) camera (x right, y down, z forward) to the world.
    """
    forward = np.array([
        np.cos(yaw) * np.cos(pitch),
        np.sin(yaw) * np.cos(pitch),
        np.sin(pitch)
    ])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    down = np.cross(forward, right)
    pose = np.eye(4)
    pose[:3, 0] = np.cos(roll) * right + np.sin(roll) * down
    pose[:3, 1] = -np.sin(roll) * right + np.cos(roll) * down
    pose[:3, 2] = forward
    pose[:3, 3] = position
    return pose


def standing_places(room: Room) -> np.ndarray:
    """(K, 2) free floor of a room, meters, in one connected part of it."""
    x0, y0, x1, y1 = room.rectangle
    x = np.arange(x0 + _CELL / 2, x1, _CELL)
    y = np.arange(y0 + _CELL / 2, y1, _CELL)
    grid = np.stack(np.meshgrid(x, y, indexing='ij'), -1)
    is_free = np.ones(grid.shape[:2], bool)
    is_free[[0, -1]] = is_free[:, [0, -1]] = False
    for placed in room.pieces:
        boxes = placed.boxes()
        for center, half, yaw in zip(boxes.center, boxes.half, boxes.yaw):
            if center[2] - half[2] > 1.9:
                continue
            away = grid - center[:2]
            cos, sin = np.cos(yaw), np.sin(yaw)
            local = np.stack([
                cos * away[..., 0] + sin * away[..., 1],
                cos * away[..., 1] - sin * away[..., 0]
            ], -1)
            is_free &= (np.abs(local) > half[:2] + _CELL / 2).any(-1)
    distance = ndimage.distance_transform_edt(is_free) * _CELL
    for clearance in (_CLEARANCE, _CLEARANCE / 2, 0.0):
        labels, count = ndimage.label(distance > clearance)
        if count:
            largest = np.bincount(labels.ravel())[1:].argmax() + 1
            return grid[labels == largest]
    raise AssertionError('furniture covers the whole floor')


def plan_path(rng: np.random.Generator, rooms: List[Room], renderer: Renderer,
              num_frames: int) -> List[np.ndarray]:
    """(4, 4) poses of the frames, camera to the axis-aligned frame.

    Rooms get frames by their area and at least one each, if there are enough.
    """
    is_object = np.isin(renderer.mesh.classes, list(CLASS_NAMES))
    wanted = _OBJECT_SHARE * _RAYS[0] * _RAYS[1]
    best: List[np.ndarray] = []
    fewest = len(is_object) + 1
    # Directions are random; a walk that misses objects is planned again.
    for _ in range(_PLANS):
        memory = _Memory(rays=np.zeros(len(is_object)))
        poses = _walk(rng, rooms, renderer, num_frames, memory)
        missed = int((memory.rays[is_object] < wanted).sum())
        if missed < fewest:
            best, fewest = poses, missed
        if missed == 0:
            break
    return best


def _walk(rng: np.random.Generator, rooms: List[Room], renderer: Renderer,
          num_frames: int, memory: _Memory) -> List[np.ndarray]:
    """Poses of one walk."""
    height = rng.uniform(1.42, 1.66)
    wanted = _OBJECT_SHARE * _RAYS[0] * _RAYS[1]
    poses: List[np.ndarray] = []
    first = 1  # instance ids follow the rooms' pieces
    for room, count in zip(rooms, share_frames(rooms, num_frames)):
        places = standing_places(room)
        ids = slice(first, first + len(room.pieces))
        first += len(room.pieces)
        start = rng.uniform(0, 2 * np.pi)
        for step in range(count):
            angle = start + 2 * np.pi * step / max(count, 1)
            missed = [
                placed.hull().center[0]
                for placed, rays in zip(room.pieces, memory.rays[ids])
                if placed.piece.name in DETECTION_CLASSES and rays < wanted
            ]
            candidates = np.concatenate([
                _candidates(rng, places, angle, height),
                *_aimed(rng, places, missed, height)
            ])
            poses.append(_best(renderer, candidates, memory, step == 0))
    return poses


def share_frames(rooms: List[Room], num_frames: int) -> List[int]:
    """Number of frames per room, in proportion to the root of its area."""
    sides = [np.subtract(r.rectangle[2:], r.rectangle[:2]) for r in rooms]
    weights = np.array([np.sqrt(side.prod()) for side in sides])
    ends = np.round(np.cumsum(weights) / weights.sum() * num_frames)
    return np.diff(ends, prepend=0).astype(int).tolist()


def _candidates(rng: np.random.Generator, places: np.ndarray, angle: float,
                height: float) -> np.ndarray:
    """Poses at some stops in one direction from the middle of the floor."""
    middle = places.mean(0)
    direction = np.array([np.cos(angle), np.sin(angle)])
    away = places - middle
    along = away @ direction
    across = np.abs(away @ [-direction[1], direction[0]])
    # Far out along the direction, but not in a far corner off it.
    rank = np.argsort(-(along - 1.5 * across), kind='stable')
    best = rank[:max(len(rank) // 8, 1)]
    poses = []
    stops = [*rng.choice(best, _STOPS[0]), *rng.choice(rank, _STOPS[1])]
    for stop in stops:
        position = np.array([
            *(places[stop] + rng.uniform(-0.04, 0.04, 2)),
            height + rng.normal(0, 0.04)
        ])
        for heading in np.arange(_HEADINGS) * (2 * np.pi / _HEADINGS):
            yaw = heading + rng.normal(0, 0.1)
            pitch = rng.uniform(-0.6, -0.12)
            poses.append(look(position, yaw, pitch, rng.normal(0, 0.03)))
    return np.stack(poses)


def _aimed(rng: np.random.Generator, places: np.ndarray,
           targets: List[np.ndarray], height: float) -> List[np.ndarray]:
    """(1, 4, 4) poses that look at some targets from anywhere."""
    poses = []
    for target in targets[:_TARGETS]:
        for stop in rng.choice(len(places), _STOPS[0]):
            position = np.array([*places[stop], height + rng.normal(0, 0.04)])
            away = target - position
            yaw = np.arctan2(away[1], away[0]) + rng.normal(0, 0.15)
            pitch = np.arctan2(away[2], np.hypot(*away[:2]))
            pitch = np.clip(pitch + rng.normal(0, 0.05), -0.75, 0.0)
            poses.append(look(position, yaw, pitch, rng.normal(0, 0.03))[None])
    return poses


def _best(renderer: Renderer, candidates: np.ndarray, memory: _Memory,
          is_first: bool) -> np.ndarray:
    """The candidate that shows most; the memory is updated."""
    instances, points = renderer.instances(candidates, _RAYS)
    keys = _cell_keys(points)
    is_object = np.isin(renderer.mesh.classes, list(CLASS_NAMES))
    away = np.linalg.norm(points - candidates[:, None, :3, 3], axis=2)
    instances = np.where(away < _FAR, instances, 0)
    is_close = np.percentile(away, 25, axis=1) < _CLOSE
    scores = [
        _score(memory, ids, cells, is_object, is_first)
        for ids, cells in zip(instances, keys)
    ]
    best = int(np.argmax(np.where(is_close, 0.3, 1.0) * scores))
    memory.cells = np.union1d(memory.cells, keys[best])
    memory.rays += np.bincount(instances[best], minlength=len(is_object))
    return candidates[best]


def _score(memory: _Memory, ids: np.ndarray, cells: np.ndarray,
           is_object: np.ndarray, is_first: bool) -> float:
    """Score of a view."""
    unique, first = np.unique(cells, return_index=True)
    is_new = ~np.isin(unique, memory.cells)
    of_object = is_object[ids[first]]
    worth = np.where(is_new, np.where(of_object, _OBJECT_CELL, 1.0),
                     np.where(of_object, _KNOWN_CELL, 0.0))
    wanted = _OBJECT_SHARE * len(ids)
    rays = np.bincount(ids, minlength=len(is_object))
    more = np.minimum(memory.rays + rays, wanted) - np.minimum(
        memory.rays, wanted)
    score = float(worth.sum() + _NEW_OBJECT * more[is_object].sum() / wanted)
    # A walk shows again a part of what it has shown.
    return score * 0.5 if not is_first and is_new.mean() > 0.85 else score


def _cell_keys(points: np.ndarray) -> np.ndarray:
    """One integer for the cube that contains each point."""
    cell = np.floor(points / _SEEN_CELL + _SEEN_SHIFT).astype(np.int64) + 2048
    return (cell[..., 0] * 4096 + cell[..., 1]) * 4096 + cell[..., 2]
