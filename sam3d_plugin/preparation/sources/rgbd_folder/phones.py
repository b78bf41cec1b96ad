"""Exports of apps that record with the LiDAR of a phone.

All poses are ARKit's: from the camera to a world in meters. The axes of its
camera are OpenGL's, x right, y up, z backward, and y of its world points up;
Stray Scanner turns the camera to OpenCV's axes, Record3D the world to the
first camera. Sources:
docs/format.md of strayrobots/scanner and OdometryEncoder.swift there; README
of PolyCam/polyform; DatasetWriter.swift and scripts/nerfcapture_dataset.py of
jc211/NeRFCapture; issues 31, 33, 36 and 64 of marek-simonik/record3d.

Depth images are registered to the color images and smaller than these.

Shapes: F frames, H W pixels.
"""
import json
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from ....ops.projection import scale_intrinsics
from ....store.errors import FrameError, StoreError
from ....store.files import BackendArgs, join, list_names, read_bytes
from ....store.foreign_files import decode_text
from ....store.image_files import image_size
from .conventions import decode_depth
from .frames import FrameFiles, Recording, image_pattern, match_files, require
from .parts import Record3DParts, VideoParts
from .phone_files import (Shape, check_center, common_camera, fit_to_image,
                          read_json, read_lines, read_table, words_of)
from .timestamps import to_pose

_Y_UP = (0., 1., 0.)


def find_polycam(root: str, backend_args: BackendArgs = None) -> Recording:
    """Frames of Polycam's raw data.

    ``root`` has ``keyframes/`` with ``corrected_cameras/TIME.json`` and
    ``corrected_images/TIME.jpg``, or, where Polycam did not optimize the
    poses, ``cameras/`` and ``images/``; and ``depth/TIME.png``, millimeters.

    Raises StoreError when a camera cannot be read or there is no frame.
    """
    folder = f'{root}/keyframes'
    is_corrected = bool(
        list_names(f'{folder}/corrected_cameras', backend_args, '.json'))
    prefix = 'keyframes/' + 'corrected_' * is_corrected
    frames = match_files(
        root,
        dict(
            color=(f'{prefix}images', image_pattern(r'(\d+)')),
            depth=('keyframes/depth', r'(\d+)\.png'),
            pose=(f'{prefix}cameras', r'(\d+)\.json')), backend_args)
    require(frames, root, 'keyframes/images/TIME.jpg')
    cameras: List[Optional[Dict[str, Any]]] = []
    for index, frame in enumerate(frames):
        camera = None
        if frame.pose_file:
            camera = read_json(join(root, frame.pose_file), backend_args)
            frame.pose = _polycam_pose(camera, frame.pose_file)
        cameras.append(camera)
        frame.name, frame.pose_file = f'{index:05d}', None
    notes = [
        'optimized poses and undistorted images' if is_corrected else
        "ARKit's own poses: Polycam has not optimized them"
    ]
    intrinsics, shape = common_camera(frames, cameras,
                                      ('fx', 'fy', 'cx', 'cy'),
                                      ('height', 'width'), notes)
    return _recording(root, frames, notes, intrinsics, shape, backend_args)


def _polycam_pose(camera: Dict[str, Any], name: str) -> np.ndarray:
    """(4, 4) of t_00 to t_23, row by row."""
    try:
        rows = [[float(camera[f't_{i}{j}']) for j in range(4)]
                for i in range(3)]
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f'{name} does not hold a pose ({error!r}); export '
                         'the raw data again') from None
    return np.array([*rows, [0, 0, 0, 1]])


def find_nerfcapture(root: str, backend_args: BackendArgs = None) -> Recording:
    """Frames of NeRF Capture and others that store depth like instant-ngp.

    ``root`` has ``transforms.json`` with ``fl_x``, ``fl_y``, ``cx``, ``cy``,
    ``w``, ``h``, ``integer_depth_scale`` (meters per unit) and, per frame,
    ``file_path``, ``depth_path`` and ``transform_matrix``; the first six also
    per frame.

    Raises StoreError when a frame cannot be read or none has depth.
    """
    path = join(root, 'transforms.json')
    content = read_json(path, backend_args)
    entries = content.get('frames')
    if not isinstance(entries, list) or not all(
            isinstance(entry, dict) for entry in entries):
        raise StoreError(f'{path} has no list of frames; export it again')
    listed: Dict[str, Sequence[str]] = {}
    frames = []
    for index, entry in enumerate(entries):
        name = str(entry.get('file_path', index))
        frame = FrameFiles(f'{index:05d}', name)
        for part in ('color', 'depth'):
            key = 'file_path' if part == 'color' else 'depth_path'
            found = _find_image(root, entry.get(key), listed, backend_args)
            setattr(frame, part, found)
            if found is None and not frame.problem:
                frame.problem = (f'the {part} image of {name} is missing; '
                                 'export the recording again')
        try:
            matrix = np.array(entry['transform_matrix'], dtype=np.float64)
            frame.pose = matrix.reshape(4, 4)
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f'{path}: frame {name} has no 4x4 transform_'
                             f'matrix ({error!r}); export it again') from None
        frames.append(frame)
    require(frames, root, 'transforms.json lists them')
    if all(frame.depth is None for frame in frames):
        raise StoreError(f'{path} names no depth image that is there; NeRF '
                         'Capture writes them when it streams with depth on')
    notes: List[str] = []
    cameras = [{**content, **entry} for entry in entries]
    _check_distortion(cameras, path)
    intrinsics, shape = common_camera(frames, cameras,
                                      ('fl_x', 'fl_y', 'cx', 'cy'), ('h', 'w'),
                                      notes)
    scale = content.get('integer_depth_scale', 0.001)
    if not isinstance(scale, (int, float)) or not 0 < scale < np.inf:
        raise StoreError(f'{path}: integer_depth_scale is {scale!r:.40}; it '
                         'must be meters per unit of the depth images')
    if 'integer_depth_scale' not in content:
        notes.append('no integer_depth_scale; depth, unless --depth-scale is '
                     'given, in millimeters')
    return _recording(
        root,
        frames,
        notes,
        intrinsics,
        shape,
        backend_args,
        depth_scale=1 / scale)


