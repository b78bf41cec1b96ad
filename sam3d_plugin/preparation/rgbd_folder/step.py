"""From a recording to ``posed_images``.

Axis legend: H W pixels.
"""
import json
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np

from ...store.errors import FrameError, StoreError
from ...store.files import BackendArgs, fingerprint_of_files, join
from ...store.manifest import Store, differences
from ...store.posed_images import (DEPTH_TO_COLOR, INTRINSIC, INTRINSIC_DEPTH,
                                   Cameras, check_pose, decode_color,
                                   decode_image, decode_matrix, encode_color,
                                   encode_matrix, frame_files)
from ...store.records import fingerprint
from ..running.frame_steps import FrameStep, Product, call_each
from ..scans.source_files import read_source_file
from .frames import FrameFiles, Recording
from .layouts import find_recording
from .matrices import (make_right_handed, mirror_pose, read_intrinsics,
                       read_transform, rotation_to_z)

#: How a scan was imported; what its files depend on.
IMPORT = 'import.json'

# What the sensors and their drivers write where there is no depth.
_INVALID = (0, 65535)
_FARTHEST_MM = 65534

_JPEG = b'\xff\xd8\xff'


@dataclass(frozen=True)
class FolderOptions:
    """How a recording is to be understood.

    Args:
        layout (str): ``'auto'`` or one of ``layouts.LAYOUTS``.
        color_intrinsics (str, optional): See
            :func:`~.matrices.read_intrinsics`; None takes the recording's.
        depth_intrinsics (str, optional): The same.
        depth_to_color (str, optional): See
            :func:`~.matrices.read_transform`; the same.
        depth_scale (float, optional): Units of the depth images per metre;
            None takes the layout's.
        stride (int): Take every so manieth frame.
        up (tuple, optional): Direction in the recording's world that becomes
            z; None leaves the world as it is.
    """
    layout: str = 'auto'
    color_intrinsics: Optional[str] = None
    depth_intrinsics: Optional[str] = None
    depth_to_color: Optional[str] = None
    depth_scale: Optional[float] = None
    stride: int = 1
    up: Optional[Tuple[float, ...]] = None


