"""A small SAM of the real classes, and frames for it."""
import numpy as np
import torch

from sam3d_plugin.preparation.regions.generators.sam_models import (
    SAMArchitecture, build_sam)
from sam3d_plugin.store.posed_images import Cameras, RGBDFrame

SMALL = SAMArchitecture(
    embed_dim=16,
    depth=2,
    num_heads=2,
    global_blocks=(1, ),
    window_size=3,
    image_size=64,
    patch_size=8,
    prompt_dim=32,
    mask_channels=8,
    decoder_mlp=32,
    iou_hidden=16)
# Random weights are sure of nothing, and their masks span the image: these
# settings keep some, not all.
LENIENT = dict(
    points_per_side=4,
    pred_iou_thresh=0.1,
    stability_score_thresh=0.3,
    stability_score_offset=0.01,
    box_nms_thresh=1.0,
    crop_nms_thresh=1.0)
# Weights doubled, so that masks depend on image and prompt.
_CONTRAST = ('point_embeddings', 'image_to_token', 'output_upscaling',
             'hypernetworks', 'blocks')


def small_sam(seed=58):
    """A SAM with seeded random weights, blind to the place of a patch.

    Some of its masks end inside of the image, as crops need.
    """
    torch.manual_seed(seed)
    sam = build_sam(SMALL)
    with torch.no_grad():
        for name, weight in sam.named_parameters():
            if not weight.any() and 'pos' not in name:
                torch.nn.init.normal_(weight, std=0.02)
            if any(part in name for part in _CONTRAST):
                weight.mul_(2)
    return sam


def save_sam(path, seed=58):
    torch.save(small_sam(seed).state_dict(), path)
    return path


def color_image(height, width, seed):
    """Rectangles of random colours, since noise alone looks all the same."""
    rng = np.random.default_rng(seed)
    image = np.empty((height, width, 3), np.uint8)
    image[:] = rng.integers(0, 256, 3)
    for _ in range(12):
        top, left = rng.integers(0, (height, width))
        size = rng.integers(5, 40, 2)
        image[top:top + size[0], left:left + size[1]] = rng.integers(0, 256, 3)
    return image


def islands_image(height, width, seed):
    """A square in the middle of each quarter, away from all borders."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), 20, np.uint8)
    for top in (height // 4, 3 * height // 4):
        for left in (width // 4, 3 * width // 4):
            image[top - 6:top + 6,
                  left - 6:left + 6] = rng.integers(100, 256, 3)
    return image


def frame_of(color, name='00000', depth=None, pose=None, intrinsics=None):
    """A frame of one camera."""
    intrinsics = np.eye(3) if intrinsics is None else intrinsics
    return RGBDFrame(
        'a', name, color,
        np.ones(color.shape[:2], np.float32) if depth is None else depth,
        np.eye(4) if pose is None else pose,
        Cameras(intrinsics, intrinsics, np.eye(4), True))
