"""Agreement of a recording's frames on the scene.

Points of a frame are moved into the other frames. Where another frame has
depth, it confirms a point (about the same depth), contradicts it (it sees
something behind the point, so that nothing can be there), or hides it (it
sees something in front). With wrong poses, cameras, units or axes points are
contradicted about as often as not. No number of the scene is needed, and
frames that do not overlap say nothing.

Shapes: N points, H W pixels.
"""
from dataclasses import asdict, dataclass
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from ...ops.projection import back_project, pixel_indices, project, transform
from ...store.posed_images import RGBDFrame

# Where frames are taken from a long recording, and which ones after each:
# neighbors of sparse key frames, and later ones of a video.
_PLACES, _OFFSETS = 8, (0, 1, 5, 20)
# Points of all frames together.
_POINTS = 20_000
# Difference of depth that is still the same surface, relative to the larger
# of its depth and the median depth.
_TOLERANCE = 0.04
# Points that hardly move in the image say nothing; share of the width.
_MOTION = 0.05
# Share of the points, but so many, that must be seen twice to tell.
_TELLING_SHARE, _TELLING_POINTS = 0.01, 40
# Points whose colors tell something.
_COLORED = 200
# Points of a frame that tell whether the color camera sees them.
_FEW = 500
# Difference of gray values that is still the same color, 0 to 255.
_SAME_COLOR = 25.0
# Standard deviation of gray values below which a scene has no texture.
_TEXTURE = 10.0

#: Below this share of confirmed points frames disagree. What the bounds do is
#: counted by ``tools/experiments/check_false_alarms.py``.
LOWEST_SHARE = 0.6
#: At least this share if all is right.
GOOD_SHARE = 0.85
#: Correlation of gray values below which colors disagree, and above which
#: they agree.
LOWEST_CORRELATION, GOOD_CORRELATION = 0.3, 0.6


@dataclass(frozen=True)
class Agreement:
    """Agreement of frames on each other's points."""
    frames: int  # Frames that were compared
    points: int  # Points of all frames
    confirmed: int  # Points that another frame sees, too
    contradicted: int  # Points through which another frame looks
    hidden: int  # Points behind what another frame sees
    # Share of confirmed points of one color; NaN without any
    same_colors: float
    # Of the gray values of confirmed points in the two frames, -1 to 1; NaN
    # without texture
    correlation: float

    @property
    def counted(self) -> int:
        """Points that another frame confirms or contradicts."""
        return self.confirmed + self.contradicted

    @property
    def share(self) -> float:
        """Confirmed of the counted points; 0 without any."""
        return self.confirmed / max(self.counted, 1)

    @property
    def is_telling(self) -> bool:
        """Whether enough points are seen twice."""
        return self.counted >= max(_TELLING_POINTS,
                                   _TELLING_SHARE * self.points)

    @property
    def agrees(self) -> bool:
        """Whether enough is seen twice and agrees."""
        return (self.is_telling and self.share >= GOOD_SHARE
                and not self.correlation < LOWEST_CORRELATION)

    @property
    def disagrees(self) -> bool:
        """Whether enough is seen twice and disagrees."""
        return self.is_telling and self.share < LOWEST_SHARE

    def to_fields(self) -> Dict[str, Any]:
        """The numbers as JSON; None for NaN."""
        rounded = {
            name:
            None if np.isnan(
                value := getattr(self, name)) else round(float(value), 4)
            for name in ('share', 'same_colors', 'correlation')
        }
        return dict(asdict(self), is_telling=self.is_telling, **rounded)

    def __str__(self) -> str:
        """One line for the log."""
        if not self.is_telling:
            return (f'{self.frames} frames overlap too little to tell whether '
                    f'they agree ({self.counted:,} of {self.points:,} points '
                    'are seen twice)')
        colors = ('' if np.isnan(self.same_colors) else
                  f', {self.same_colors:.0%} of their colors')
        return (f'{self.frames} frames agree on {self.share:.0%} of '
                f'{self.counted:,} points{colors}')


def sample_frames(names: Sequence[str]) -> List[str]:
    """At most 32 of the frames, with near and far neighbors in time."""
    if len(names) <= _PLACES * len(_OFFSETS):
        return list(names)
    places = np.linspace(0, len(names) - 1, _PLACES, endpoint=False)
    chosen = {
        min(int(place) + offset,
            len(names) - 1)
        for place in places
        for offset in _OFFSETS
    }
    return [names[i] for i in sorted(chosen)]


def colored_share(frames: Sequence[RGBDFrame]) -> float:
    """Share of points that their frame's color image shows."""
    gray = _sample(frames, _FEW).gray
    return float(np.isfinite(gray).mean()) if gray.size else 0.0