def _find_image(root: str, name: Any, listed: Dict[str, Sequence[str]],
                backend_args: BackendArgs) -> Optional[str]:
    """The path of an image, whose ending may be left out; None without."""
    if not isinstance(name, str) or not name:
        return None
    path = PurePosixPath(name)
    if path.is_absolute() or '..' in path.parts:
        return None
    folder = str(path.parent)
    if folder not in listed:
        listed[folder] = list_names(join(root, folder), backend_args)
    for ending in ('', '.png', '.jpg', '.jpeg'):
        if path.name + ending in listed[folder]:
            return f'{path}{ending}'
    return None


def _check_distortion(cameras: Sequence[Dict[str, Any]], path: str) -> None:
    names = ('k1', 'k2', 'k3', 'k4', 'p1', 'p2')
    if any(camera.get(name) for camera in cameras for name in names):
        raise StoreError(f'{path} has distorted images (k1, ...); undistort '
                         'them first')


def find_stray(root: str, backend_args: BackendArgs = None) -> Recording:
    """Frames of Stray Scanner.

    ``root`` has ``rgb.mp4``, ``depth/000000.png`` (millimeters; ``.npy`` of
    old versions), ``camera_matrix.csv`` of the video, and ``odometry.csv``:
    time, frame, x, y, z, qx, qy, qz, qw, without the first two and without
    the header in old versions.

    Raises StoreError when one cannot be read or there is no frame.
    """
    frames = match_files(root, dict(depth=('depth', r'(\d+)\.(?:png|npy)')),
                         backend_args)
    require(frames, root, 'depth/000000.png')
    poses = _read_odometry(join(root, 'odometry.csv'), backend_args)
    video = VideoParts(join(root, 'rgb.mp4'), backend_args)
    count, shape = video.probe()
    for frame in frames:
        number = int(frame.name)
        frame.color, frame.pose = f'rgb.mp4/{number}', poses.get(number)
        if frame.pose is None:
            frame.problem = f'odometry.csv has no pose of frame {number}'
    notes = [] if count == len(frames) else [
        f'rgb.mp4 has {count} frames, and depth/ {len(frames)}; frame i of '
        'one is taken for frame i of the other'
    ]
    camera = np.array(
        read_table(join(root, 'camera_matrix.csv'), backend_args))
    if camera.size != 9 or camera.min() < 0:
        raise StoreError(f'{root}/camera_matrix.csv does not hold 3x3 '
                         'numbers; copy it again')
    camera = camera.reshape(3, 3)
    check_center(camera, shape, f'{root}/camera_matrix.csv', 'rgb.mp4')
    recording = _recording(
        root, frames, notes, camera, shape, backend_args, parts=video)
    recording.camera_axes = 'opencv'
    return recording


def _read_odometry(path: str,
                   backend_args: BackendArgs) -> Dict[int, np.ndarray]:
    """(4, 4) poses by the number of their frame."""
    poses: Dict[int, np.ndarray] = {}
    for index, line in enumerate(read_lines(path, backend_args)):
        words = line.replace(',', ' ').split()
        try:
            if len(words) == 9:
                poses[int(words[1])] = to_pose(words[2:])
            elif len(words) == 7:
                poses[index] = to_pose(words)
            else:
                raise ValueError
        except ValueError:
            raise StoreError(f'{path}: the line "{line:.60}" does not hold x, '
                             'y, z, qx, qy, qz, qw; copy it again') from None
    return poses


