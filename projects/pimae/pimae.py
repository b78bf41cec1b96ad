"""PiMAE: masked points and masked pixels of the same frame.

Chen et al., PiMAE: Point Cloud and Image Interactive Masked Autoencoders for
3D Object Detection, CVPR 2023.

Shapes: B scenes, N points, G tokens, P patches of an image, D channels.
"""
from typing import Any, Dict, NamedTuple, Optional, Tuple

import torch
from mmdet3d.registry import MODELS
from torch import Tensor

from sam3d_plugin.models.backbones.plain_vision_transformer import patch_grid
from sam3d_plugin.models.pretrainers import (MaskedPointPretrainer,
                                             Predictions, check_image)
from sam3d_plugin.models.pretrainers.masking import frame_generators
from sam3d_plugin.ops.image_sampling import locate_points
from sam3d_plugin.ops.transfer import to_device
from sam3d_plugin.store.errors import UserError
from sam3d_plugin.structures import PointTokens
from .branches import choose_patches
from .heads import FrameImages

_ADVICE = ('take the train_pipeline of '
           'configs/_base_/datasets/pretrain_images.py')
# What else than masks of tokens is drawn for a frame.
_PATCHES = 2


class PointImagePrediction(NamedTuple):
    """Outputs of :class:`PiMAE` for a batch."""

    decoded: Tensor  # (B, G, D) decoder features of all tokens
    patches: Tensor  # (B, P, D) decoder features of all patches
    is_masked: Tensor  # (B, G) bool, True for hidden tokens
    is_hidden: Tensor  # (B, P) bool, True for hidden patches
    images: FrameImages


