"""From a recording to ``posed_images``.

Shapes: H W pixels.
"""
import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
from rich.console import Console

from ....store.errors import FrameError, StoreError
from ....store.files import BackendArgs, PathLike, fingerprint_of_files, join
from ....store.manifest import Store, differences
from ....store.posed_images import (IMPORT, Cameras, camera_files, check_pose,
                                    decode_color, decode_matrix, encode_color,
                                    frame_files, is_plain_jpeg)
from ....store.records import fingerprint
from ...checking.scan_checks import CHECKS, Checks, check_source
from ...checking.source_frames import Source, SourceFrame, sample
from ...running.frame_steps import FrameStep, Product
from ...running.runs import RunOptions, RunReport, run_step
from ..scans.frames import LARGEST_OFFSET, name_of_axis
from ..scans.source_files import check_unclaimed, read_source_file
from .conventions import Convention, decode_depth, to_millimeters
from .frames import FrameFiles, Recording
from .layouts import find_recording
from .matrices import (make_right_handed, mirror_pose, read_intrinsics,
                       read_transform, rotation_to_z)

# H, W of the color and the depth image of a frame.
_Sizes = Tuple[Tuple[int, ...], Tuple[int, ...]]
_HERE = RunOptions(workers=0)


@dataclass(frozen=True)
class FolderOptions:
    """Options of an import.

    Args:
        layout (str): ``'auto'`` or one of ``layouts.LAYOUTS``.
        color_intrinsics (str, optional): File or fx,fy,cx,cy, see
            ``matrices.read_intrinsics``.
        depth_intrinsics (str, optional): Only if the depth camera is another
            than the color camera.
        depth_to_color (str, optional): File or x,y,z, see
            ``matrices.read_transform``.
        depth_scale (float, optional): Units of the depth images per meter.
        pose_scale (float): Meters per unit of the poses, e.g. 0.001 for
            millimeters.
        camera_axes (str, optional): opencv, opengl, robot, or where x, y and
            z of the camera point, as in right,up,backward; by default those
            of the layout.
        poses (str): Convention of the poses.
        depth_along (str): Whether depth is z, or the distance from the
            camera.
        no_depth (float, optional): Value of missing depth, besides 0 and
            65535.
        stride (int): Take every so manieth frame.
        up (tuple, optional): Direction in the recording's world that becomes
            z; None takes what the layout says, else leaves the world as it is.
        is_checked (bool): Whether frames that disagree are refused.
    """
    layout: str = 'auto'
    color_intrinsics: Optional[str] = None
    depth_intrinsics: Optional[str] = None
    depth_to_color: Optional[str] = None
    depth_scale: Optional[float] = None
    pose_scale: float = 1.0
    camera_axes: Optional[str] = None
    poses: str = 'camera-to-world'
    depth_along: str = 'axis'
    no_depth: Optional[float] = None
    stride: int = 1
    up: Optional[Tuple[float, ...]] = None
    is_checked: bool = True


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
            raise StoreError(f'--stride {options.stride} must be >= 1')
        if not scan or '/' in scan or scan[0] == '.':
            raise StoreError(f'invalid --scan {scan!r}: not a folder name')
        self.source = source.rstrip('/')
        self.scan = scan
        self.backend_args = backend_args
        self.layout, recording = find_recording(source, options.layout,
                                                backend_args)
        cameras = read_cameras(recording, options, backend_args)
        self.is_mirrored = bool(cameras.color_intrinsics[1, 1] < 0)
        self.cameras = make_right_handed(cameras)
        self.up = recording.up if options.up is None else options.up
        self.world = _world(self.up, self.is_mirrored)
        self.convention = Convention(
            recording.depth_scale
            if options.depth_scale is None else options.depth_scale,
            options.pose_scale, options.camera_axes or recording.camera_axes,
            options.poses, options.depth_along, Convention.no_depth
            if options.no_depth is None else options.no_depth)
        self.options = options
        self.checks: Optional[Checks] = None
        self.sizes: Optional[_Sizes] = None
        self.pose_of = recording.pose_of
        self.stride = options.stride
        self.notes = recording.notes
        if self.up and options.up is None:
            axis = name_of_axis(np.array(self.up))
            self.notes = [*self.notes, f'world turned: its {axis} points up']
        self.parts = recording.parts
        self.frames = {
            frame.name: frame
            for frame in recording.frames[::options.stride]
        }
        self._move_near_origin()

    def _move_near_origin(self) -> None:
        """Take the large offset of a map out of the poses.

        Later steps compute in float32. The move is a part of ``world``.
        """
        for frame in self.frames.values():
            try:
                offset = np.round(self._pose(frame)[:3, 3])
            except FrameError:  # said when its turn comes
                continue
            if np.abs(offset).max() > LARGEST_OFFSET:
                self.world[:3, 3] -= offset
                x, y, z = -offset
                self.notes = [
                    *self.notes, f'poses moved by ({x:.0f}, {y:.0f}, {z:.0f}) '
                    'm, since float32 is too coarse that far from the origin'
                ]
            return

    def settings(self) -> Dict[str, Any]:
        """Settings shared by all scans of the folder; see :data:`IMPORT`."""
        return dict(source='rgbd_folder')

    def scan_settings(self) -> Dict[str, Any]:
        """Settings that determine the files of this scan, as JSON."""
        return dict(
            layout=self.layout,
            stride=self.stride,
            **asdict(self.convention),
            is_mirrored=self.is_mirrored,
            world=self.world.tolist(),
            color_intrinsics=self.cameras.color_intrinsics.tolist(),
            depth_intrinsics=self.cameras.depth_intrinsics.tolist(),
            depth_to_color=self.cameras.depth_to_color.tolist(),
            is_single=self.cameras.is_single)

    def check_store(self, store: Store) -> None:
        """StoreError when the scan was imported with other settings before."""
        name = f'{self.scan}/{IMPORT}'
        try:
            old = json.loads(store.read(name))
        except FileNotFoundError:
            return
        except ValueError as error:
            raise StoreError(f'{store.path(name)} is damaged ({error}); '
                             'remove it') from error
        # Imported before there were other conventions.
        old = {**asdict(Convention()), **old}
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
        text = json.dumps(self.scan_settings(), indent=1, sort_keys=True)
        files = {
            IMPORT: f'{text}\n'.encode(),
            CHECKS: self.check().to_json(),
            **camera_files(self.cameras)
        }
        return {f'{scan}/{name}': content for name, content in files.items()}

    def check(self) -> Checks:
        """Compare some frames, once; FrameError when they disagree."""
        if self.checks is None:
            self.checks = check_source(self.sample(), self.up is not None,
                                       self.options.is_checked)
        return self.checks

    def sample(self) -> Source:
        """Some frames as the recording has them; bad ones are left out."""
        names = list(self.frames)
        sizes: List[_Sizes] = []

        def read(name: str) -> SourceFrame:
            index, frame = names.index(name), self.frames[name]
            color = self._color(frame)[0]
            depth = decode_depth(self._read(frame.depth or ''), frame.source)
            found = SourceFrame(color, depth, self._raw_pose(frame),
                                self._neighbor(names, index - 1),
                                self._neighbor(names, index + 1))
            sizes.append((color.shape[:2], depth.shape))
            return found

        frames, cameras = sample(names, read, self.cameras)
        if sizes:
            self.sizes = Counter(sizes).most_common(1)[0][0]
            frames = [f for f, s in zip(frames, sizes) if s == self.sizes]
        return Source(self.scan, frames, cameras, self.convention, self._place,
                      ', or --unchecked')

    def make(self, scan: str, item: str) -> Product:
        frame = self.frames[item]
        color, content = self._color(frame)
        assert frame.depth
        millimeters = to_millimeters(
            decode_depth(self._read(frame.depth), frame.depth),
            self.convention, self.cameras.depth_intrinsics, frame.depth)
        if not is_plain_jpeg(content):
            content = encode_color(color)
        self._check_sizes(frame, color.shape[:2], millimeters.shape)
        files = frame_files(content, millimeters, self._pose(frame))
        share = np.count_nonzero(millimeters) / millimeters.size
        return Product(
            dict(zip(self.paths(scan, item), files.values())),
            dict(source=frame.source, with_depth=round(share, 4)))

    def inputs(self, scan: str, item: str) -> Dict[str, str]:
        """The frame's files, and its pose if that comes from a list."""
        frame = self.frames[item]
        files = [
            join(self.source, path)
            for path in (frame.color, frame.depth, frame.pose_file) if path
        ]
        files += self.parts.files if self.parts else []
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
                'depth images and --color-intrinsics for the color images')
        if self.sizes and (color, depth) != self.sizes:
            raise FrameError(
                f'{frame.depth} {depth[1]}x{depth[0]} or {frame.color} '
                f'{color[1]}x{color[0]} has another size than most frames')

    def _color(self, frame: FrameFiles) -> Tuple[np.ndarray, bytes]:
        """Pixels and file of the color image."""
        if frame.problem:
            raise FrameError(frame.problem)
        assert frame.color
        content = self._read(frame.color)
        return decode_color(content, frame.color), content

    def _neighbor(self, names: List[str], index: int) -> Optional[np.ndarray]:
        """(4, 4) pose of a frame, as read; None if there is none."""
        if not 0 <= index < len(names):
            return None
        try:
            return self._raw_pose(self.frames[names[index]])
        except FrameError:
            return None

    def _raw_pose(self, frame: FrameFiles) -> np.ndarray:
        """(4, 4) as the recording has it."""
        if frame.pose is not None:
            return frame.pose
        if frame.pose_file is None:
            raise FrameError(frame.problem)
        return decode_matrix(self._read(frame.pose_file), frame.pose_file)

    def _place(self, pose: np.ndarray) -> np.ndarray:
        """(4, 4) of the depth camera, in a right-handed world."""
        if self.is_mirrored:
            pose = mirror_pose(pose)
        if self.pose_of == 'color':
            pose = pose @ self.cameras.depth_to_color
        return self.world @ pose

    def _pose(self, frame: FrameFiles) -> np.ndarray:
        """(4, 4) from the depth camera to the world of the data set."""
        name = frame.pose_file or f'pose of {frame.source}'
        pose = self.convention.pose(self._raw_pose(frame))
        return self._place(check_pose(pose, name))

    def _read(self, path: str) -> bytes:
        content = self.parts.read(path) if self.parts else None
        if content is not None:
            return content
        return read_source_file(
            join(self.source, path), path, 'copy it again', self.backend_args)


