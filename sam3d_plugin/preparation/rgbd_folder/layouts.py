"""The ways of storing recordings that ``import_rgbd_folder.py`` knows."""
import re
from typing import Callable, Dict, Optional, Sequence, Tuple

from ...store.errors import StoreError
from ...store.files import BackendArgs, exists, join, list_names
from .frames import Recording, image_pattern, match_files, require
from .timestamps import find_icl, find_tum

_7SCENES_FORM = 'frame-000000.{color.png,depth.png,pose.txt}'
_NUMBER = r'(?:frame-)?(\d+)'
_NUMBERED_FORM = ('0.{jpg,png,txt}, 0.{color.jpg,depth.png,pose.txt}, or '
                  'color/0.jpg, depth/0.png, pose/0.txt')


def find_7scenes(root: str, backend_args: BackendArgs = None) -> Recording:
    """Frames of 7-Scenes and 3DMatch.

    The pose is the depth camera's. Neither data set says where the colour
    camera is, and depth is not registered to colour.

    Args:
        root (str): Folder of a sequence, or the one above ``frames/``.
        backend_args (BackendArgs): Arguments of the file backend.

    Returns:
        Recording: ``camera-intrinsics.txt`` is the depth camera's; without
        it, 7-Scenes' own 585, 585, 320, 240.

    Raises:
        StoreError: When there is no frame.
    """
    folder = 'frames' if exists(join(root, 'frames'), backend_args) else ''
    frames = match_files(
        root,
        dict(
            color=(folder, image_pattern(r'frame-(\d+)\.color')),
            depth=(folder, r'frame-(\d+)\.depth\.png'),
            pose=(folder, r'frame-(\d+)\.pose\.txt')), backend_args)
    require(frames, root, _7SCENES_FORM)
    camera = _first_file(root, ('camera-intrinsics.txt', ), backend_args)
    return Recording(frames, depth_intrinsics=camera or '585,585,320,240')


def find_numbered(root: str, backend_args: BackendArgs = None) -> Recording:
    """Frames as ScanNet's tools export them.

    Args:
        root (str): Folder with ``0.jpg``, ``0.png``, ``0.txt``, with
            ``0.color.jpg``, ``0.depth.png``, ``0.pose.txt``, or with
            ``color/0.jpg``, ``depth/0.png``, ``pose/0.txt``; or the folder
            above ``frames/`` with the former.
        backend_args (BackendArgs): Arguments of the file backend.

    Returns:
        Recording: With ``intrinsic_color.txt`` (or ``intrinsic.txt``) and
        ``intrinsic_depth.txt`` of that folder or of ``intrinsic/``. If only
        the latter is there, it is for both images.

    Raises:
        StoreError: When there is no frame.
    """
    has_folders = exists(join(root, 'color'), backend_args)
    folder = 'frames' if exists(join(root, 'frames'), backend_args) else ''
    places = (('color', 'depth', 'pose') if has_folders else
              (folder, folder, folder))
    # A plain .png beside the colour image is the depth image.
    color = (
        image_pattern(_NUMBER)
        if has_folders else rf'{_NUMBER}(?:(?:\.color)?\.jpe?g|\.color\.png)')
    patterns = (color, rf'{_NUMBER}(?:\.depth)?\.png',
                rf'{_NUMBER}(?:\.pose)?\.txt')
    frames = match_files(
        root, dict(zip(('color', 'depth', 'pose'), zip(places, patterns))),
        backend_args)
    require(frames, root, _NUMBERED_FORM)
    names = ('intrinsic_color.txt', 'intrinsic.txt')
    color_camera, depth_camera = [
        _first_file(root, [f + n for f in ('', 'intrinsic/')
                           for n in group], backend_args)
        for group in (names, ('intrinsic_depth.txt', ))
    ]
    if color_camera is None:
        return Recording(frames, color_intrinsics=depth_camera)
    return Recording(
        frames, color_intrinsics=color_camera, depth_intrinsics=depth_camera)


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
}


def guess_layout(root: str, backend_args: BackendArgs = None) -> str:
    """Which layout a folder has.

    Args:
        root (str): Folder of the recording.
        backend_args (BackendArgs): Arguments of the file backend.

    Returns:
        str: One of ``LAYOUTS``.

    Raises:
        StoreError: When none fits.
    """
    files = list_names(root, backend_args)
    folders = list_names(root, backend_args, folders=True)
    if any(name.endswith('.gt.freiburg') for name in files):
        return 'icl'
    if 'groundtruth.txt' in files:
        return 'tum'
    inside = list_names(join(root, 'frames'), backend_args)
    files += inside
    if any(re.fullmatch(r'frame-.*\.pose\.txt', name) for name in files):
        return '7scenes'
    if {'color', 'depth', 'pose'} <= set(folders) or any(
            name[0].isdigit() and name.endswith('.txt') for name in files):
        return 'scannet'
    raise StoreError(
        f'{root} looks like none of the known layouts: {_7SCENES_FORM}; '
        'rgb.txt, depth.txt and groundtruth.txt (tum); rgb/, depth/ and '
        f'*.gt.freiburg (icl); {_NUMBERED_FORM} (scannet); give the right '
        'folder as --source')


def find_recording(root: str,
                   layout: str,
                   backend_args: BackendArgs = None) -> Tuple[str, Recording]:
    """The frames of a folder.

    Args:
        root (str): Folder of the recording.
        layout (str): ``'auto'`` or one of ``LAYOUTS``.
        backend_args (BackendArgs): Arguments of the file backend.

    Returns:
        Tuple[str, Recording]: The layout and what it found.

    Raises:
        StoreError: When there is nothing of this layout.
    """
    if layout == 'auto':
        layout = guess_layout(root, backend_args)
    return layout, LAYOUTS[layout](root.rstrip('/'), backend_args)
