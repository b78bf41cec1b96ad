"""CLIP2Scene (Chen et al., CVPR 2023) on the tokens of scene frames.

Shapes: B frames, N points, K classes, C channels of image and text features.
"""
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample
from mmengine.model import BaseModule
from torch import Tensor, nn

from sam3d_plugin.models.heads import check_width, frame_mean
from sam3d_plugin.models.heads.defaults import LINEAR_INIT
from sam3d_plugin.models.pretrainers import BasePretrainer
from sam3d_plugin.models.pretrainers.masking import frame_generators
from sam3d_plugin.ops.propagation import interpolate_tokens
from sam3d_plugin.ops.transfer import to_device
from sam3d_plugin.store.errors import check_shares
from .point_targets import PointTargets

# Which frames learn from their own labels has other random numbers.
OWN_LABELS = 2


@MODELS.register_module()
class ClassAgreementHead(BaseModule):
    """Two linear maps: a feature that tells the class, and the image's.

    Args:
        out_channels (int): Channels C of image and text features.
        in_channels (int): Channels of the backbone. Defaults to 256.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 out_channels: int,
                 in_channels: int = 256,
                 init_cfg: Optional[dict] = LINEAR_INIT) -> None:
        super().__init__(init_cfg)
        self.class_proj = nn.Linear(in_channels, out_channels)
        self.image_proj = nn.Linear(in_channels, out_channels)

    def forward(self, features: Tensor) -> Tuple[Tensor, Tensor]:
        """Both features (B, N, C) float32 of points (B, N, in_channels)."""
        return (self.class_proj(features).float(),
                self.image_proj(features).float())


@MODELS.register_module()
class CLIP2Scene(BasePretrainer):
    """Points learn what an image model sees at their pixels.

    Each point predicts the class of its region, by similarity with the
    classes' embeddings, and the region's image feature. Late in the training
    some frames learn from the classes that they predict themselves.

    Args:
        backbone (dict): Config of a ``TokenEncoder``.
        head (dict): Config of a ``ClassAgreementHead``.
        target_generator (dict): Config of ``PointClassTargets``.
        num_points (Optional[int]): Points of a frame that predict, the first
            ones of the loader's random order, which spares memory. None for
            all. Defaults to None.
        own_labels_from (float): Share of the training after which frames may
            learn from their own labels.
        own_label_ratio (float): Probability that a frame does.
        **kwargs (Any): See :class:`BasePretrainer`.
    """

    def __init__(self,
                 backbone: dict,
                 head: dict,
                 target_generator: dict,
                 num_points: Optional[int] = None,
                 own_labels_from: float = 1 / 3,
                 own_label_ratio: float = 0.5,
                 **kwargs: Any) -> None:
        super().__init__(backbone, **kwargs)
        check_shares(
            'CLIP2Scene',
            own_labels_from=own_labels_from,
            own_label_ratio=own_label_ratio)
        self.head = MODELS.build(head)
        self.target_generator = MODELS.build(target_generator)
        self.num_points = num_points
        self.own_labels_from = own_labels_from
        self.own_label_ratio = own_label_ratio

    def loss(
            self, inputs: Dict[str, Any],
            data_samples: Optional[List[Det3DDataSample]]
    ) -> Dict[str, Tensor]:
        """Compute the losses of a batch.

        Args:
            inputs (Dict[str, Any]): ``points`` (B, N, 3 + D) with region
                ids.
            data_samples (Optional[List[Det3DDataSample]]): B frames with
                regions.

        Returns:
            Dict[str, Tensor]: ``loss_class``, ``loss_feature``, and
            ``agreement``, the share of points whose predicted class is that
            of their region.
        """
        points = inputs['points']
        region_ids = self.backbone.read_region_ids(points,
                                                   inputs.get('region_ids'))
        targets = self.target_generator(
            to_device(region_ids[:, :self.num_points], points.device),
            data_samples)
        tokens, features = self.backbone.encode(points)
        features = interpolate_tokens(points[:, :self.num_points, :3],
                                      tokens.centers, features,
                                      tokens.is_padding)
        for_class, for_image = self.head(features)
        return self.compare(for_class, for_image, targets)

    def compare(self, for_class: Tensor, for_image: Tensor,
                targets: PointTargets) -> Dict[str, Tensor]:
        """Compare with what the image model sees.

        Args:
            for_class (Tensor): (B, N, C) float32.
            for_image (Tensor): (B, N, C) float32.
            targets (PointTargets): Of the same points.

        Returns:
            Dict[str, Tensor]: See :meth:`loss`; means over the points of a
            frame that are in regions, then over frames.
        """
        check_width(targets.features, for_image.shape[-1], 'region',
                    'ClassAgreementHead')
        with torch.autocast(for_class.device.type, enabled=False):
            logits = for_class @ self.target_generator.embeddings.T
        predicted = logits.argmax(-1)
        labels = self.choose_labels(predicted, targets.classes)
        entropies = F.cross_entropy(
            logits.transpose(1, 2), labels, reduction='none')
        distances = 1 - F.cosine_similarity(
            for_image, targets.features, dim=-1)
        agrees = (predicted == targets.classes).float()
        return dict(
            loss_class=frame_mean(entropies, targets.is_target),
            loss_feature=frame_mean(distances, targets.is_target),
            agreement=frame_mean(agrees, targets.is_target))

    def choose_labels(self, own: Tensor, classes: Tensor) -> Tensor:
        """The labels to learn from (switchable self-training).

        Args:
            own (Tensor): (B, N) int64, the predicted classes.
            classes (Tensor): (B, N) int64, those of the image model.

        Returns:
            Tensor: (B, N) int64, either of the two for all points of a
            frame; which depends on the number of the frame alone.
        """
        if self.progress < self.own_labels_from:
            return classes
        numbers = self.frame_numbers(len(own))
        draws = np.array([
            g.random() < self.own_label_ratio
            for g in frame_generators(self.seed, numbers, OWN_LABELS)
        ])
        return torch.where(to_device(draws, own.device)[:, None], own, classes)
