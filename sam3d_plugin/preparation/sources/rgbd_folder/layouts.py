"""The ways of storing recordings that ``import_rgbd_folder.py`` knows."""
import json
import re
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

import numpy as np

from ....store.errors import StoreError
from ....store.files import BackendArgs, exists, join, list_names, read_bytes
from ....store.foreign_files import decode_text
from .frames import (DEPTH_IMAGES, Recording, image_pattern, match_files,
                     require)
from .matrices import read_numbers, read_transform
from .phones import find_nerfcapture, find_polycam, find_record3d, find_stray
from .timestamps import find_icl, find_tum

_7SCENES_FORM = 'frame-000000.{color.png,depth.png,pose.txt}'
_7SCENES_CAMERA = '585,585,320,240'
# Where frames may be in a recording.
_INNER = ('frames', 'sequence')
_IDENTITY = '1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1'
# What cannot be read, by a file or folder that tells.
_OTHERS = {
    'lowres_wide': 'an ARKitScenes recording, in which every frame has its '
    'own camera',
    'pose_intrinsic_imu.json': 'a ScanNet++ recording of an iPhone, in which '
    'every frame has its own camera',
    'undistorted_camera_parameters': 'Matterport3D images, in which every '
    'camera is another',
    'transforms_train.json': 'cameras of NeRF programs',
    'images.txt': 'a reconstruction of COLMAP',
    'sparse': 'a reconstruction of COLMAP',
}
_NUMBER = r'(?:frame-)?(\d+)'
_NUMBERED_FORM = ('0.{jpg,png,txt}, 0.{color.jpg,depth.png,pose.txt}, or '
                  'color/0.jpg, depth/0.png, pose/0.txt')


def find_7scenes(root: str, backend_args: BackendArgs = None) -> Recording:
    """Frames of 7-Scenes, 3DMatch, 3RScan and BundleFusion.

    ``root`` is the folder of a sequence, or the one above ``frames/`` or
    ``sequence/``. The pose is the depth camera's. The first two do not say
    where the color camera is, and depth is not registered to color.

    Cameras are those of ``info.txt`` or ``_info.txt``; otherwise
    ``camera-intrinsics.txt`` is the depth camera's, and without it, for PNG
    images, 7-Scenes' own 585, 585, 320, 240.

    Raises StoreError when there is no frame.
    """
    folder = _inner_folder(root, backend_args)
    frames = match_files(
        root,
        dict(
            color=(folder, image_pattern(r'frame-(\d+)\.color')),
            depth=(folder, image_pattern(r'frame-(\d+)\.depth', DEPTH_IMAGES)),
            pose=(folder, r'frame-(\d+)\.pose\.txt')), backend_args)
    require(frames, root, _7SCENES_FORM)
    places = ('', f'{folder}/') if folder else ('', )
    info = _first_file(root, [
        place + name for place in places for name in ('_info.txt', 'info.txt')
    ], backend_args)
    if info:
        return Recording(frames, **read_info(info, backend_args))
    camera = _first_file(root, ('camera-intrinsics.txt', ), backend_args)
    if camera:
        return Recording(frames, depth_intrinsics=camera)
    if not all((f.color or '.png').endswith('.png') for f in frames):
        return Recording(frames)  # 7-Scenes has PNG images only
    return Recording(
        frames, [
            'no camera-intrinsics.txt; depth camera, unless given: '
            f'{_7SCENES_CAMERA}'
        ],
        depth_intrinsics=_7SCENES_CAMERA)


def _inner_folder(root: str, backend_args: BackendArgs) -> str:
    return next(
        (name for name in _INNER if exists(join(root, name), backend_args)),
        '')


def read_info(path: str, backend_args: BackendArgs = None) -> Dict[str, Any]:
    """Cameras of BundleFusion's ``info.txt``, which 3RScan has, too, as fields
    of :class:`Recording`.

    Raises StoreError when a camera is missing.
    """
    try:
        text = decode_text(read_bytes(path, backend_args))
        pairs = [line.partition('=') for line in text.splitlines()]
        values = {name.strip(): value for name, _, value in pairs}
        found = {
            kind: _matrix(values[f'm_calibration{kind}'])
            for kind in ('ColorIntrinsic', 'DepthIntrinsic')
        }
        color, depth = (
            _matrix(values.get(f'm_calibration{kind}Extrinsic', _IDENTITY))
            for kind in ('Color', 'Depth'))
        scale = float(values.get('m_depthShift', 1000))
    except (KeyError, ValueError) as error:
        raise StoreError(f'{path} does not hold the cameras ({error}); give '
                         '--color-intrinsics and --depth-intrinsics') from None
    motion = np.linalg.inv(color) @ depth
    return dict(
        depth_scale=scale,
        color_intrinsics=_words(found['ColorIntrinsic'][:3, :3]),
        depth_intrinsics=_words(found['DepthIntrinsic'][:3, :3]),
        depth_to_color=_words(motion))