def import_frames(step: RGBDFolderStep,
                  out: PathLike,
                  options: RunOptions = _HERE) -> RunReport:
    """Import a recording once its frames agree, and print what was found.

    Args:
        step (RGBDFolderStep): The recording.
        out (PathLike): ``posed_images`` of the data set.
        options (RunOptions): Shard, workers, backend. By default everything
            runs in this process.

    Returns:
        RunReport: Counts, and the reason of every skipped frame.

    Raises:
        FrameError: When frames disagree.
        StoreError: When ``out`` has files of other tools, or the scan was
            imported with other settings before.
    """
    store = Store(out, options.backend_args)
    check_unclaimed(store, step.scans())
    step.check_store(store)
    checks = step.check()
    console = Console(soft_wrap=True, markup=False, highlight=False)
    for note in (f'layout {step.layout}', *step.notes, *checks.notes):
        console.print(note)
    return run_step(step, out, options, console)


def read_cameras(recording: Recording, options: FolderOptions,
                 backend_args: BackendArgs) -> Cameras:
    """The cameras of a recording, as far as options do not replace them.

    One if neither depth intrinsics nor an extrinsic are known.

    Raises StoreError when the color camera is unknown.
    """
    color = options.color_intrinsics or recording.color_intrinsics
    depth = options.depth_intrinsics or recording.depth_intrinsics
    motion = options.depth_to_color or recording.depth_to_color
    if color is None:
        raise StoreError(
            'the recording does not say what its color camera is; give '
            '--color-intrinsics fx,fy,cx,cy, and --depth-to-color if it is '
            'another than the depth camera')
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
            raise StoreError(f'invalid --up {up}: give 3 numbers')
        direction = np.array(up, dtype=np.float64)
        if is_mirrored:
            direction[1] *= -1
        world[:3, :3] = rotation_to_z(direction)
    return world
