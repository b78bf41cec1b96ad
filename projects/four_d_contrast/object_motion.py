"""An object that moves through a frame, as its depth camera would see it.

Frames of reference: object (stands on z = 0), world (z up), camera. Shapes:
T steps, M samples of the object's surface, N points, n of them on the object,
H W pixels.
"""
from typing import List, NamedTuple, Tuple

import cv2
import numpy as np

from sam3d_plugin.models.pretrainers import check_image
from sam3d_plugin.ops.projection import pixel_indices, project, transform

Range = Tuple[float, float]
# Depth where nothing is, and the nearest that cameras see, meters.
FAR, NEAREST = 1e3, 0.4
# Samples so far behind the first surface of their pixel are seen: pixels are
# coarse, and surfaces slant, meters.
DEPTH_TOLERANCE = 0.05
# Smaller holes of an object's picture are closed, pixels.
HOLE = 5
# Between an object and what it stands on, meters.
SUPPORT_GAP = 0.01


class Camera(NamedTuple):
    """A depth image and its camera."""

    depth: np.ndarray  # (H, W) meters, 0 = none
    intrinsics: np.ndarray  # (3, 3) pixels
    to_camera: np.ndarray  # (4, 4) from the world, meters


def camera_of(results: dict) -> Camera:
    """The camera of a sample.

    UserError when ``LoadFrameImage`` has not read its depth image.
    """
    check_image(
        results, 'depth', "put LoadFrameImage with kind='depth' "
        'before PlaceMovingObject')
    return Camera(results['depth_image'][0], results['depth_intrinsics'],
                  results['depth_pose'])


class Motion(NamedTuple):
    """Rigid places of an object: x becomes R(turn) x + shift."""

    turns: np.ndarray  # (T,) about z, radians
    shifts: np.ndarray  # (T, 3) meters, world

    def move(self, points: np.ndarray) -> np.ndarray:
        """Places (T, M, 3) of the object's points (M, 3) in the world."""
        cos, sin = np.cos(self.turns), np.sin(self.turns)
        zeros, ones = np.zeros_like(cos), np.ones_like(cos)
        turns = np.stack(
            [cos, -sin, zeros, sin, cos, zeros, zeros, zeros, ones],
            axis=1).reshape(-1, 3, 3)
        return points @ turns.transpose(0, 2, 1) + self.shifts[:, None]


class Sight(NamedTuple):
    """What the camera sees of the object at a step."""

    buffer: np.ndarray  # (H W,) nearest depth of the object, FAR = none
    pixels: np.ndarray  # (M,) int64 pixel of each sample
    is_seen: np.ndarray  # (M,) bool, whether the sample is on a seen surface
    # Least distance along a ray from a sample to what is behind it, meters
    clearance: float
    inside: float  # Share of the samples in the image
    measured: float  # Share of those whose pixel has depth

    @property
    def num_covered(self) -> int:
        """int: Pixels that show the object."""
        return int((self.buffer < FAR).sum())


class Course(NamedTuple):
    """An object and its way through the frame."""

    points: np.ndarray  # (M, 3) samples in the object's frame, meters
    motion: Motion  # T places
    sights: List[Sight]  # T


class Composed(NamedTuple):
    """A frame with the object at one step."""

    scene: np.ndarray  # (N - n,) loaded points that are still seen
    samples: np.ndarray  # (n,) samples of the object
    places: np.ndarray  # (N, 3) scene, then object, world, meters


def draw_motion(start: np.ndarray, num_steps: int, length: Range, bend: float,
                generator: np.random.Generator) -> Motion:
    """Draw a path that bends; the object turns with it.

    Args:
        start (np.ndarray): (3,) where its middle stands first, world, meters.
        num_steps (int): T.
        length (Range): Of the way between steps, meters.
        bend (float): Largest change of direction at a step, radians.
        generator (np.random.Generator): Decides.

    Returns:
        Motion: The path, on one height.
    """
    first, direction = generator.uniform(-np.pi, np.pi, 2)
    bends = generator.uniform(-bend, bend, num_steps)
    bends[0] = 0
    turned = bends.cumsum()
    lengths = generator.uniform(*length, num_steps)
    lengths[0] = 0
    headings = direction + turned
    flat = np.stack([np.cos(headings), np.sin(headings), 0 * headings], axis=1)
    steps = lengths[:, None] * flat
    return Motion(first + turned, start + steps.cumsum(0))