def _matrix(text: str) -> np.ndarray:
    return np.array([float(word) for word in text.split()]).reshape(4, 4)


def _words(matrix: np.ndarray) -> str:
    return ','.join(repr(float(x)) for x in matrix.reshape(-1))


def find_replica(root: str, backend_args: BackendArgs = None) -> Recording:
    """Frames of Replica as NICE-SLAM renders them.

    ``root`` has ``traj.txt``, whose line i is frame i's pose,
    ``results/frame000000.jpg`` and ``results/depth000000.png``;
    ``cam_params.json`` is there or above.

    Raises StoreError when the camera or a pose cannot be read.
    """
    frames = match_files(
        root,
        dict(
            color=('results', image_pattern(r'frame(\d+)')),
            depth=('results', image_pattern(r'depth(\d+)', DEPTH_IMAGES))),
        backend_args)
    require(frames, root, 'results/frame000000.jpg and depth000000.png')
    rows = np.array(read_numbers(join(root, 'traj.txt'), backend_args))
    if len(rows) % 16:
        raise StoreError(f'{root}/traj.txt does not hold 4x4 matrices; copy '
                         'it again')
    poses = rows.reshape(-1, 4, 4)
    for frame in frames:
        if int(frame.name) < len(poses):
            frame.pose = poses[int(frame.name)]
        else:
            frame.problem = f'traj.txt has no pose of frame {frame.name}'
    names = ('cam_params.json', '../cam_params.json')
    path = _first_file(root, names, backend_args)
    if path is None:
        return Recording(frames, depth_scale=6553.5, pose_of='color')
    try:
        camera = json.loads(read_bytes(path, backend_args))['camera']
        numbers = [float(camera[key]) for key in ('fx', 'fy', 'cx', 'cy')]
        scale = float(camera['scale'])
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f'{path} does not hold a camera ({error!r}); give '
                         '--color-intrinsics and --depth-scale') from None
    return Recording(
        frames,
        depth_scale=scale,
        pose_of='color',
        color_intrinsics=','.join(map(repr, numbers)))


def find_numbered(root: str, backend_args: BackendArgs = None) -> Recording:
    """Frames as ScanNet's tools export them.

    ``root`` has ``0.jpg``, ``0.png``, ``0.txt``, or ``0.color.jpg``,
    ``0.depth.png``, ``0.pose.txt``, also in ``frames/``; or ``color/0.jpg``,
    ``depth/0.png``, ``pose/0.txt``.

    Cameras are ``intrinsic_color.txt`` (or ``intrinsic.txt``) and
    ``intrinsic_depth.txt``, there or in ``intrinsic/``, or, as in
    scannet_frames_25k, ``intrinsics_color.txt`` and so on. If only the latter
    is there, it is for both images. ``intrinsics.txt`` may be above, beside
    all scans. Extrinsics of ``.sens`` files beside the intrinsics give the
    motion between the cameras.

    Raises StoreError when there is no frame.
    """
    has_folders = exists(join(root, 'color'), backend_args)
    folder = _inner_folder(root, backend_args)
    places = (('color', 'depth', 'pose') if has_folders else
              (folder, folder, folder))
    # A plain .png beside the color image is the depth image.
    color = (
        image_pattern(_NUMBER)
        if has_folders else rf'{_NUMBER}(?i:(?:\.color)?\.jpe?g|\.color\.png)')
    patterns = (color, image_pattern(rf'{_NUMBER}(?:\.depth)?', DEPTH_IMAGES),
                rf'{_NUMBER}(?:\.pose)?\.txt')
    frames = match_files(
        root, dict(zip(('color', 'depth', 'pose'), zip(places, patterns))),
        backend_args)
    require(frames, root, _NUMBERED_FORM)
    color_camera, depth_camera, motion = [
        _first_file(
            root,
            [place + name for place in ('', 'intrinsic/')
             for name in names], backend_args)
        for names in (('intrinsic_color.txt', 'intrinsics_color.txt',
                       'intrinsic.txt', 'intrinsics.txt'),
                      ('intrinsic_depth.txt',
                       'intrinsics_depth.txt'), ('depth_to_color.txt', ))
    ]
    if color_camera is None:
        color_camera, depth_camera = depth_camera, None
    if color_camera is None:
        color_camera = _first_file(root, ('../intrinsics.txt', ), backend_args)
    if motion is None:
        motion = _motion(root, backend_args)
    return Recording(
        frames,
        color_intrinsics=color_camera,
        depth_intrinsics=depth_camera,
        depth_to_color=motion)


