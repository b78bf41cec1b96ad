"""Bridge3D (Chen et al., NeurIPS 2023) on the tokens of scene frames.

Shapes: B frames, N points, G tokens, C channels.
"""
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
import torch
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample
from torch import Tensor

from sam3d_plugin.models.pretrainers import (MaskedPointPretrainer,
                                             MaskedPrediction)
from sam3d_plugin.models.pretrainers.masking import frame_generators
from sam3d_plugin.models.pretrainers.tokens import build_slot
from sam3d_plugin.ops.transfer import to_device
from sam3d_plugin.store.errors import UserError
from sam3d_plugin.structures import PointTokens
from .bridge3d_targets import FrameTargets

# Masks have other random numbers.
KEPT_TOKENS = 2


def keep_tokens(is_masked: Tensor, is_foreground: Tensor, quota: Tensor,
                generators: Sequence[np.random.Generator]) -> Tensor:
    """Choose the masked tokens whose points are predicted (section 3.2).

    Args:
        is_masked (Tensor): (B, G) bool, never True for padding.
        is_foreground (Tensor): (B, G) bool.
        quota (Tensor): (B,) tokens to choose.
        generators (Sequence[np.random.Generator]): One per frame.

    Returns:
        Tensor: (B, G) bool: all masked foreground, and as much random
        masked background as the quota leaves.
    """
    draws = np.stack([g.random(is_masked.shape[1]) for g in generators])
    ranks = to_device(draws, is_masked.device)
    ranks = ranks + is_foreground.double()
    ranks = ranks.masked_fill(~is_masked, -1)
    places = ranks.argsort(1, descending=True).argsort(1)
    return is_masked & (is_foreground | (places < quota[:, None]))


@MODELS.register_module()
class Bridge3D(MaskedPointPretrainer):
    """Masked points, and features of foundation models in 2D and text.

    A loss without a head is off. All have weight 1.

    Args:
        drop_ratio (float): Share of all tokens that are masked and not
            predicted, if they are background.
        region_image (Optional[dict]): Config of a ``RegionPoolHead`` of the
            image features of regions.
        region_text (Optional[dict]): The same of the text features of their
            classes, for foreground.
        scene_image (Optional[dict]): Config of a ``SceneTokenHead`` of the
            image feature of the frame.
        scene_text (Optional[dict]): The same of its text feature.
        as_released (bool): Whether the loss on image features of regions is
            left out, as in the released code, whatever its head. Defaults to
            False.
        **kwargs (Any): See :class:`MaskedPointPretrainer`; the head is a
            ``NeighborhoodHead``, the targets ``Bridge3DTargets``.
    """

    def __init__(self,
                 *,
                 drop_ratio: float,
                 region_image: Optional[dict] = None,
                 region_text: Optional[dict] = None,
                 scene_image: Optional[dict] = None,
                 scene_text: Optional[dict] = None,
                 as_released: bool = False,
                 **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.drop_ratio = drop_ratio
        self.region_image = build_slot(None if as_released else region_image)
        self.region_text = build_slot(region_text)
        self.scene_image = build_slot(scene_image)
        self.scene_text = build_slot(scene_text)

    def loss(
            self, inputs: Dict[str, Any],
            data_samples: Optional[List[Det3DDataSample]]
    ) -> Dict[str, Tensor]:
        """Compute the losses of a batch.

        Args:
            inputs (Dict[str, Any]): ``points`` (B, N, 3 + D), xyz in meters,
                and ``frame_text`` (B, C) where that is predicted.
            data_samples (Optional[List[Det3DDataSample]]): B frames.

        Returns:
            Dict[str, Tensor]: Losses by name.

        Raises:
            ValueError: When a text feature is missing.
        """
        points, tokens = self.tokenize(**inputs)
        targets = self.target_generator(points, tokens, data_samples)
        outputs = self.predict(points, tokens)
        losses = self.compute_losses(outputs, tokens, targets)
        if self.scene_text is not None:
            if 'frame_text' not in inputs:
                raise UserError('scene_text predicts text features of frames: '
                                'add LoadFrameText to the pipeline and '
                                'frame_text to keys of PackPretrainInputs')
            losses['loss_scene_text'] = self.scene_text.loss(
                outputs.encoded, outputs.visible.tokens.is_padding,
                inputs['frame_text'].float(), 'text')
        return losses

    def compute_losses(self, outputs: MaskedPrediction, tokens: PointTokens,
                       targets: FrameTargets) -> Dict[str, Tensor]:
        """Compare with points, image features and texts of classes.

        Args:
            outputs (MaskedPrediction): Of :meth:`predict`.
            tokens (PointTokens): All tokens.
            targets (FrameTargets): Of the target generator.

        Returns:
            Dict[str, Tensor]: Losses by name.

        Raises:
            ValueError: When texts of classes are missing.
        """
        decoded, regions = outputs.decoded, targets.regions
        losses = self.head.loss(
            decoded, targets.neighborhoods,
            self.keep(outputs.is_masked, tokens, targets.is_foreground))
        is_visible = regions.is_target & ~outputs.is_masked
        if self.region_image is not None:
            losses['loss_region_image'] = self.region_image.loss(
                decoded, tokens.region_ids, is_visible, regions.features,
                'image')
        if self.region_text is not None:
            if targets.class_text is None:
                raise UserError('region_text predicts texts of classes: set '
                                'class_embeddings of Bridge3DTargets')
            losses['loss_region_text'] = self.region_text.loss(
                decoded, tokens.region_ids, is_visible & targets.is_foreground,
                targets.class_text, 'text')
        if self.scene_image is not None:
            losses['loss_scene_image'] = self.scene_image.loss(
                outputs.encoded, outputs.visible.tokens.is_padding,
                targets.scene_image, 'image')
        return losses

    def keep(self, is_masked: Tensor, tokens: PointTokens,
             is_foreground: Tensor) -> Tensor:
        """The masked tokens (B, G) whose points are predicted."""
        num_tokens = (~tokens.is_padding).sum(1)
        dropped = torch.floor(self.drop_ratio * num_tokens + 1e-6)
        quota = (is_masked.sum(1) - dropped).clamp(min=0)
        generators = frame_generators(self.seed,
                                      self.frame_numbers(len(is_masked)),
                                      KEPT_TOKENS)
        return keep_tokens(is_masked, is_foreground, quota, generators)