class RGBDFolderStep(FrameStep):
    """Imports one recording as one scan.

    Args:
        source (str): Folder of the recording.
        scan (str): Name it gets.
        options (FolderOptions): How to understand it.
        backend_args (BackendArgs): Arguments of the file backend.

    Raises:
        StoreError: When nothing is found, or cameras are unknown.
    """

    kind = 'posed_images'

    def __init__(self,
                 source: str,
                 scan: str,
                 options: FolderOptions = FolderOptions(),
                 backend_args: BackendArgs = None) -> None:
        if options.stride < 1:
            raise StoreError(f'--stride {options.stride} takes no frame; give '
                             '1 or more')
        if not scan or '/' in scan or scan[0] == '.':
            raise StoreError(f'--scan {scan!r} is no name of a folder')
        self.source = source.rstrip('/')
        self.scan = scan
        self.backend_args = backend_args
        self.layout, recording = find_recording(source, options.layout,
                                                backend_args)
        cameras = read_cameras(recording, options, backend_args)
        self.is_mirrored = bool(cameras.color_intrinsics[1, 1] < 0)
        self.cameras = make_right_handed(cameras)
        self.world = _world(options.up, self.is_mirrored)
        self.depth_scale = recording.depth_scale
        if options.depth_scale is not None:
            self.depth_scale = options.depth_scale
        if not 0 < self.depth_scale < np.inf:
            raise StoreError(
                f'--depth-scale {self.depth_scale:g} is no number of '
                'units per metre')
        self.pose_of = recording.pose_of
        self.stride = options.stride
        self.notes = recording.notes
        self.frames = {
            frame.name: frame
            for frame in recording.frames[::options.stride]
        }

    def settings(self) -> Dict[str, Any]:
        """What all scans of the folder share; see :data:`IMPORT`."""
        return dict(source='rgbd_folder')

    def scan_settings(self) -> Dict[str, Any]:
        """What the files of this scan depend on, as JSON."""
        return dict(
            layout=self.layout,
            stride=self.stride,
            depth_scale=self.depth_scale,
            is_mirrored=self.is_mirrored,
            world=self.world.tolist(),
            color_intrinsics=self.cameras.color_intrinsics.tolist(),
            depth_intrinsics=self.cameras.depth_intrinsics.tolist(),
            depth_to_color=self.cameras.depth_to_color.tolist(),
            is_single=self.cameras.is_single)

    def check_store(self, store: Store) -> None:
        """Refuse to go on with a scan that was imported in another way.

        Args:
            store (Store): Where it would be written.

        Raises:
            StoreError: When the scan is there with other settings.
        """
        name = f'{self.scan}/{IMPORT}'
        try:
            old = json.loads(store.read(name))
        except FileNotFoundError:
            return
        except ValueError as error:
            raise StoreError(f'{store.path(name)} is damaged ({error}); '
                             'remove it') from error
        found = differences(old, self.scan_settings())
        if found:
            raise StoreError(
                f'{store.path(self.scan)} was imported in another way: '
                f'{"; ".join(found[:5])}. Import it as then, or choose '
                'another --scan or --out')

    def scans(self) -> List[str]:
        """The one scan."""
        return [self.scan]

    def items(self, scan: str) -> List[str]:
        """Names of its frames, in order of time."""
        return list(self.frames)

    def paths(self, scan: str, item: str) -> List[str]:
        """Files of a frame."""
        return [
            f'{scan}/{item}{ending}' for ending in ('.jpg', '.png', '.txt')
        ]

    def begin(self, scan: str) -> Dict[str, bytes]:
        """The cameras, and how the scan was imported."""
        matrices = {INTRINSIC: self.cameras.color_intrinsics}
        if not self.cameras.is_single:
            matrices[INTRINSIC_DEPTH] = self.cameras.depth_intrinsics
            matrices[DEPTH_TO_COLOR] = self.cameras.depth_to_color
        text = json.dumps(self.scan_settings(), indent=1, sort_keys=True)
        files = {f'{scan}/{IMPORT}': f'{text}\n'.encode()}
        files.update((f'{scan}/{file}', encode_matrix(matrix))
                     for file, matrix in matrices.items())
        return files

    def process(self, scan: str,
                items: Sequence[str]) -> List[Union[Product, FrameError]]:
        """See :meth:`FrameStep.process`."""
        return call_each(self._make, items)

    def _make(self, name: str) -> Product:
        frame = self.frames[name]
        if frame.problem:
            raise FrameError(frame.problem)
        assert frame.color and frame.depth
        content = self._read(frame.color)
        color = decode_color(content, frame.color)
        millimetres = to_millimetres(
            decode_image(self._read(frame.depth), frame.depth),
            self.depth_scale, frame.depth)
        if not content.startswith(_JPEG):
            content = encode_color(color)
        self._check_sizes(frame, color.shape[:2], millimetres.shape)
        files = frame_files(content, millimetres, self._pose(frame))
        share = np.count_nonzero(millimetres) / millimetres.size
        return Product(
            dict(zip(self.paths(self.scan, name), files.values())),
            dict(source=frame.source, with_depth=round(share, 4)))

    def inputs(self, scan: str, item: str) -> Dict[str, str]:
        """The frame's files, and its pose if that comes from a list."""
        frame = self.frames[item]
        files = [
            join(self.source, path)
            for path in (frame.color, frame.depth, frame.pose_file) if path
        ]
        pose = [] if frame.pose is None else frame.pose.tolist()
        return dict(
            files=fingerprint_of_files(files, self.backend_args),
            pose=fingerprint(pose))

    def _check_sizes(self, frame: FrameFiles, color: Tuple[int, ...],
                     depth: Tuple[int, ...]) -> None:
        if self.cameras.is_single and color != depth:
            raise FrameError(
                f'{frame.depth} is {depth[1]}x{depth[0]}, but {frame.color} '
                f'{color[1]}x{color[0]}; give --depth-intrinsics for the '
                'depth images and --color-intrinsics for the colour images')
        for path, (height,
                   width), intrinsics in ((frame.color, color,
                                           self.cameras.color_intrinsics),
                                          (frame.depth, depth,
                                           self.cameras.depth_intrinsics)):
            u, v = intrinsics[:2, 2]
            if not (0 < u < width and 0 < v < height):
                raise FrameError(
                    f'{path} is {width}x{height}, and the intrinsics put its '
                    f'centre at {u:g}, {v:g}: they are those of another size')

    def _pose(self, frame: FrameFiles) -> np.ndarray:
        """(4, 4) from the depth camera to the world of the data set."""
        pose, name = frame.pose, f'pose of {frame.source}'
        if pose is None:
            assert frame.pose_file
            name = frame.pose_file
            pose = decode_matrix(self._read(name), name)
        pose = check_pose(pose, name)
        if self.is_mirrored:
            pose = mirror_pose(pose)
        if self.pose_of == 'color':
            pose = pose @ self.cameras.depth_to_color
        return self.world @ pose

    def _read(self, path: str) -> bytes:
        return read_source_file(
            join(self.source, path), path, 'copy it again', self.backend_args)


