"""Files of frames that carry a number or a name."""
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from ....store.errors import StoreError
from ....store.files import BackendArgs, join, list_names
from .parts import Parts

#: Endings of color images.
IMAGES = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp')
#: Endings of depth images.
DEPTH_IMAGES = ('.png', '.pgm', '.tif', '.tiff', '.npy')


@dataclass
class FrameFiles:
    """Paths of a frame's parts, relative to the recording's folder."""
    name: str  # What the frame is called in the data set
    source: str  # What it is called in the recording
    color: Optional[str] = None  # Path of the color image
    depth: Optional[str] = None  # Path of the depth image
    pose_file: Optional[str] = None  # Path of the pose, a 4x4 matrix
    pose: Optional[np.ndarray] = None  # (4, 4), if it is known already
    problem: str = ''  # Why the frame cannot be used; empty if it can


@dataclass
class Recording:
    """Frames and cameras found in one recording."""
    frames: List[FrameFiles]  # In order of time
    notes: List[str] = field(default_factory=list)  # Lines for the log
    pose_of: str = 'depth'  # Whose pose is given: ``'color'`` or ``'depth'``
    # Units per meter of the depth images, unless the user says otherwise
    depth_scale: float = 1000.0
    # File or numbers, as for :func:`~.matrices.read_intrinsics`
    color_intrinsics: Optional[str] = None
    # The same; None if the depth images are registered to the color images
    depth_intrinsics: Optional[str] = None
    # As for :func:`~.matrices.read_transform`
    depth_to_color: Optional[str] = None
    camera_axes: str = 'opencv'  # See :func:`~.conventions.camera_axes`
    # Direction in the world that points up, if the recorder says it
    up: Optional[Tuple[float, ...]] = None
    parts: Optional[Parts] = None  # Of a container, if images are in one


#: Folder, pattern of a file's name whose first group names the frame.
Place = Tuple[str, str]


def match_files(root: str, parts: Dict[str, Place],
                backend_args: BackendArgs) -> List[FrameFiles]:
    """Frames from files of one number each for color, depth and pose.

    Returns one for every number that any file has, sorted; those that lack a
    part or have one twice say so. StoreError when all lack the same part.
    """
    found: Dict[int, Dict[str, List[str]]] = {}
    listed: Dict[str, Sequence[str]] = {}
    for part, (folder, pattern) in parts.items():
        path = join(root, folder) if folder else root
        if path not in listed:
            listed[path] = list_names(path, backend_args)
        for file in listed[path]:
            match = re.fullmatch(pattern, file)
            if match:
                numbers = found.setdefault(int(match[1]), {})
                numbers.setdefault(
                    part, []).append(f'{folder}/{file}' if folder else file)
    for part, (folder, _) in parts.items():
        if found and not any(part in files for files in found.values()):
            path = join(root, folder) if folder else root
            names = ', '.join(listed[path][:2]) or 'is empty'
            raise StoreError(f'{path} has no {_TITLES[part]} with a known '
                             f'name ({names}); see --help for the layouts')
    frames = []
    for number, files in sorted(found.items()):
        path = next(iter(files.values()))[0]
        frame = FrameFiles(f'{number:05d}',
                           PurePosixPath(path).name.partition('.')[0])
        for part in parts:
            paths = files.get(part, [])
            if len(paths) > 1:
                frame.problem = (f'frame {number} has two {_TITLES[part]}s, '
                                 f'{paths[0]} and {paths[1]}; remove one')
            elif not paths:
                frame.problem = frame.problem or (
                    f'the {_TITLES[part]} of frame {number} is missing; copy '
                    'the recording again')
            else:
                setattr(frame, _FIELDS[part], paths[0])
        frames.append(frame)
    return frames


_TITLES = {'color': 'color image', 'depth': 'depth image', 'pose': 'pose'}
_FIELDS = {'color': 'color', 'depth': 'depth', 'pose': 'pose_file'}


def image_pattern(stem: str, endings: Sequence[str] = IMAGES) -> str:
    """Pattern of an image's name; ``stem`` has the one group."""
    return f'{stem}(?i:{"|".join(re.escape(e) for e in endings)})'


def require(frames: Sequence[FrameFiles], root: str, form: str) -> None:
    """StoreError for a folder without frames, which are like ``form``."""
    if not frames:
        raise StoreError(f'{root} has no frames like {form}; give the folder '
                         'of the frames as --source, or another --layout')