class _Samples(NamedTuple):
    """Points of all frames."""
    xyz: np.ndarray  # (N, 3) world frame, meters
    uv: np.ndarray  # (N, 2) their pixels, as shares of the image's width
    frame: np.ndarray  # (N,) int64 index of the frame
    gray: np.ndarray  # (N,) gray value, NaN where no color is seen
    typical: float  # Median depth, meters


def measure(frames: Sequence[RGBDFrame], points: int = _POINTS) -> Agreement:
    """Compare every frame with every other, on about ``points`` points."""
    if not frames:
        return Agreement(0, 0, 0, 0, 0, np.nan, np.nan)
    samples = _sample(frames, max(points // len(frames), 1))
    counts = np.zeros(3, dtype=np.int64)
    grays: List[np.ndarray] = []
    for index, frame in enumerate(frames):
        seen = transform(samples.xyz, np.linalg.inv(frame.pose))
        verdicts = _compare(frame, index, seen, samples)
        counts += [np.count_nonzero(verdict) for verdict in verdicts]
        confirmed = verdicts[0]
        grays.append(
            np.stack([
                samples.gray[confirmed],
                _gray(frame, seen[confirmed]),
                samples.frame[confirmed] * len(frames) + index
            ]))
    same, correlation = _compare_colors(np.concatenate(grays, axis=1))
    return Agreement(
        len(frames), len(samples.xyz), int(counts[0]), int(counts[1]),
        int(counts[2]), same, correlation)


def _sample(frames: Sequence[RGBDFrame], wanted: int) -> _Samples:
    """Points of a regular grid over the pixels that have depth."""
    parts: List[Tuple[np.ndarray, ...]] = []
    for index, frame in enumerate(frames):
        height, width = frame.depth.shape
        step = max(int(np.sqrt(height * width / wanted)), 1)
        rows, columns = np.meshgrid(
            np.arange(step // 2, height, step),
            np.arange(step // 2, width, step),
            indexing='ij')
        pixels = (rows * width + columns).reshape(-1)
        pixels = pixels[frame.depth.reshape(-1)[pixels] > 0]
        points = back_project(
            frame.depth.astype(np.float64), frame.cameras.depth_intrinsics,
            pixels)
        v, u = np.divmod(pixels, width)
        parts.append(
            (transform(points, frame.pose), np.stack([u, v], axis=1) / width,
             np.full(len(pixels), index), _gray(frame, points), points[:, 2]))
    xyz, uv, frame_of, gray, z = (np.concatenate(part) for part in zip(*parts))
    return _Samples(xyz, uv, frame_of, gray,
                    float(np.median(z)) if len(z) else 0.0)


def _compare(frame: RGBDFrame, index: int, points: np.ndarray,
             samples: _Samples) -> Tuple[np.ndarray, ...]:
    """Which of all (N, 3) points, in a frame's camera, the frame confirms,
    contradicts and hides: three arrays (N,) bool."""
    height, width = frame.depth.shape
    uv, z = project(points, frame.cameras.depth_intrinsics)
    pixels, is_inside = pixel_indices(uv, height, width)
    depth = frame.depth.reshape(-1)[pixels]
    with np.errstate(invalid='ignore'):
        moved = np.linalg.norm(uv / width - samples.uv, axis=1) > _MOTION
    is_seen = is_inside & moved & (depth > 0) & (samples.frame != index)
    margin = _TOLERANCE * np.maximum(depth, samples.typical)
    return (is_seen & (np.abs(z - depth) <= margin),
            is_seen & (z < depth - margin), is_seen & (z > depth + margin))


def _gray(frame: RGBDFrame, points: np.ndarray) -> np.ndarray:
    """(N,) gray values of (N, 3) points in the depth camera's frame."""
    height, width = frame.color.shape[:2]
    cameras = frame.cameras
    uv, _ = project(
        transform(points, cameras.depth_to_color), cameras.color_intrinsics)
    pixels, is_inside = pixel_indices(uv, height, width)
    gray = frame.color.reshape(-1, 3)[pixels].mean(axis=1)
    return np.where(is_inside, gray, np.nan)


def _compare_colors(grays: np.ndarray) -> Tuple[float, float]:
    """Share of equal gray values, and correlation, of points seen twice.

    ``grays`` (3, N) are the values in the two frames and the number of the
    pair of frames, whose exposures may differ. NaN where too little is seen.
    """
    grays = grays[:, np.isfinite(grays).all(axis=0)]
    if grays.shape[1] < _COLORED:
        return np.nan, np.nan
    same = float((np.abs(grays[0] - grays[1]) < _SAME_COLOR).mean())
    _, pair = np.unique(grays[2], return_inverse=True)
    first, second = (
        values - (np.bincount(pair, values) / np.bincount(pair))[pair]
        for values in grays[:2])
    if min(first.std(), second.std()) < _TEXTURE:
        return same, np.nan
    return same, float(np.corrcoef(first, second)[0, 1])