def to_millimetres(image: np.ndarray, unit: float, path: str) -> np.ndarray:
    """Depth in millimetres, 0 where there is none.

    Args:
        image (np.ndarray): (H, W) of 16 bits; 0 and 65535 are no depth.
        unit (float): Its units per metre.
        path (str): The file, for the error.

    Returns:
        np.ndarray: (H, W) uint16. Depth beyond 65.5 m is none.

    Raises:
        FrameError: When it is another kind of image or has no depth.
    """
    if image.ndim != 2 or image.dtype not in (np.uint16, np.int32):
        raise FrameError(f'{path} is no 16-bit depth image: {image.dtype}, '
                         f'shape {image.shape}')
    millimetres = np.round(image * (1000 / unit))
    is_none = np.isin(image, _INVALID) | (millimetres > _FARTHEST_MM)
    if (is_none | (millimetres < 1)).all():
        raise FrameError(f'{path} has no pixel with depth')
    return np.where(is_none, 0, millimetres).astype(np.uint16)


def read_cameras(recording: Recording, options: FolderOptions,
                 backend_args: BackendArgs) -> Cameras:
    """The cameras of a recording, as far as options do not replace them.

    Args:
        recording (Recording): What was found.
        options (FolderOptions): Of the user.
        backend_args (BackendArgs): Arguments of the file backend.

    Returns:
        Cameras: One if neither depth intrinsics nor an extrinsic are known.

    Raises:
        StoreError: When the colour camera is unknown.
    """
    color = options.color_intrinsics or recording.color_intrinsics
    depth = options.depth_intrinsics or recording.depth_intrinsics
    motion = options.depth_to_color or recording.depth_to_color
    if color is None:
        raise StoreError(
            'the recording does not say what its colour camera is; give '
            '--color-intrinsics, and --depth-to-color if it is another than '
            'the depth camera (usual for a Kinect: --color-intrinsics '
            '525,525,319.5,239.5 --depth-to-color=-0.025,0,0)')
    intrinsics = read_intrinsics(color, backend_args)
    return Cameras(
        color_intrinsics=intrinsics,
        depth_intrinsics=(read_intrinsics(depth, backend_args)
                          if depth else intrinsics),
        depth_to_color=(read_transform(motion, backend_args)
                        if motion else np.eye(4)),
        is_single=depth is None and motion is None)


def _world(up: Optional[Tuple[float, ...]], is_mirrored: bool) -> np.ndarray:
    """(4, 4) from the recording's world to the data set's."""
    world = np.eye(4)
    if up is not None:
        if len(up) != 3:
            raise StoreError(f'--up {up} is no direction; give 3 numbers')
        direction = np.array(up, dtype=np.float64)
        if is_mirrored:
            direction[1] *= -1
        world[:3, :3] = rotation_to_z(direction)
    return world