@MODELS.register_module()
class PiMAE(MaskedPointPretrainer):
    """Predict masked points, masked pixels, and pixels' features at points.

    The encoder of the points is the backbone, the one part that is kept.

    Args:
        image_encoder (dict): Config of an ``ImageBranch``.
        joint_encoder (dict): Config of a ``JointTransformer``.
        image_head (dict): Config of a ``PatchHead``.
        feature_head (dict): Config of a ``ProjectedFeatureHead``.
        is_complementary (bool): Whether patches that show a visible token are
            hidden (section 3.1), where others are enough; otherwise they are
            hidden at random. Defaults to True.
        **kwargs (Any): See :class:`MaskedPointPretrainer`; the decoder is a
            ``PointImageDecoder``, the head a ``NeighborhoodHead``, and
            ``mask_ratio`` the share of both tokens and patches.
    """

    def __init__(self,
                 *,
                 image_encoder: dict,
                 joint_encoder: dict,
                 image_head: dict,
                 feature_head: dict,
                 is_complementary: bool = True,
                 **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.image_encoder = MODELS.build(image_encoder)
        self.joint_encoder = MODELS.build(joint_encoder)
        self.image_head = MODELS.build(image_head)
        self.feature_head = MODELS.build(feature_head)
        side, own = self.image_encoder.patch_size, self.image_head.patch_size
        if side != own:
            raise UserError(f'PatchHead predicts patches of {own} pixels, '
                            f'ImageBranch has {side}: set '
                            f'model.image_head.patch_size={side}')
        self.is_complementary = is_complementary
        self.origin_columns: Optional[slice] = slice(3, 6)

    def use_metainfo(self, metainfo: dict) -> None:
        """Find the points before augmentation among the training's columns.

        Args:
            metainfo (dict): Of the data set, maybe with ``point_columns``.
        """
        if 'point_columns' in metainfo:
            columns = metainfo['point_columns'].get('origin')
            # Not a list, which GPUs wait for.
            self.origin_columns = columns and slice(columns[0],
                                                    columns[-1] + 1)

    def predict_inputs(self, inputs: Dict[str, Any], points: Tensor,
                       tokens: PointTokens) -> PointImagePrediction:
        """See :class:`TokenPretrainer`."""
        return self.predict(points, tokens, self.locate(inputs))

    def locate(self, inputs: Dict[str, Any]) -> FrameImages:
        """Find the points in the images of a batch.

        UserError without images or origins of the points.
        """
        check_image(inputs, 'color', _ADVICE)
        if self.origin_columns is None:
            raise UserError(f'points have no column origin: {_ADVICE}')
        pixels = inputs['color_image']
        uv, is_seen = locate_points(inputs['points'][..., self.origin_columns],
                                    inputs['color_pose'],
                                    inputs['color_intrinsics'],
                                    pixels.shape[2:])
        return FrameImages(pixels, uv, is_seen)

    def predict(self, points: Tensor, tokens: PointTokens,
                images: FrameImages) -> PointImagePrediction:
        """Hide tokens and patches, encode the others, decode all.

        Args:
            points (Tensor): (B, N, 3) xyz, meters.
            tokens (PointTokens): All tokens of these points.
            images (FrameImages): Their images.

        Returns:
            PointImagePrediction: Features of all tokens and patches.
        """
        visible, encoded, is_masked = self.encode_visible(points, tokens)
        masked = to_device(is_masked, points.device)
        grid = patch_grid(images.pixels, self.image_encoder.patch_size)
        kept = self.choose_patches(images, tokens, ~masked, grid)
        encoded, patches = self.joint_encoder(
            encoded, self.image_encoder(images.pixels, kept))
        decoded, patches = self.decoder(encoded, visible, tokens, patches,
                                        kept, grid)
        is_hidden = torch.ones_like(
            patches[..., 0], dtype=torch.bool).scatter(1, kept, False)
        return PointImagePrediction(decoded, patches, masked, is_hidden,
                                    images)

    def choose_patches(self, images: FrameImages, tokens: PointTokens,
                       is_visible: Tensor, grid: Tuple[int, int]) -> Tensor:
        """Choose the visible patches (B, V), from seed and frame number.

        Args:
            images (FrameImages): Where points are in the images.
            tokens (PointTokens): All G tokens.
            is_visible (Tensor): (B, G) bool, those that the encoder sees.
            grid (Tuple[int, int]): Rows and columns of patches.

        Returns:
            Tensor: (B, V) int64.
        """
        if self.is_complementary:
            is_avoided = self.patches_of(images, tokens, is_visible, grid)
        else:
            is_avoided = is_visible.new_zeros(
                len(is_visible), grid[0] * grid[1])
        generators = frame_generators(self.seed,
                                      self.frame_numbers(len(is_avoided)),
                                      _PATCHES)
        return choose_patches(is_avoided, self.mask_ratio, generators)

    def patches_of(self, images: FrameImages, tokens: PointTokens,
                   is_chosen: Tensor, grid: Tuple[int, int]) -> Tensor:
        """Patches (B, P) bool that show the center of a chosen token."""
        height, width = grid
        places = tokens.anchor_indices
        uv = images.uv.gather(1, places[..., None].expand(-1, -1, 2))
        column, row = ((uv + .5) /
                       self.image_encoder.patch_size).long().unbind(-1)
        is_shown = is_chosen & images.is_seen.gather(1, places)
        # What is not shown falls behind the last patch.
        patch = torch.where(is_shown, row * width + column, height * width)
        found = torch.zeros(
            len(patch),
            height * width + 1,
            dtype=torch.bool,
            device=patch.device)
        return found.scatter(1, patch, True)[:, :-1]

    def compute_losses(self, outputs: PointImagePrediction,
                       tokens: PointTokens,
                       targets: Tensor) -> Dict[str, Tensor]:
        """Compare all three predictions, with equal weights."""
        images, patches = outputs.images, outputs.patches
        losses = self.head.loss(outputs.decoded, targets, outputs.is_masked)
        losses.update(
            self.image_head.loss(patches, images.pixels, outputs.is_hidden))
        losses.update(
            self.feature_head.loss(outputs.decoded, patches, outputs.is_masked,
                                   tokens, images))
        return losses

    def token_predictions(self, outputs: PointImagePrediction,
                          tokens: PointTokens) -> Predictions:
        """Points of the masked tokens."""
        return Predictions(self.head(outputs.decoded), outputs.is_masked)
