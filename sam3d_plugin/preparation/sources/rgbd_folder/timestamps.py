"""Recordings whose images and poses belong together by time (TUM, ICL)."""
from collections import Counter
from typing import (Callable, Dict, List, Optional, Sequence, Tuple, TypeVar,
                    Union)

import numpy as np
from scipy.spatial.transform import Rotation

from ....store.errors import StoreError, UserError
from ....store.files import BackendArgs, exists, join, list_names, read_bytes
from ....store.foreign_files import decode_text
from ..scans.source_files import brief
from .frames import FrameFiles, Recording, image_pattern, match_files, require

#: Seconds that a partner may be away; the benchmark's associate.py.
MAX_DIFFERENCE = 0.02

# What TUM's authors recommend for their registered images, without
# undistorting them.
_TUM_CAMERA = '525,525,319.5,239.5'
_ICL_CAMERA = '481.2,-480,319.5,239.5'


def find_tum(root: str, backend_args: BackendArgs = None) -> Recording:
    """Frames of the TUM RGB-D benchmark.

    ``root`` has ``rgb.txt``, ``depth.txt`` and ``groundtruth.txt``. There is
    one frame for each color image. Its depth image is found as the benchmark's
    associate.py does, its pose is the one nearest to the depth image.

    Raises StoreError when a list is missing or damaged.
    """
    color, depth = [
        _read_list(join(root, file), backend_args)
        for file in ('rgb.txt', 'depth.txt')
    ]
    path = join(root, 'groundtruth.txt')
    pose_times, poses = _read_trajectory(path, backend_args)
    partners = associate([t for t, _ in color], [t for t, _ in depth],
                         MAX_DIFFERENCE)
    frames = []
    for index, (time, file) in enumerate(color):
        frame = FrameFiles(f'{index:05d}', file, color=file)
        partner = partners.get(index)
        if partner is None:
            frame.problem = (f'{file} has no depth image within '
                             f'{MAX_DIFFERENCE} s')
        else:
            time, depth_file = depth[partner]
            frame.depth = depth_file
            frame.pose = _nearest_pose(time, pose_times, poses)
            if frame.pose is None:
                frame.problem = (
                    f'groundtruth.txt has no pose within {MAX_DIFFERENCE} '
                    f's of {depth_file}')
        frames.append(frame)
    require(frames, root, 'rgb.txt names them')
    notes = [
        f'{len(color)} color and {len(depth)} depth images make '
        f'{len(partners)} pairs within {MAX_DIFFERENCE} s; '
        f'{sum("no pose" in f.problem for f in frames)} of them have no pose',
        f'camera, unless --color-intrinsics is given: {_TUM_CAMERA}'
    ]
    return Recording(
        frames,
        notes,
        pose_of='color',
        depth_scale=5000.0,
        color_intrinsics=_TUM_CAMERA)


def find_icl(root: str, backend_args: BackendArgs = None) -> Recording:
    """Frames of ICL-NUIM: ``rgb/0.png``, ``depth/0.png``, ``*.gt.freiburg``.

    The number of an image is its time. fy is negative, as the authors say:
    camera and world are left-handed.

    Raises StoreError when there is not one trajectory.
    """
    files = list_names(root, backend_args, suffix='.gt.freiburg')
    if len(files) != 1:
        raise StoreError(f'{root} has {len(files)} files *.gt.freiburg; put '
                         'the one of this sequence there')
    path = join(root, files[0])
    times, poses = _read_trajectory(path, backend_args)
    frames = match_files(
        root,
        dict(
            color=('rgb', image_pattern(r'(\d+)')),
            depth=('depth', r'(\d+)\.png')), backend_args)
    require(frames, root, 'rgb/0.png and depth/0.png')
    by_number = dict(zip(np.round(times).astype(int).tolist(), poses))
    for frame in frames:
        frame.pose = by_number.get(int(frame.name))
        if frame.pose is None and not frame.problem:
            frame.problem = f'{files[0]} has no pose of frame {frame.name}'
    return Recording(
        frames,
        pose_of='color',
        depth_scale=5000.0,
        color_intrinsics=_ICL_CAMERA)


