"""Frames in which an object moves, with the points that stay the same.

Shapes: T views, N points of a view, L loaded points, M samples of an object,
P tracked points.
"""
from itertools import takewhile
from typing import Dict, List, Optional, Tuple

import numpy as np
from mmdet3d.registry import TRANSFORMS
from scipy.spatial import cKDTree

from sam3d_plugin.datasets.seeding import sample_generator
from sam3d_plugin.datasets.transforms.base import Step, data_folder
from sam3d_plugin.ops.projection import pixel_indices, project, transform
from sam3d_plugin.ops.scene_origin import find_origin
from sam3d_plugin.store.errors import UserError, check_shares
from sam3d_plugin.store.object_library import FILE, ObjectLibrary, read_objects
from .frame_points import moved, origins_of
from .object_motion import (SUPPORT_GAP, Camera, Composed, Course, Range,
                            Sight, add_noise, camera_of, choose_samples,
                            draw_motion, look_at, spread, support_below)


@TRANSFORMS.register_module()
class PlaceMovingObject(Step):
    """Let an object move through a frame, and follow points over time.

    It stands on what is below it, in front of what the camera measured. What
    it hides is removed, and what of it is seen becomes points, as dense as
    those of the frame and as noisy as a Kinect's. If no try finds a way, the
    frame is named, and replaced and counted by the dataset. ``TwoViews``
    behind this step augments the views.

    Required Keys:

    - points (:obj:`BasePoints`): with the column ``origin`` alone
    - depth_image (np.ndarray), depth_intrinsics (np.ndarray), depth_pose
      (np.ndarray): of ``LoadFrameImage``; occlusion is decided in its pixels

    Added Keys:

    - views (List[dict]): ``points`` of each of the T views
    - tracks (np.ndarray): (T, P) int64 points of every view that are the same
    - is_seen (np.ndarray): (T, P) bool, False where the point is not in the
      view; its track is 0 there

    Args:
        library (str): File of ``sam3d_plugin.store.object_library`` in the
            data set.
        num_views (int): T.
        num_tracks (int): P. The first half is on the object, as far as
            enough of it is seen, the others are in the room.
        max_share (float): Largest share of the object in the points of a
            view. Views have 1 - ``max_share`` of the loaded points, so that
            hidden ones can be replaced.
        min_share (float): Smallest share.
        scale (Range): Size over that in the library.
        step_length (Range): Way between two views, meters.
        bend (float): Largest change of direction, radians.
        inside (float): Share of the object that must be in the image.
        noise (float): Scale of the noise.
        radius (float): Largest distance of the same place of the object in
            two views, in its own frame, meters.
        cell (float): Edge of the room's cells of which each has one track at
            most, meters.
        object_cell (float): That of the object's.
        num_tries (int): Objects and ways to try.
        backend_args (Optional[dict]): Arguments of the file backend.
    """

    def __init__(self,
                 library: str = FILE,
                 num_views: int = 4,
                 num_tracks: int = 512,
                 max_share: float = 0.2,
                 min_share: float = 0.02,
                 scale: Range = (0.4, 1.),
                 step_length: Range = (0.1, 0.3),
                 bend: float = 0.5,
                 inside: float = 0.6,
                 noise: float = 1.,
                 radius: float = 0.0375,
                 cell: float = 0.1,
                 object_cell: float = 0.03,
                 num_tries: int = 50,
                 backend_args: Optional[dict] = None) -> None:
        if num_views < 2:
            raise UserError(f'num_views of PlaceMovingObject is {num_views}; '
                            'a motion has at least 2')
        shares = dict(max_share=max_share, min_share=min_share, inside=inside)
        check_shares('PlaceMovingObject', **shares)
        self.library = library
        self.num_views = num_views
        self.num_tracks = num_tracks
        self.max_share = max_share
        self.min_share = min_share
        self.scale = scale
        self.step_length = step_length
        self.bend = bend
        self.inside = inside
        self.noise = noise
        self.radius = radius
        self.cell = cell
        self.object_cell = object_cell
        self.num_tries = num_tries
        self.backend_args = backend_args
        self._libraries: Dict[str, ObjectLibrary] = {}

    def transform(self, results: dict) -> Optional[dict]:
        """Add the views; None if no object fits.

        Raises FileNotFoundError without the file of objects.
        Raises StoreError when it is damaged.
        Raises ValueError for moved points, other columns or no depth image.
        """
        origins, generator = origins_of(results['points']), sample_generator()
        camera = camera_of(results)
        course = self._find_course(
            self._objects(results), origins, camera, generator)
        if course is None:
            self.skip(f'{results.get("scan")}/{results.get("frame")}: none of '
                      f'{self.num_tries} objects has free space to move and '
                      'enough samples')
            return None
        views = self.compose(course, origins, camera, generator)
        tracks, is_seen = self.follow(views, course.points, generator)
        return dict(
            results,
            views=[
                dict(points=moved(results['points'], view.places))
                for view in views
            ],
            tracks=tracks,
            is_seen=is_seen)

    def _objects(self, results: dict) -> np.ndarray:
        """(K, M, 3) surfaces of the data set's objects."""
        path = data_folder(results, self.library)
        if path not in self._libraries:
            self._libraries[path] = read_objects(path, self.backend_args)
        return self._libraries[path].points

    def _find_course(self, objects: np.ndarray, origins: np.ndarray,
                     camera: Camera,
                     generator: np.random.Generator) -> Optional[Course]:
        """An object and a way for it; None if no try finds one."""
        eye = np.linalg.inv(camera.to_camera)[:3, 3]
        floor = find_origin(origins, 'floor')[2]
        num_points = self._num_points(origins)
        for _ in range(self.num_tries):
            points = objects[generator.integers(len(objects))].astype(float)
            points *= generator.uniform(*self.scale)
            goal = origins[generator.integers(len(origins))]
            start = eye + generator.uniform(.4, .95) * (goal - eye)
            motion = draw_motion(start, self.num_views, self.step_length,
                                 self.bend, generator)
            reach = np.linalg.norm(points[:, :2], axis=1).max()
            motion.shifts[:, 2] = SUPPORT_GAP + support_below(
                motion.shifts, reach, origins, floor)
            seen = (look_at(placed, camera) for placed in motion.move(points))
            sights = list(
                takewhile(
                    lambda sight: self._is_good(sight, camera, num_points),
                    seen))
            if len(sights) == self.num_views:
                return Course(points, motion, sights)
        return None

    def _num_points(self, origins: np.ndarray) -> int:
        """Points N of a view, of (L, 3) loaded ones."""
        return int(len(origins) * (1 - self.max_share) + 1e-6)

    def _is_good(self, sight: Sight, camera: Camera, num_points: int) -> bool:
        """Whether the object is free, in the image and of the right size.

        Its seen samples must be as many as its share of a view's points.
        """
        share = sight.num_covered / max((camera.depth > 0).sum(), 1)
        return (sight.clearance >= 0 and sight.inside >= self.inside
                and sight.measured >= .5
                and sight.is_seen.sum() >= share * num_points
                and self.min_share <= share <= self.max_share)

    def compose(self, course: Course, origins: np.ndarray, camera: Camera,
                generator: np.random.Generator) -> List[Composed]:
        """Put the object into the frame at every step.

        Args:
            course (Course): The object and its way.
            origins (np.ndarray): (L, 3) points of the frame, world, meters.
            camera (Camera): What sees them.
            generator (np.random.Generator): Decides.

        Returns:
            List[Composed]: T views of equally many points.
        """
        num_points = self._num_points(origins)
        density = num_points / (camera.depth > 0).sum()
        uv, z = project(
            transform(origins, camera.to_camera), camera.intrinsics)
        pixels, _ = pixel_indices(uv, *camera.depth.shape)
        order = generator.permutation(len(origins))
        views = []
        for sight, placed in zip(course.sights,
                                 course.motion.move(course.points)):
            samples = choose_samples(sight, round(sight.num_covered * density),
                                     generator)
            is_open = z <= sight.buffer[pixels]
            scene = order[is_open[order]][:num_points - len(samples)]
            # Views must be equally large, whatever is hidden.
            samples = np.resize(samples, num_points - len(scene))
            seen = add_noise(placed[samples], camera, self.noise, generator)
            places = np.concatenate([origins[scene], seen])
            views.append(Composed(scene, samples, places))
        return views

    def follow(
            self, views: List[Composed], points: np.ndarray,
            generator: np.random.Generator) -> Tuple[np.ndarray, np.ndarray]:
        """Choose points of the first view and find them in all others.

        Args:
            views (List[Composed]): T views.
            points (np.ndarray): (M, 3) samples in the object's frame.
            generator (np.random.Generator): Decides.

        Returns:
            Tuple[np.ndarray, np.ndarray]: ``tracks`` and ``is_seen``, see the
            class.
        """
        half = self.num_tracks // 2
        scene, samples, places = views[0]
        on_object = spread(points[samples], self.object_cell, half, generator)
        still = spread(places[:len(scene)], self.cell, self.num_tracks - half,
                       generator)
        shape = len(views), self.num_tracks
        tracks, is_seen = np.zeros(shape, np.int64), np.zeros(shape, bool)
        for row, found, view in zip(tracks, is_seen, views):
            distances, nearest = cKDTree(points[view.samples]).query(
                points[samples[on_object]])
            row[:len(on_object)] = len(view.scene) + nearest
            found[:len(on_object)] = distances <= self.radius
            place = np.full(max(s.scene.max() for s in views) + 1, -1)
            place[view.scene] = np.arange(len(view.scene))
            row[half:half + len(still)] = place[scene[still]]
            found[half:half + len(still)] = place[scene[still]] >= 0
        tracks[~is_seen] = 0
        return tracks, is_seen