def look_at(points: np.ndarray, camera: Camera) -> Sight:
    """See an object's samples (M, 3), world, in an otherwise empty space.

    Holes of the buffer, where no sample was drawn, are closed.
    """
    height, width = camera.depth.shape
    uv, z = project(transform(points, camera.to_camera), camera.intrinsics)
    pixels, is_inside = pixel_indices(uv, height, width)
    buffer = np.full(height * width, FAR, np.float32)
    np.minimum.at(buffer, pixels[is_inside], z[is_inside].astype(np.float32))
    buffer = cv2.morphologyEx(
        buffer.reshape(height, width),
        cv2.MORPH_OPEN,
        np.ones((HOLE, HOLE)),
        borderType=cv2.BORDER_REPLICATE).reshape(-1)
    depth = camera.depth.reshape(-1)[pixels]
    is_measured = is_inside & (depth > 0)
    clearance = np.min((depth - z)[is_measured], initial=FAR)
    if z.min() < NEAREST:
        clearance = -FAR
    return Sight(buffer, pixels,
                 is_inside & (z <= buffer[pixels] + DEPTH_TOLERANCE),
                 float(clearance), float(is_inside.mean()),
                 float(is_measured.sum() / max(is_inside.sum(), 1)))


def support_below(shifts: np.ndarray, reach: float, points: np.ndarray,
                  floor: float) -> float:
    """Height of what an object stands on along a path.

    Args:
        shifts (np.ndarray): (T, 3) its places, world, meters, on one height.
        reach (float): From its middle to its rim, meters.
        points (np.ndarray): (N, 3) of the frame, world, meters.
        floor (float): Height of the frame's floor, meters.

    Returns:
        float: That of the highest point below the places and within reach;
        the floor where none was measured.
    """
    below = points[points[:, 2] < shifts[0, 2]]
    distances = np.linalg.norm(below[:, None, :2] - shifts[:, :2], axis=2)
    is_near = (distances < reach).any(1)
    return float(below[is_near, 2].max(initial=floor))


def noise_deviation(depth: np.ndarray) -> np.ndarray:
    """Standard deviation of a Kinect's depth (Nguyen et al., 3DIMPVT 2012).

    Meters, for depth in meters.
    """
    return 0.0012 + 0.0019 * np.square(depth - 0.4)


def choose_samples(sight: Sight, count: int,
                   generator: np.random.Generator) -> np.ndarray:
    """Draw seen samples, equally dense in the image.

    Returns at most ``count`` indices of samples, each once.
    """
    seen = np.flatnonzero(sight.is_seen)
    pixels = sight.pixels[seen]
    _, place, counts = np.unique(
        pixels, return_inverse=True, return_counts=True)
    weights = 1 / counts[place.reshape(-1)]
    return generator.choice(
        seen, min(count, len(seen)), replace=False, p=weights / weights.sum())


def add_noise(points: np.ndarray, camera: Camera, noise: float,
              generator: np.random.Generator) -> np.ndarray:
    """Move points (n, 3), world, along their rays as the sensor would.

    ``noise`` scales the deviation of :func:`noise_deviation`.
    """
    seen = transform(points, camera.to_camera)
    z = seen[:, 2:]
    shift = noise * noise_deviation(z) * generator.standard_normal(z.shape)
    return transform(seen * (1 + shift / z), np.linalg.inv(camera.to_camera))


def spread(points: np.ndarray, cell: float, count: int,
           generator: np.random.Generator) -> np.ndarray:
    """Indices of at most ``count`` random points (n, 3), one in a cell."""
    order = generator.permutation(len(points))
    _, first = np.unique(
        np.floor(points[order] / cell), axis=0, return_index=True)
    return order[np.sort(first)[:count]]
