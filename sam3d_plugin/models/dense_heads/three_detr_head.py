"""Queries, decoder, box MLPs, losses and predictions of 3DETR.

Axes: L decoder layers, B scenes, N points, G tokens, Q queries, C channels,
K classes.
"""
from typing import Dict, List, Optional, Tuple

import torch
from mmdet3d.models.layers import aligned_3d_nms
from mmdet3d.registry import MODELS, TASK_UTILS
from mmdet3d.structures import BaseInstance3DBoxes
from mmdet3d.structures.det3d_data_sample import SampleList
from mmdet.utils import reduce_mean
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from torch import Tensor, nn

from sam3d_plugin.ops import furthest_point_sample
from ...store.errors import UserError
from . import three_detr_losses as set_losses
from .three_detr_layers import (FourierPositionEmbedding, PointwiseMLP,
                                ThreeDETRDecoder)


@MODELS.register_module()
class ThreeDETRHead(BaseModule):
    """The detector of 3DETR behind any backbone with ``fp_*`` outputs.

    Args:
        num_classes (int): Classes K.
        in_channels (int): Channels of the tokens.
        queries (str): ``'fps'``: furthest point samples of the tokens, whose
            contents start at zero, as published. ``'tokens'``: every token is
            a query and brings its feature (SAM-guided masked token
            prediction; the feature *ours*).
        bbox_coder (dict): Config of the box coder.
        loss_weights (Dict[str, float]): Of ``cls``, ``center``, ``size``,
            ``dir_class``, ``dir_res`` and ``giou``. A loss of weight 0 is
            not computed.
        no_object_weight (float): Weight of unmatched queries in ``cls``.
        num_queries (Optional[int]): Queries Q of ``'fps'``; none otherwise.
        decoder (Optional[dict]): Arguments of :class:`ThreeDETRDecoder`.
        projection_layers (int): Layers between backbone and decoder: 3 for
            3DETR, 2 for 3DETR-m. Defaults to 3.
        mlp_dropout (float): Of the box MLPs. Defaults to 0.3.
        train_cfg (Optional[dict]): ``assigner``, the config of the
            assignment.
        test_cfg (Optional[dict]): ``nms_thr``, IoU of the NMS; ``score_thr``,
            lowest objectness; ``min_points`` inside a box;
            ``per_class_proposal``, whether each box is reported for every
            class, with the class's probability, or for its best class only.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 num_classes: int,
                 in_channels: int,
                 queries: str,
                 bbox_coder: dict,
                 loss_weights: Dict[str, float],
                 no_object_weight: float,
                 num_queries: Optional[int] = None,
                 decoder: Optional[dict] = None,
                 projection_layers: int = 3,
                 mlp_dropout: float = 0.3,
                 train_cfg: Optional[dict] = None,
                 test_cfg: Optional[dict] = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        if queries not in ('fps', 'tokens') or (num_queries
                                                is None) != (queries
                                                             == 'tokens'):
            raise UserError("queries='fps' needs num_queries=Q, "
                            "queries='tokens' takes every token and needs "
                            f'num_queries=None; got {queries!r} and '
                            f'{num_queries}')
        self.num_queries = num_queries
        self.bbox_coder = TASK_UTILS.build(bbox_coder)
        self.loss_weights = loss_weights
        self.no_object_weight = no_object_weight
        if train_cfg is not None:
            self.assigner = TASK_UTILS.build(train_cfg['assigner'])
        self.test_cfg = dict(test_cfg or {})
        self.decoder = ThreeDETRDecoder(**(decoder or {}))
        dims = self.decoder.embed_dims
        self.memory_projection = PointwiseMLP(
            [in_channels] + [dims] * projection_layers, activate_output=True)
        self.position_embedding = FourierPositionEmbedding(dims)
        self.query_projection = nn.Sequential(
            nn.Linear(dims, dims), nn.ReLU(inplace=True),
            nn.Linear(dims, dims), nn.ReLU(inplace=True))
        bins = self.bbox_coder.num_dir_bins
        outputs = dict(
            cls_logits=num_classes + 1,
            center=3,
            size=3,
            dir_class=bins,
            dir_res=bins)
        self.box_mlps = nn.ModuleDict({
            name:
            PointwiseMLP([dims, dims, dims, channels], mlp_dropout)
            for name, channels in outputs.items()
        })

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
            Dict[str, Tensor]: ``cls_logits`` (L, B, Q, K + 1), the last class
            for "no object", and what the box coder decodes.

        Raises:
            ValueError: When there are fewer tokens than queries.
        """
        xyz, features = feat_dict['fp_xyz'][-1], feat_dict['fp_features'][-1]
        scene = scene_range(points)
        memory = self.memory_projection(features.transpose(1, 2))
        query_xyz, content = self._select_queries(xyz, memory)
        query_position = self.query_projection(
            self.position_embedding(query_xyz, *scene))
        box_features = self.decoder(content, memory, query_position,
                                    self.position_embedding(xyz, *scene))
        if last_layer_only:
            box_features = box_features[-1:]
        raw = {name: mlp(box_features) for name, mlp in self.box_mlps.items()}
        return self.bbox_coder.decode(raw, query_xyz, *scene)

    def _select_queries(self, xyz: Tensor,
                        memory: Tensor) -> Tuple[Tensor, Tensor]:
        """Positions (B, Q, 3) and first contents (B, Q, C) of the queries."""
        if self.num_queries is None:
            return xyz, memory
        num_tokens = xyz.shape[1]
        if num_tokens < self.num_queries:
            raise UserError(
                f'{num_tokens} tokens cannot give {self.num_queries} queries: '
                'lower model.bbox_head.num_queries, raise num_tokens of the '
                "backbone's tokenizer, or set queries='tokens' and "
                'num_queries=None')
        indices = furthest_point_sample(xyz.float().contiguous(),
                                        self.num_queries).long()
        query_xyz = xyz.gather(1, indices[..., None].expand(-1, -1, 3))
        return query_xyz, torch.zeros_like(memory[:, :self.num_queries])

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
        count = reduce_mean(logits.new_tensor([float(len(labels))]))
        by_layer = {
            name:
            set_losses.sum_by_layer(values, pairs.layers, len(logits)) /
            count.clamp(min=1)
            for name, values in set_losses.box_losses(
                predictions, merged, pairs, self.bbox_coder.with_rot,
                self.loss_weights['giou'] > 0).items()
        }
        by_layer['cls'] = set_losses.classification_loss(
            logits, labels, pairs, self.no_object_weight)
        losses = {}
        for name, values in by_layer.items():
            values = values * self.loss_weights[name]
            losses[f'loss_{name}'] = values[-1]
            losses[f'aux.loss_{name}'] = values[:-1].sum()
        return losses

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
        scores = predictions['cls_logits'][-1].softmax(dim=-1)
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
