"""Losses and predictions of detectors that put out a set of boxes.

Axes: L decoder layers, B scenes, N points, G tokens, Q queries, C channels,
K classes, P matched pairs.
"""
from abc import abstractmethod
from typing import Dict, List, Optional, Tuple

import torch
from mmdet3d.models.layers import aligned_3d_nms
from mmdet3d.registry import TASK_UTILS
from mmdet3d.structures import BaseInstance3DBoxes
from mmdet3d.structures.det3d_data_sample import SampleList
from mmdet.utils import reduce_mean
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from torch import Tensor

from . import three_detr_losses as set_losses


class BoxSetHead(BaseModule):
    """What 3DETR and V-DETR share: matching, losses, NMS and results.

    A subclass implements :meth:`forward`, :meth:`classification_loss` and
    :meth:`scores`.

    Args:
        bbox_coder (dict): Config of the box coder.
        loss_weights (Dict[str, float]): Of ``cls``, ``center``, ``size``,
            ``dir_class``, ``dir_res`` and ``giou``. A loss of weight 0 is
            not computed.
        train_cfg (Optional[dict]): ``assigner``, the config of the
            assignment.
        test_cfg (Optional[dict]): ``nms_thr``, IoU of the NMS; ``score_thr``,
            lowest objectness; ``min_points`` inside a box;
            ``per_class_proposal``, whether each box is reported for every
            class, with the class's probability, or for its best class only.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 bbox_coder: dict,
                 loss_weights: Dict[str, float],
                 train_cfg: Optional[dict] = None,
                 test_cfg: Optional[dict] = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.bbox_coder = TASK_UTILS.build(bbox_coder)
        self.loss_weights = loss_weights
        if train_cfg is not None:
            self.assigner = TASK_UTILS.build(train_cfg['assigner'])
        self.test_cfg = dict(test_cfg or {})

    @abstractmethod
    def forward(self,
                points: List[Tensor],
                feat_dict: Dict[str, List[Tensor]],
                last_layer_only: bool = False) -> Dict[str, Tensor]:
        """Predict boxes.

        Args:
            points (List[Tensor]): (N, 3 + D) of every scene, meters.
            feat_dict (Dict[str, List[Tensor]]): What the backbone returns;
                the last of ``fp_xyz`` (B, G, 3) and ``fp_features``
                (B, C, G).
            last_layer_only (bool): Whether to leave out the boxes of the
                other decoder layers. Defaults to False.

        Returns:
            Dict[str, Tensor]: ``cls_logits`` (L, B, Q, K) or, with a class
            for "no object", (L, B, Q, K + 1), and what the box coder
            decodes.
        """

    @abstractmethod
    def classification_loss(self, logits: Tensor, labels: Tensor,
                            pairs: set_losses.MatchedPairs,
                            num_pairs: Tensor) -> Tensor:
        """Compare the classes of all queries.

        Args:
            logits (Tensor): ``cls_logits`` of :meth:`forward`.
            labels (Tensor): Classes of the true boxes of all scenes.
            pairs (set_losses.MatchedPairs): The assignment.
            num_pairs (Tensor): (L,) true boxes of a layer, at least 1, the
                mean over processes.

        Returns:
            Tensor: (L,).
        """

    @abstractmethod
    def scores(self, logits: Tensor) -> Tensor:
        """Probabilities of classes.

        Args:
            logits (Tensor): (B, Q, channels) of a layer.

        Returns:
            Tensor: (B, Q, K + 1), the last for "no object".
        """

    def loss(self, points: List[Tensor], feat_dict: Dict[str, List[Tensor]],
             batch_data_samples: SampleList) -> Dict[str, Tensor]:
        """Compare the boxes of every decoder layer with the true ones.

        Args:
            points (List[Tensor]): (N, 3 + D) of every scene, meters.
            feat_dict (Dict[str, List[Tensor]]): What the backbone returns.
            batch_data_samples (SampleList): With ``gt_instances_3d``.

        Returns:
            Dict[str, Tensor]: ``loss_*`` of the last layer and
            ``aux.loss_*``, the sums of the others.
        """
        predictions = self(points, feat_dict)
        scenes = torch.stack(scene_range(points), dim=1)
        truth = [sample.gt_instances_3d for sample in batch_data_samples]
        targets = [
            dict(
                self.bbox_coder.encode(instances.bboxes_3d, *scene),
                labels=instances.labels_3d.to(scene.device))
            for instances, scene in zip(truth, scenes)
        ]
        return self.loss_by_feat(predictions, targets)

    def loss_by_feat(self, predictions: Dict[str, Tensor],
                     targets: List[Dict[str, Tensor]]) -> Dict[str, Tensor]:
        """Assign and compare.

        Args:
            predictions (Dict[str, Tensor]): What :meth:`forward` returns.
            targets (List[Dict[str, Tensor]]): Of every scene, what the box
                coder encodes, and ``labels``.

        Returns:
            Dict[str, Tensor]: As :meth:`loss`.
        """
        pairs = self._assign(predictions, targets)
        merged = {
            name: torch.cat([target[name] for target in targets])
            for name in targets[0]
        }
        labels = merged.pop('labels')
        logits = predictions['cls_logits']
        num_pairs = reduce_mean(
            logits.new_tensor([
                float(len(labels) * self.assigner.repeats_of(i))
                for i in range(len(logits))
            ])).clamp(min=1)
        by_layer = {
            name:
            set_losses.sum_by_layer(values, pairs.layers, len(logits)) /
            num_pairs
            for name, values in self.box_losses(predictions, merged,
                                                pairs).items()
        }
        by_layer['cls'] = self.classification_loss(logits, labels, pairs,
                                                   num_pairs)
        losses = {}
        for name, values in by_layer.items():
            values = values * self.loss_weights[name]
            losses[f'loss_{name}'] = values[-1]
            losses[f'aux.loss_{name}'] = values[:-1].sum()
        return losses

    def box_losses(self, predictions: Dict[str, Tensor], targets: Dict[str,
                                                                       Tensor],
                   pairs: set_losses.MatchedPairs) -> Dict[str, Tensor]:
        """Compare the matched boxes.

        Args:
            predictions (Dict[str, Tensor]): What :meth:`forward` returns.
            targets (Dict[str, Tensor]): What the box coder encodes, of all
                scenes.
            pairs (set_losses.MatchedPairs): The assignment.

        Returns:
            Dict[str, Tensor]: (P,) each.
        """
        return set_losses.box_losses(predictions, targets, pairs,
                                     self.bbox_coder.with_rot,
                                     self.loss_weights['giou'] > 0)

    def _assign(self, predictions: Dict[str, Tensor],
                targets: List[Dict[str, Tensor]]) -> set_losses.MatchedPairs:
        """Match the true boxes of every scene and layer."""
        first_box, parts = 0, []
        for i, target in enumerate(targets):
            scene = {name: value[:, i] for name, value in predictions.items()}
            layers, queries, boxes = self.assigner.assign(scene, target)
            parts.append(
                (layers, torch.full_like(layers,
                                         i), queries, boxes + first_box))
            first_box += len(target['labels'])
        return set_losses.MatchedPairs(*map(torch.cat, zip(*parts)))

    def predict(self, points: List[Tensor], feat_dict: Dict[str, List[Tensor]],
                batch_data_samples: SampleList) -> List[InstanceData]:
        """Find the objects.

        Args:
            points (List[Tensor]): (N, 3 + D) of every scene, meters.
            feat_dict (Dict[str, List[Tensor]]): What the backbone returns.
            batch_data_samples (SampleList): With ``box_type_3d``.

        Returns:
            List[InstanceData]: ``bboxes_3d``, ``scores_3d`` and
            ``labels_3d`` of every scene.
        """
        predictions = self(points, feat_dict, last_layer_only=True)
        boxes = predictions['boxes'][-1]
        scores = self.scores(predictions['cls_logits'][-1])
        return [
            self._select_boxes(boxes[i], scores[i], points[i][:, :3],
                               sample.metainfo['box_type_3d'])
            for i, sample in enumerate(batch_data_samples)
        ]

    def _select_boxes(self, boxes: Tensor, scores: Tensor, points: Tensor,
                      box_type: type) -> InstanceData:
        """Drop boxes that are empty, not objects, or doubles.

        Doubles are found between the axis-aligned boxes around the boxes and
        within a class, as 3DETR and VoteNet do.
        """
        class_scores, objectness = scores[:, :-1], 1 - scores[:, -1]
        instances = box_type(
            boxes,
            box_dim=7,
            with_yaw=self.bbox_coder.with_rot,
            origin=(0.5, 0.5, 0.5))
        num_points = instances.points_in_boxes_all(points).sum(dim=0)
        kept = torch.nonzero((num_points >= self.test_cfg['min_points'])
                             & (objectness > self.test_cfg['score_thr']))[:, 0]
        corners = instances.corners[kept]
        kept = kept[aligned_3d_nms(
            torch.cat((corners.amin(dim=1), corners.amax(dim=1)),
                      dim=1), objectness[kept],
            class_scores[kept].argmax(dim=1), self.test_cfg['nms_thr'])]
        return self._report(instances[kept], objectness[kept],
                            class_scores[kept])

    def _report(self, instances: BaseInstance3DBoxes, objectness: Tensor,
                class_scores: Tensor) -> InstanceData:
        """Boxes with scores and labels, in mmdet3d's form."""
        num_boxes, num_classes = class_scores.shape
        if not self.test_cfg['per_class_proposal']:
            return InstanceData(
                bboxes_3d=instances,
                scores_3d=objectness,
                labels_3d=class_scores.argmax(dim=1))
        every_class = torch.arange(num_classes, device=class_scores.device)
        repeated = torch.arange(num_boxes).repeat(num_classes)
        return InstanceData(
            bboxes_3d=instances[repeated.to(class_scores.device)],
            scores_3d=(objectness[:, None] * class_scores).T.reshape(-1),
            labels_3d=every_class.repeat_interleave(num_boxes))


def scene_range(points: List[Tensor]) -> Tuple[Tensor, Tensor]:
    """Lowest and highest coordinates of every scene.

    Args:
        points (List[Tensor]): (N, 3 + D) of every scene, meters.

    Returns:
        Tuple[Tensor, Tensor]: (B, 3) each.
    """
    lowest = torch.stack([scene[:, :3].amin(dim=0) for scene in points])
    highest = torch.stack([scene[:, :3].amax(dim=0) for scene in points])
    return lowest, highest