def associate(first: List[float], second: List[float],
              max_difference: float) -> Dict[int, int]:
    """Pair times, seconds, one to one, the closest first: index into ``first``
    to index into ``second``."""
    order = np.argsort(second, kind='stable')
    times = np.asarray(second, dtype=np.float64)[order]
    low = np.searchsorted(times, np.asarray(first) - max_difference, 'right')
    high = np.searchsorted(times, np.asarray(first) + max_difference, 'left')
    candidates = sorted((abs(times[k] - time), i, int(order[k]))
                        for i, time in enumerate(first)
                        for k in range(low[i], high[i]))
    pairs: Dict[int, int] = {}
    taken = set()
    for _, i, j in candidates:
        if i not in pairs and j not in taken:
            pairs[i] = j
            taken.add(j)
    return pairs


_Value = TypeVar('_Value', str, np.ndarray)


def _rows(path: str, form: str, parse: Callable[[List[str]], _Value],
          backend_args: BackendArgs) -> List[Tuple[float, _Value]]:
    """Times and what follows them in the lines that are not comments, in order
    of time."""
    if not exists(path, backend_args):
        raise StoreError(f'{path} is missing; copy the whole recording')
    try:
        text = decode_text(read_bytes(path, backend_args))
    except (OSError, ValueError) as error:
        raise StoreError(f'{path} cannot be read ({brief(error)}); copy it '
                         'again') from error
    rows = []
    for line in text.splitlines():
        words = line.replace(',', ' ').split()
        if not words or words[0][0] == '#':
            continue
        try:
            rows.append((float(words[0]), parse(words[1:])))
        except ValueError as error:
            raise StoreError(f'{path}: the line "{" ".join(words)}" is not '
                             f'{form}; copy it again') from error
    if not rows:
        raise StoreError(f'{path} has no line that is {form}; copy it again')
    return sorted(rows, key=lambda row: row[0])


def _read_list(path: str,
               backend_args: BackendArgs) -> List[Tuple[float, str]]:
    """Times and files, in order of time."""

    def parse(words: List[str]) -> str:
        file, = words
        return file

    rows = _rows(path, 'a time with a file', parse, backend_args)
    file, count = Counter(file for _, file in rows).most_common(1)[0]
    if count > 1:
        raise StoreError(f'{path} names {file} twice; remove one line')
    return rows


def _read_trajectory(
        path: str,
        backend_args: BackendArgs) -> Tuple[np.ndarray, List[np.ndarray]]:
    """Times in order, and the poses at them."""
    rows = _rows(path, '"time tx ty tz qx qy qz qw"', to_pose, backend_args)
    return np.array([time for time, _ in rows]), [pose for _, pose in rows]


def to_pose(words: Sequence[Union[str, float]]) -> np.ndarray:
    """(4, 4) of tx ty tz qx qy qz qw.

    A quaternion that is not finite or has no length gives a pose of NaN, so
    that its frame is skipped and not the recording.
    """
    x, y, z, *quaternion = numbers = np.array(words, dtype=float)
    if len(quaternion) != 4:
        raise UserError('not 7 numbers')
    pose = np.eye(4)
    pose[:3, 3] = x, y, z
    if not np.isfinite(numbers).all() or not np.any(quaternion):
        return np.full((4, 4), np.nan)
    pose[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
    return pose


def _nearest_pose(time: float, times: np.ndarray,
                  poses: List[np.ndarray]) -> Optional[np.ndarray]:
    right = int(np.searchsorted(times, time))
    near = [i for i in (right - 1, right) if 0 <= i < len(times)]
    best = min(near, key=lambda i: abs(times[i] - time))
    is_close = abs(times[best] - time) < MAX_DIFFERENCE
    return poses[best] if is_close else None
