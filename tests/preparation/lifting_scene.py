"""Balls on a floor, seen from all sides: points, frames, true regions."""
import numpy as np

from sam3d_plugin.ops.projection import back_project
from sam3d_plugin.store.files import write_bytes
from sam3d_plugin.store.posed_images import (Cameras, PosedImages, RGBDFrame,
                                             encode_color, frame_files)
from sam3d_plugin.store.region_maps import encode_region_map

HEIGHT, WIDTH = 48, 64
INTRINSICS = np.array([[60.0, 0, 31.5], [0, 60, 23.5], [0, 0, 1]])
FLOOR = 1
BALLS = np.array([[-0.8, -0.8, 0.4], [0.8, -0.8, 0.4], [0.8, 0.8, 0.4],
                  [-0.8, 0.8, 0.4], [0, 0, 0.4]])
RADIUS = 0.4


def single_camera():
    return Cameras(INTRINSICS, INTRINSICS, np.eye(4), True)


def look_at(eye, target):
    """(4, 4) camera to world, z up in the world."""
    forward = np.subtract(target, eye)
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], 1)
    pose[:3, 3] = eye
    return pose


def render(pose, intrinsics=INTRINSICS, shape=(HEIGHT, WIDTH)):
    """Depth (H, W) in meters, 0 = none, and true instances (H, W)."""
    pixels = np.arange(shape[0] * shape[1])
    rays = back_project(np.ones(shape), intrinsics, pixels) @ pose[:3, :3].T
    eye = pose[:3, 3]
    with np.errstate(divide='ignore', invalid='ignore'):
        hits = [-eye[2] / rays[:, 2]]
        for center in BALLS:
            b = rays @ (eye - center) / (rays**2).sum(1)
            c = ((eye - center)**2).sum() - RADIUS**2
            root = b**2 - c / (rays**2).sum(1)
            hits.append(-b - np.sqrt(root))
    floor = eye + hits[0][:, None] * rays
    hits[0][np.abs(floor[:, :2]).max(1) > 2] = np.nan
    hits = np.stack([np.where(hit > 0.01, hit, np.inf) for hit in hits])
    depth, instance = hits.min(0), hits.argmin(0) + 1
    is_hit = np.isfinite(depth)
    return (np.where(is_hit, depth, 0).reshape(shape).astype(np.float32),
            np.where(is_hit, instance, 0).reshape(shape).astype(np.uint16))


def scan_points():
    """(N, 3) points of floor and balls, and their instances (N,)."""
    rng = np.random.default_rng(0)
    floor = np.c_[rng.uniform(-1.5, 1.5, (1500, 2)), np.zeros(1500)]
    directions = rng.normal(size=(5, 300, 3))
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    balls = BALLS[:, None] + RADIUS * directions
    xyz = np.concatenate([floor, balls.reshape(-1, 3)]).astype(np.float32)
    return xyz, np.repeat(np.arange(1, 7), [1500] + [300] * 5)


def make_frame(pose, name='0', cameras=None, shape=(HEIGHT, WIDTH)):
    """A frame and its true instances at the size of the colour image."""
    cameras = cameras or single_camera()
    depth, _ = render(pose, cameras.depth_intrinsics)
    color_pose = pose @ np.linalg.inv(cameras.depth_to_color)
    _, instance = render(color_pose, cameras.color_intrinsics, shape)
    color = np.repeat(instance[..., None] * 30, 3, axis=2).astype(np.uint8)
    return RGBDFrame('balls', name, color, depth, pose, cameras), instance


def view_frames(count):
    """Frames from a circle around the balls, with their true instances."""
    angles = 2 * np.pi * np.arange(count) / count
    return [
        make_frame(
            look_at((3 * np.cos(angle), 3 * np.sin(angle), 1.8), (0, 0, 0.3)),
            f'{i:05d}') for i, angle in enumerate(angles)
    ]


def write_scan(root, count, find_regions):
    """Frames, their id maps and the points of the scan on disk.

    Args:
        root (Path): Folder of the data set.
        count (int): Frames.
        find_regions (Callable): From a frame's instances to its id map.
    """
    images = PosedImages(root / 'posed_images')
    images.write_cameras('balls', single_camera())
    for frame, instance in view_frames(count):
        files = frame_files(
            encode_color(frame.color), (frame.depth * 1000).astype(np.uint16),
            frame.pose)
        for ending, content in files.items():
            write_bytes(images.path('balls', frame.name + ending), content)
        write_bytes(root / 'region_maps/balls' / f'{frame.name}.png',
                    encode_region_map(find_regions(instance)))
    xyz, _ = scan_points()
    points = np.hstack([xyz, np.zeros_like(xyz)])
    write_bytes(root / 'points/balls.bin', points.tobytes())
