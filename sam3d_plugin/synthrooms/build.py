"""One scene of SynthRooms, from the seed to its files.

Shapes: N points, H W pixels, I instances.
"""
from dataclasses import dataclass, replace
from typing import Any, Dict, List, Set, Tuple

import cv2
import numpy as np

from ..ops.projection import scale_intrinsics
from ..preparation.sources.scans.infos import describe_scan, scan_files
from ..preparation.sources.scans.scan import CLASS_NAMES, Scan
from ..store.posed_images import (INTRINSIC, encode_color, encode_matrix,
                                  frame_files)
from . import splits
from .camera_path import plan_path
from .fused_scan import (FusionSettings, SyntheticFrame, fuse, label_scan,
                         steady_pixels)
from .layout import Room, make_layout
from .rendering import Renderer
from .scene_mesh import build_mesh
from .sensor import SCANNET_INTRINSICS, SCANNET_SIZE, DepthSensor, observe

# Walks through an apartment until every class is in the scan.
_WALKS = 6
# Share of a frame's pixels with which an instance counts as measured.
_SEEN_SHARE = 0.006


@dataclass(frozen=True)
class SynthOptions:
    """Settings shared by all scenes of a set."""
    num_frames: int = 12  # Frames per scene
    size: Tuple[int, int] = (240, 320)  # H, W of color and depth
    sensor: DepthSensor = DepthSensor()  # Of the depth images
    fusion: FusionSettings = FusionSettings()  # Of the scans

    @property
    def intrinsics(self) -> np.ndarray:
        """(3, 3) of ScanNet's depth camera at this size."""
        return scale_intrinsics(SCANNET_INTRINSICS, SCANNET_SIZE, self.size)


@dataclass(frozen=True)
class SyntheticScene:
    """A furnished room as it is stored."""
    scan: Scan  # Points, masks and boxes
    frames: List[SyntheticFrame]  # In the order of the walk
    intrinsics: np.ndarray  # (3, 3) of all frames
    classes: np.ndarray  # (I + 1,) NYU40 id of each instance id
    rooms: List[Room]  # The layout, axis-aligned


def draw_alignment(rng: np.random.Generator) -> np.ndarray:
    """(4, 4) from a random world frame to the axis-aligned frame.

    A turn about z and a shift, as ScanNet's ``axis_align_matrix``.
    """
    turn = rng.uniform(0, 2 * np.pi)
    cos, sin = np.cos(turn), np.sin(turn)
    matrix = np.eye(4)
    matrix[:2, :2] = [[cos, -sin], [sin, cos]]
    matrix[:3, 3] = rng.uniform((-3, -3, -0.2), (3, 3, 0.2))
    return matrix


def layout_of(seed: int, split: str,
              number: int) -> Tuple[np.random.Generator, List[Room]]:
    """The rooms of a scene, and the generator that its materials continue."""
    rng = np.random.default_rng(splits.scene_seed(seed, split, number))
    return rng, make_layout(rng, splits.is_apartment(split, number))


def build_scene(
    seed: int, name: str,
    options: SynthOptions = SynthOptions()) -> SyntheticScene:
    """Make a scene; equal arguments give equal bytes."""
    split, number = splits.scene_of(name)
    rng, rooms = layout_of(seed, split, number)
    mesh = build_mesh(rng, rooms)
    renderer = Renderer(mesh, options.intrinsics, options.size,
                        options.sensor.baseline)
    axis_align = draw_alignment(rng)
    walk = _walk(rng, rooms, renderer, options,
                 splits.is_apartment(split, number))
    to_world = np.linalg.inv(axis_align)
    frames = [
        replace(
            frame,
            color=renderer.color(rng, frame.pose),
            pose=to_world @ frame.pose) for frame in walk
    ]
    points, instance = fuse(rng, frames, options.intrinsics, options.fusion)
    scan = label_scan(name, points, instance, mesh.classes, axis_align)
    return SyntheticScene(scan, frames, options.intrinsics, mesh.classes,
                          rooms)


def _walk(rng: np.random.Generator, rooms: List[Room], renderer: Renderer,
          options: SynthOptions, shows_all: bool) -> List[SyntheticFrame]:
    """Frames without color; walks again until all classes are measured."""
    for _ in range(_WALKS):
        frames = [
            _measure(rng, renderer, pose, options)
            for pose in plan_path(rng, rooms, renderer, options.num_frames)
        ]
        seen = _classes_seen(frames, renderer.mesh.classes, options.fusion)
        if not shows_all or len(seen) == len(CLASS_NAMES):
            break
    return frames


def _measure(rng: np.random.Generator, renderer: Renderer, pose: np.ndarray,
             options: SynthOptions) -> SyntheticFrame:
    view = renderer.view(pose)
    millimeters, source = observe(rng, view, options.sensor)
    return SyntheticFrame(
        np.zeros((0, 0, 3)), millimeters, view.instance,
        view.instance.reshape(-1)[source], pose)


def _classes_seen(frames: List[SyntheticFrame], classes: np.ndarray,
                  fusion: FusionSettings) -> Set[int]:
    """Detection classes that have an instance of enough pixels to fuse."""
    share = np.zeros(len(classes))
    for frame in frames:
        depth = frame.millimeters.astype(np.float32) / np.float32(1000)
        ids = frame.measured.reshape(-1)[steady_pixels(depth, fusion)]
        share += np.bincount(ids, minlength=len(classes)) / depth.size
    return set(classes[share > _SEEN_SHARE].tolist()) & set(CLASS_NAMES)


def frame_name(index: int) -> str:
    """Name of a frame, as in ``00007``."""
    return f'{index:05d}'


def scene_files(scene: SyntheticScene) -> Dict[str, bytes]:
    """Files of a scene, by path relative to the set."""
    name = scene.scan.name
    images = f'posed_images/{name}'
    files = {f'{images}/{INTRINSIC}': encode_matrix(scene.intrinsics)}
    for index, frame in enumerate(scene.frames):
        stem = frame_name(index)
        files[f'frame_instances/{name}/{stem}.png'] = cv2.imencode(
            '.png', frame.instance)[1].tobytes()
        made = frame_files(
            encode_color(frame.color), frame.millimeters, frame.pose)
        files.update({
            f'{images}/{stem}{ending}': content
            for ending, content in made.items()
        })
    files.update(scan_files(scene.scan))
    return files


def scene_fields(scene: SyntheticScene) -> Dict[str, Any]:
    """Numbers of a scene, as JSON.

    ``info``, ``num_points`` and ``class_counts`` of
    :class:`..infos.StoredScan`, ``instance_classes`` (NYU40 id of each id >=
    0) and ``boxes`` (number per detection class).
    """
    assert scene.scan.box_classes is not None
    numbers, counts = np.unique(scene.scan.box_classes, return_counts=True)
    boxes = {
        CLASS_NAMES[int(number)]: int(count)
        for number, count in zip(numbers, counts)
    }
    return dict(
        describe_scan(scene.scan).to_fields(),
        instance_classes=[int(number) for number in scene.classes],
        boxes=boxes)