def _motion(root: str, backend_args: BackendArgs) -> Optional[str]:
    """From depth to color camera, if a file says that they differ."""
    color, depth = [
        _first_file(
            root,
            [f'{place}extrinsic_{name}.txt'
             for place in ('', 'intrinsic/')], backend_args)
        for name in ('color', 'depth')
    ]
    if color is None and depth is None:
        return None
    matrices = [
        read_transform(path or _IDENTITY.replace(' ', ','), backend_args)
        for path in (color, depth)
    ]
    motion = np.linalg.inv(matrices[0]) @ matrices[1]
    return None if np.allclose(motion, np.eye(4)) else _words(motion)


def _first_file(root: str, names: Sequence[str],
                backend_args: BackendArgs) -> Optional[str]:
    paths = (join(root, name) for name in names)
    return next((p for p in paths if exists(p, backend_args)), None)


_Finder = Callable[[str, BackendArgs], Recording]

#: What ``--layout`` takes.
LAYOUTS: Dict[str, _Finder] = {
    '7scenes': find_7scenes,
    'tum': find_tum,
    'icl': find_icl,
    'scannet': find_numbered,
    'replica': find_replica,
    'record3d': find_record3d,
    'stray': find_stray,
    'polycam': find_polycam,
    'nerfcapture': find_nerfcapture,
}
# Files and folders by which a phone's recording is known.
_PHONES = {
    'rgbd': 'record3d',
    'odometry.csv': 'stray',
    'keyframes': 'polycam',
    'transforms.json': 'nerfcapture',
}


def guess_layout(root: str, backend_args: BackendArgs = None) -> str:
    """The one of ``LAYOUTS`` that a folder has; StoreError for none."""
    if root.lower().endswith('.r3d'):
        return 'record3d'
    if root.lower().endswith('.zip'):
        raise StoreError(f'{root} is a zip archive; unpack it and give its '
                         'folder as --source')
    files = list_names(root, backend_args)
    folders = list_names(root, backend_args, folders=True)
    if any(name.endswith('.gt.freiburg') for name in files):
        return 'icl'
    if 'groundtruth.txt' in files:
        return 'tum'
    if 'traj.txt' in files and 'results' in folders:
        return 'replica'
    for name in _INNER:
        files += list_names(join(root, name), backend_args)
    if any(re.fullmatch(r'frame-.*\.pose\.txt', name) for name in files):
        return '7scenes'
    if {'color', 'depth', 'pose'} <= set(folders) or any(
            name[0].isdigit() and name.endswith('.txt') for name in files):
        return 'scannet'
    for name, layout in _PHONES.items():
        if name in files or name in folders:
            return layout
    for name, what in _OTHERS.items():
        if name in files or name in folders:
            raise StoreError(f'{root} holds {what}; write its frames as '
                             'color/, depth/, pose/ and intrinsic/')
    sens = [name for name in files if name.endswith('.sens')]
    if sens:
        raise StoreError(f'{root} holds {sens[0]}; use '
                         'extract_scannet_frames.py')
    raise StoreError(
        f'{root} looks like none of the known layouts: {_7SCENES_FORM}; '
        'rgb.txt, depth.txt and groundtruth.txt (tum); rgb/, depth/ and '
        f'*.gt.freiburg (icl); {_NUMBERED_FORM} (scannet); a .r3d file or '
        "an app's export (--help); give the right folder as --source")


def find_recording(root: str,
                   layout: str,
                   backend_args: BackendArgs = None) -> Tuple[str, Recording]:
    """The layout (detected if ``'auto'``) and the frames of a folder.

    Raises StoreError when there is nothing of this layout.
    """
    if layout == 'auto':
        layout = guess_layout(root, backend_args)
    return layout, LAYOUTS[layout](root.rstrip('/'), backend_args)