def find_record3d(root: str, backend_args: BackendArgs = None) -> Recording:
    """Frames of Record3D's ``.r3d`` files, as they are or unpacked.

    They hold ``metadata`` (JSON: size ``w``, ``h``; size of depth ``dw``,
    ``dh``; ``K`` column by column or ``perFrameIntrinsicCoeffs``; ``poses``
    qx, qy, qz, qw, x, y, z), ``rgbd/0.jpg`` and ``rgbd/0.depth``: float32
    meters, compressed by LZFSE. The world begins with the first camera, so its
    y points up only if that was level.

    Raises StoreError when the metadata cannot be read or there is no frame.
    """
    parts = Record3DParts(root, backend_args)
    try:
        content = parts.read('metadata')
    except FrameError as error:  # it names the file
        raise StoreError(str(error)) from None
    try:
        meta = json.loads(decode_text(content))
        poses = [to_pose([*row[4:], *row[:4]]) for row in meta['poses']]
        parts.depth_shape = int(meta['dh']), int(meta['dw'])
        shape = int(meta['h']), int(meta['w'])
        per_frame = meta.get('perFrameIntrinsicCoeffs'
                             ) or [[meta['K'][i]
                                    for i in (0, 4, 6, 7)]] * len(poses)
        cameras = [dict(zip('xyuv', map(float, row))) for row in per_frame]
    except (FrameError, KeyError, IndexError, TypeError, ValueError) as error:
        raise StoreError(f'{root} does not hold metadata of Record3D '
                         f'({error!r:.90}); export it as .r3d again') from None
    frames = _record3d_frames(parts.names(), poses[:len(cameras)])
    require(frames, root, 'rgbd/0.jpg and rgbd/0.depth')
    notes = [
        'y of the world points where the first camera had its top: see '
        '--up'
    ]
    rows = [
        dict(cameras[i], h=shape[0], w=shape[1]) if
        (i := int(f.source)) < len(cameras) else None for f in frames
    ]
    intrinsics, _ = common_camera(frames, rows, tuple('xyuv'), ('h', 'w'),
                                  notes)
    size = image_size(parts.read(frames[0].color or ''), root)
    color_intrinsics = fit_to_image(intrinsics, shape, size, notes)
    return Recording(
        frames,
        notes,
        pose_of='color',
        depth_scale=1.,
        color_intrinsics=words_of(color_intrinsics),
        depth_intrinsics=words_of(
            scale_intrinsics(intrinsics, shape, parts.depth_shape)),
        camera_axes='opengl',
        parts=parts)


def _record3d_frames(names: Sequence[str],
                     poses: Sequence[np.ndarray]) -> List[FrameFiles]:
    """The frames that have depth, in their order.

    Args:
        names (Sequence[str]): Files of the recording.
        poses (Sequence[np.ndarray]): (4, 4) of the frames that have a camera.

    Returns:
        List[FrameFiles]: Each with its pose, or the problem that it has.
    """
    frames = []
    for index in sorted(
            int(PurePosixPath(n).stem) for n in names if n.endswith('.depth')):
        frame = FrameFiles(f'{index:05d}', str(index), f'rgbd/{index}.jpg',
                           f'rgbd/{index}.depth')
        if frame.color not in names:
            frame.problem = f'{frame.color} is missing; export it again'
        elif index >= len(poses):
            frame.problem = f'metadata has no pose of frame {index}'
        else:
            frame.pose = poses[index]
        frames.append(frame)
    return frames


def _recording(root: str,
               frames: List[FrameFiles],
               notes: List[str],
               intrinsics: np.ndarray,
               shape: Shape,
               backend_args: BackendArgs,
               depth_scale: float = 1000.,
               parts: Optional[VideoParts] = None) -> Recording:
    """A recording of ARKit whose depth images are plain files.

    ``intrinsics`` (3, 3) are in pixels of ``shape``, the size that the
    recording states, or that of the video in ``parts``. Color images of
    another size have been resized: StoreError if they have another shape, or
    no frame is complete.
    """
    first = next((f.depth for f in frames if f.depth and not f.problem), None)
    if first is None:
        raise StoreError(f'{root} has no complete frame; the first one: '
                         f'{frames[0].problem}')
    depth = decode_depth(read_bytes(join(root, first), backend_args), first)
    depth_shape = depth.shape[0], depth.shape[1]
    size = shape if parts else _color_shape(root, frames, backend_args)
    color_intrinsics = fit_to_image(intrinsics, shape, size, notes)
    return Recording(
        frames,
        notes,
        pose_of='color',
        depth_scale=depth_scale,
        color_intrinsics=words_of(color_intrinsics),
        depth_intrinsics=None if depth_shape == size else words_of(
            scale_intrinsics(intrinsics, shape, depth_shape)),
        camera_axes='opengl',
        up=_Y_UP,
        parts=parts)


def _color_shape(root: str, frames: Sequence[FrameFiles],
                 backend_args: BackendArgs) -> Shape:
    """H, W of the first color image that can be read."""
    for frame in frames:
        if frame.color and not frame.problem:
            with suppress(FrameError, OSError):
                content = read_bytes(join(root, frame.color), backend_args)
                return image_size(content, frame.color)
    raise StoreError(f'{root} has no readable color image; export the '
                     'recording again')
