"""Augmented views of depth images, and the cells that show a point.

Pixels: u to the right, v down, the center of the first pixel at (0, 0).
Shapes: N points, H W pixels of the stored image, S pixels of a view's edge.
"""
from typing import List, NamedTuple, Optional, Tuple

import numpy as np
from mmdet3d.registry import TRANSFORMS
from mmdet3d.structures import BasePoints

from sam3d_plugin.datasets.seeding import sample_generator
from sam3d_plugin.datasets.transforms.base import Step
from sam3d_plugin.models.pretrainers import check_image
from sam3d_plugin.ops.projection import pixel_indices, transform
from sam3d_plugin.store.errors import UserError, check_shares
from .depth_unet import MULTIPLE, STRIDE

Range = Tuple[float, float]


class DepthView(NamedTuple):
    """A square view of a depth image."""

    depth: np.ndarray  # (S, S) float32 meters, 0 = none
    # (3, 3) from the depth camera's frame, meters, to pixels times depth; of
    # any form, because a view is turned and mirrored
    intrinsics: np.ndarray


def _shift(x: float, y: float) -> np.ndarray:
    """(3, 3) that moves pixels."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.]])


def draw_view(depth: np.ndarray, intrinsics: np.ndarray, size: int,
              max_angle: float, crop: Range,
              generator: np.random.Generator) -> DepthView:
    """Turn, crop and mirror a depth image, and the camera with it.

    Args:
        depth (np.ndarray): (H, W) meters, 0 = none.
        intrinsics (np.ndarray): (3, 3) of its camera, pixels.
        size (int): S; the crop fills the longer direction.
        max_angle (float): Largest turn about the principal point, degrees.
        crop (Range): Height and width of the crop over those of the image.
        generator (np.random.Generator): Decides.

    Returns:
        DepthView: Pixels show their nearest one of the image.
    """
    whole = np.array(depth.shape[::-1], float)
    part = whole * generator.uniform(*crop, 2)
    middle = part / 2 + generator.uniform(0, 1, 2) * (whole - part) - .5
    angle = np.radians(generator.uniform(-max_angle, max_angle))
    scale, side = size / part.max(), generator.choice([-1, 1])
    turn = np.eye(3)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)],
                    [np.sin(angle), np.cos(angle)]]
    principal, center = intrinsics[:2, 2], (size - 1) / 2
    to_view = _shift(center, center) @ np.diag([
        scale * side, scale, 1
    ]) @ _shift(*-middle) @ _shift(*principal) @ turn @ _shift(*-principal)
    pixels = np.indices((size, size)).reshape(2, -1)[::-1]
    sources = np.linalg.inv(to_view) @ np.insert(pixels, 2, 1, axis=0)
    indices, is_inside = pixel_indices(sources[:2].T, *depth.shape)
    reach = part[:, None] * scale / 2
    is_cropped = (np.abs(pixels - center) < reach).all(0)
    values = np.where(is_inside & is_cropped, depth.reshape(-1)[indices], 0)
    return DepthView(
        values.reshape(size, size).astype(np.float32), to_view @ intrinsics)


def erase_box(depth: np.ndarray, sizes: Range,
              generator: np.random.Generator) -> np.ndarray:
    """Remove the depth of a box around any pixel.

    ``depth`` is (S, S); ``sizes`` are the range of the box's height and width
    over those of the image. Returns a copy.
    """
    half = generator.uniform(*sizes, 2) * depth.shape / 2
    middle = generator.uniform(0, 1, 2) * depth.shape
    low, high = np.maximum(middle - half, 0).astype(int), middle + half
    erased = depth.copy()
    erased[low[0]:int(high[0]), low[1]:int(high[1])] = 0
    return erased


def drop_and_distort(depth: np.ndarray, drop: float, distortion: float,
                     generator: np.random.Generator) -> np.ndarray:
    """Remove a share of the pixels and scale the others along both axes.

    Scales change linearly from one side to the other, between two of
    1 - ``distortion`` to 1 + ``distortion``.
    """
    ends = generator.uniform(1 - distortion, 1 + distortion, (2, 2))
    rows, columns = (np.linspace(*pair, length)
                     for pair, length in zip(ends, depth.shape))
    is_kept = generator.random(depth.shape) >= drop
    return (depth * is_kept * rows[:, None] * columns).astype(np.float32)


def cells_of(points: np.ndarray, view: DepthView, radius: float) -> np.ndarray:
    """The cell of the network's map that shows each point.

    Args:
        points (np.ndarray): (N, 3) camera frame, meters.
        view (DepthView): The view.
        radius (float): Largest distance from a point to what its pixel shows,
            meters.

    Returns:
        np.ndarray: (N,) int64 index into the flattened map; -1 for points that
        are outside, erased, or not what the pixel shows.
    """
    size = len(view.depth)
    projected = points @ view.intrinsics.T
    z = projected[:, 2:]
    uv = np.where(z > 0, projected[:, :2], np.nan) / np.where(z > 0, z, 1)
    pixels, is_inside = pixel_indices(uv, size, size)
    v, u = np.divmod(pixels, size)
    depth = view.depth.reshape(-1)[pixels]
    rays = np.stack([u, v, np.ones_like(u)]) * depth
    shown = (np.linalg.inv(view.intrinsics) @ rays).T
    is_shown = is_inside & (depth > 0) & (
        np.linalg.norm(shown - points, axis=1) <= radius)
    cells = v // STRIDE * (size // STRIDE) + u // STRIDE
    return np.where(is_shown, cells, -1)


@TRANSFORMS.register_module()
class DepthViews(Step):
    """Draw a view of the depth image for each view of the points.

    A view that shows too few of its points is drawn again. If none of the
    tries is good, the frame is named, and replaced and counted by the dataset.

    Required Keys:

    - points (List[:obj:`BasePoints`]): of ``TwoViews``, with ``origin``
    - depth_image (np.ndarray), depth_intrinsics (np.ndarray), depth_pose
      (np.ndarray): of ``LoadFrameImage``

    Added Keys:

    - depth_views (np.ndarray): (V, 1, S, S) float32 meters, 0 = none
    - cells (np.ndarray): (V, N) int64, see :func:`cells_of`

    Args:
        size (int): S, a multiple of 32.
        max_angle (float): See :func:`draw_view`.
        crop (Range): See :func:`draw_view`.
        erase (Range): See :func:`erase_box`.
        drop (float): See :func:`drop_and_distort`.
        distortion (float): See :func:`drop_and_distort`. Points are matched
            with what was measured.
        radius (float): See :func:`cells_of`.
        min_share (float): Share of the points that a view must show. A view
            without depth is never taken.
        num_tries (int): Views to draw.
    """

    def __init__(self,
                 size: int = 352,
                 max_angle: float = 20.,
                 crop: Range = (0.7, 0.9),
                 erase: Range = (0.2, 0.4),
                 drop: float = 0.2,
                 distortion: float = 0.3,
                 radius: float = 0.05,
                 min_share: float = 0.4,
                 num_tries: int = 10) -> None:
        if size % MULTIPLE or size < MULTIPLE:
            raise UserError(f'size of DepthViews is {size}: choose a multiple '
                            f'of {MULTIPLE}, so that its map can be halved '
                            'and doubled')
        check_shares(
            'DepthViews',
            drop=drop,
            distortion=distortion,
            min_share=min_share)
        for name, (low, high) in dict(crop=crop, erase=erase).items():
            if not 0 <= low <= high <= 1 or not crop[0]:
                raise UserError(f'{name} of DepthViews is {(low, high)}: '
                                'choose the least and the largest share of '
                                'the image, for crop > 0')
        self.size = size
        self.max_angle = max_angle
        self.crop = crop
        self.erase = erase
        self.drop = drop
        self.distortion = distortion
        self.radius = radius
        self.min_share = min_share
        self.num_tries = num_tries

    def transform(self, results: dict) -> Optional[dict]:
        """Draw the views; None if they show too few points.

        Raises ValueError without a depth image, or two views of points that
        know their origin.
        """
        views: List[np.ndarray] = []
        cells: List[np.ndarray] = []
        generator, clouds = sample_generator(), _origins(results['points'])
        check_image(results, 'depth',
                    "put LoadFrameImage with kind='depth' before DepthViews")
        for origins in clouds:
            points = transform(origins, results['depth_pose'])
            for _ in range(self.num_tries):
                depth, shown = self._draw(results, points, generator)
                if depth.any() and np.mean(shown >= 0) >= self.min_share:
                    break
            else:
                self.skip(f'{results.get("scan")}/{results.get("frame")}: none'
                          f' of {self.num_tries} depth views shows '
                          f'{self.min_share:.0%} of the points')
                return None
            views.append(depth[None])
            cells.append(shown)
        return dict(
            results, depth_views=np.stack(views), cells=np.stack(cells))

    def _draw(self, results: dict, points: np.ndarray,
              generator: np.random.Generator) -> Tuple[np.ndarray, np.ndarray]:
        """A view (S, S), and the cells (N,) that show the points."""
        view = draw_view(results['depth_image'][0],
                         results['depth_intrinsics'], self.size,
                         self.max_angle, self.crop, generator)
        view = view._replace(
            depth=erase_box(view.depth, self.erase, generator))
        return drop_and_distort(view.depth, self.drop, self.distortion,
                                generator), cells_of(points, view, self.radius)


def _origins(views: List[BasePoints]) -> List[np.ndarray]:
    """(N, 3) origins of the points of each view."""
    if not isinstance(views, list) or not all(
            'origin' in (points.attribute_dims or {}) for points in views):
        raise UserError("DepthViews matches origins of points: put TwoViews "
                        "before it and 'origin' into the columns of "
                        'LoadRGBDPoints')
    return [
        points.tensor[:, points.attribute_dims['origin']].numpy()
        for points in views
    ]
