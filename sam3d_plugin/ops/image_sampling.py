"""Pixels that points are seen at, and what an image shows there, in torch.

Pixels as in :mod:`.projection`. Shapes: B scenes, N points, H W pixels of an
image, h w cells of a map of it, C channels.
"""
from typing import Tuple

import torch
import torch.nn.functional as F
from torch import Tensor


def locate_points(points: Tensor, pose: Tensor, intrinsics: Tensor,
                  size: Tuple[int, int]) -> Tuple[Tensor, Tensor]:
    """Pixels that points are seen at.

    ``LoadFrameImage`` tells the camera of its image. After augmentation,
    points are located by their column ``origin``.

    Args:
        points (Tensor): (B, N, 3) world frame, meters, float32.
        pose (Tensor): (B, 4, 4) from the world to the camera.
        intrinsics (Tensor): (B, 3, 3) of the camera, pixels.
        size (Tuple[int, int]): H, W of its image.

    Returns:
        Tuple[Tensor, Tensor]: (B, N, 2) u and v in pixels, and (B, N) bool,
        whether that is in front of the camera and in the image; u and v are 0
        where not.
    """
    # Not as a product of matrices, which AMP computes in half precision.
    camera = (points[:, :, None] * pose[:, None, :3, :3]).sum(-1)
    camera = camera + pose[:, None, :3, 3]
    homogeneous = (camera[:, :, None] * intrinsics[:, None]).sum(-1)
    z = camera[..., 2]
    u, v = (homogeneous[..., :2] /
            torch.where(z > 0, z, 1)[..., None]).unbind(-1)
    height, width = size
    is_seen = (z > 0) & (u >= -0.5) & (u < width - 0.5) & (v >= -0.5) & (
        v < height - 0.5)
    uv = torch.stack((u, v), dim=-1)
    return torch.where(is_seen[..., None], uv, 0), is_seen


def sample_image(image: Tensor, uv: Tensor, size: Tuple[int, int]) -> Tensor:
    """Bilinear values of an image, or of a map of it, at pixels.

    Args:
        image (Tensor): (B, C, h, w); a cell is a rectangle of the pixels, and
            its value is that at its center.
        uv (Tensor): (B, N, 2) u and v, pixels of the image.
        size (Tuple[int, int]): H, W of the image.

    Returns:
        Tensor: (B, N, C) float32; nearer to the border than the centers of
        the outermost cells, their values.
    """
    height, width = size
    u, v = uv.float().unbind(-1)
    grid = torch.stack(((u + 0.5) / width * 2 - 1, (v + 0.5) / height * 2 - 1),
                       dim=-1)
    values = F.grid_sample(
        image.float(),
        grid[:, None],
        padding_mode='border',
        align_corners=False)
    return values[:, :, 0].transpose(1, 2)
