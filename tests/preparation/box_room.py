"""A furnished room of boxes, seen by cameras that look around in it."""
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

SHAPE = (60, 80)
INTRINSICS = np.array([[60.0, 0, 39.5], [0, 60.0, 29.5], [0, 0, 1]])
# Low and high corners of a table, a cupboard, a bed and a stool, metres.
FURNITURE = np.array([[[0.2, 0.3, 0], [1.4, 1.1, 0.75]],
                      [[4.4, 0.5, 0], [5, 1.5, 1.9]], [[3, 3, 0], [5, 4, 0.5]],
                      [[1, 2.8, 0], [1.5, 3.3, 0.45]]])
ROOM = np.array([5.0, 4.0, 2.6])


@dataclass(frozen=True)
class Frame:
    """Depth in meters, colors, and the camera's pose."""
    depth: np.ndarray
    color: np.ndarray
    pose: np.ndarray


def look(position, yaw, pitch=-0.35):
    """(4, 4) pose of a camera held upright in a world with z up."""
    ahead = np.array([
        np.cos(yaw) * np.cos(pitch),
        np.sin(yaw) * np.cos(pitch),
        np.sin(pitch)
    ])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(ahead, right), ahead], axis=1)
    pose[:3, 3] = position
    return pose


def see(pose, shape=SHAPE, intrinsics=INTRINSICS):
    """What a camera in the room sees."""
    v, u = np.indices(shape)
    rays = np.stack([u, v, np.ones(shape)],
                    axis=-1) @ np.linalg.inv(intrinsics).T
    rays = rays @ pose[:3, :3].T
    origin = pose[:3, 3]
    with np.errstate(divide='ignore'):
        depth = np.where(rays > 0, (ROOM - origin) / rays,
                         -origin / rays).min(axis=-1)
        for low, high in FURNITURE:
            near, far = np.sort([(low - origin) / rays,
                                 (high - origin) / rays],
                                axis=0)
            enter, leave = near.max(axis=-1), far.min(axis=-1)
            is_hit = (enter < leave) & (enter > 0)
            depth = np.where(is_hit, np.minimum(depth, enter), depth)
    world = origin + rays * depth[..., None]
    color = 127 + 60 * np.sin(world * [2.1, 3.3, 4.7]) + 50 * np.sin(
        world.sum(axis=-1, keepdims=True) * 5)
    return Frame(depth, np.clip(color, 0, 255).astype(np.uint8), pose)


def walk(count=10):
    """Frames of a camera that turns around and moves."""
    turns = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return [
        see(
            look([
                2.5 + 0.5 * np.sin(3 * turn), 2 + 0.4 * np.cos(2 * turn),
                1.4 + 0.2 * np.sin(5 * turn)
            ], turn)) for turn in turns
    ]


def cloud(count=20_000, has_ceiling=False):
    """(N, 3) points of the floor, the walls and the furniture."""
    rng = np.random.default_rng(0)
    faces = []
    boxes = [(np.zeros(3), ROOM, not has_ceiling)]
    boxes += [(low, high, False) for low, high in FURNITURE]
    for low, high, is_open in boxes:
        for axis in range(3):
            for side in (low, high):
                if axis == 2 and side is high and is_open:
                    continue
                size = np.delete(high - low, axis)
                points = rng.uniform(low, high,
                                     (int(300 * size.prod()) + 1, 3))
                points[:, axis] = side[axis]
                faces.append(points)
    points = np.concatenate(faces)
    turn = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
    return rng.permutation(points)[:count] @ turn.T


def write_recording(root, frames, unit=1000, intrinsics=INTRINSICS):
    """Write frames as color/, depth/, pose/ and intrinsic/."""
    for folder in ('color', 'depth', 'pose', 'intrinsic'):
        (root / folder).mkdir(parents=True)
    for index, frame in enumerate(frames):
        Image.fromarray(np.ascontiguousarray(frame.color)).save(
            root / f'color/{index}.png')
        depth = np.round(frame.depth * unit).astype(np.uint16)
        Image.fromarray(depth).save(root / f'depth/{index}.png')
        np.savetxt(root / f'pose/{index}.txt', frame.pose)
    for name in ('color', 'depth'):
        np.savetxt(root / f'intrinsic/intrinsic_{name}.txt', intrinsics)
    return root


def change(frames, **functions):
    """Frames with depth, color or pose changed by functions."""
    return [
        replace(
            frame, **{
                name: function(getattr(frame, name))
                for name, function in functions.items()
            }) for frame in frames
    ]
