"""Proposals, queries and box MLPs of V-DETR.

Axes: S stages, which are the proposals and then the decoder layers, B scenes,
N points, G tokens, Q queries, C channels, K classes, P matched pairs.
"""
import math
from typing import Dict, List, Optional, Tuple, cast

import torch
from mmdet3d.registry import MODELS
from mmdet3d.structures import BaseInstance3DBoxes
from mmengine.structures import InstanceData
from torch import Tensor, nn
from torchvision.ops import sigmoid_focal_loss

from ...store.errors import UserError
from . import three_detr_losses as set_losses
from .box_set_head import BoxSetHead, scene_range
from .three_detr_layers import PointwiseMLP, normalize_positions, scene_size
from .vdetr_layers import VDETRDecoderLayer, offsets_in_boxes


@MODELS.register_module()
class VDETRHead(BoxSetHead):
    """The detector of V-DETR behind any backbone with ``fp_*`` outputs.

    The tokens that are likeliest inside an object propose a box each. Every
    decoder layer attends to the tokens with a bias from where they are
    relative to the last box of a query, and refines the proposal.

    Args:
        num_classes (int): Classes K.
        in_channels (int): Channels of the tokens.
        num_queries (int): Queries Q.
        bbox_coder (dict): Config of the box coder.
        loss_weights (Dict[str, float]): Of ``cls``, ``center``, ``size``,
            ``dir_class``, ``dir_res``, ``giou`` and ``point``. A ``giou`` of
            weight 0 is not computed.
        embed_dims (int): Channels C. Defaults to 256.
        decoder (Optional[dict]): ``num_layers``, 8 by default, and further
            arguments of :class:`VDETRDecoderLayer`.
        mlp_dropout (float): Of the box MLPs. Defaults to 0.3.
        query_content (str): What a query starts with: ``'learned'``, a
            vector of its rank, as released, or ``'tokens'``, the feature of
            its token, which takes fewer steps. Defaults to ``'learned'``.
        anchor_size (float): Size of a token's anchor along each axis, meters.
            Defaults to 1.
        train_cfg (Optional[dict]): As for :class:`BoxSetHead`.
        test_cfg (Optional[dict]): Likewise; the objectness of a box is the
            probability of its best class.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 num_classes: int,
                 in_channels: int,
                 num_queries: int,
                 bbox_coder: dict,
                 loss_weights: Dict[str, float],
                 embed_dims: int = 256,
                 decoder: Optional[dict] = None,
                 mlp_dropout: float = 0.3,
                 query_content: str = 'learned',
                 anchor_size: float = 1.,
                 train_cfg: Optional[dict] = None,
                 test_cfg: Optional[dict] = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(bbox_coder, loss_weights, train_cfg, test_cfg,
                         init_cfg)
        if query_content not in ('learned', 'tokens'):
            raise UserError(f'query_content {query_content!r} is unknown; use '
                            "'learned' or 'tokens'")
        self.num_queries = num_queries
        self.anchor_size = anchor_size
        settings = dict(decoder or {})
        num_layers = settings.pop('num_layers', 8)
        self.memory_projection = PointwiseMLP([in_channels, embed_dims],
                                              activate_output=True)
        self.point_mlp = PointwiseMLP([embed_dims, embed_dims, 1])
        self.query_content = nn.Embedding(
            num_queries, embed_dims) if query_content == 'learned' else None
        self.query_projection = nn.Sequential(
            nn.Linear(6, embed_dims), nn.ReLU(inplace=True),
            nn.Linear(embed_dims, embed_dims))
        self.layers = nn.ModuleList(
            VDETRDecoderLayer(embed_dims, **settings)
            for _ in range(num_layers))
        self.norm = nn.LayerNorm(embed_dims)
        # The proposals tell objects from background alone.
        self.box_mlps = nn.ModuleList(
            self._make_mlps(embed_dims, classes, mlp_dropout)
            for classes in [1] + [num_classes] * num_layers)

    def _make_mlps(self, embed_dims: int, num_classes: int,
                   dropout: float) -> nn.ModuleDict:
        """The box MLPs of a stage."""
        bins = self.bbox_coder.num_dir_bins
        outputs = dict(
            cls_logits=num_classes,
            center=3,
            size=3,
            dir_class=bins,
            dir_res=bins)
        return nn.ModuleDict({
            name:
            PointwiseMLP([embed_dims, embed_dims, embed_dims, channels],
                         dropout)
            for name, channels in outputs.items()
        })

    def init_weights(self) -> None:
        """Xavier for every matrix of the decoder, rare objects for logits."""
        super().init_weights()
        for parameter in self.layers.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        if self.query_content is not None:
            nn.init.xavier_uniform_(self.query_content.weight)
        for mlp in (self.point_mlp, *(stage.get_submodule('cls_logits')
                                      for stage in self.box_mlps)):
            last = cast(nn.Linear, list(mlp.children())[-1])
            nn.init.constant_(last.bias, -math.log(99))

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
                other stages. Defaults to False.

        Returns:
            Dict[str, Tensor]: ``cls_logits`` (S, B, Q, K), where every class
            of a proposal has the logit of "an object"; what the box coder
            decodes; ``point_logits`` (B, G) of tokens in objects and
            ``point_xyz`` (B, G, 3), meters.

        Raises:
            ValueError: When there are fewer tokens than queries.
        """
        xyz, features = feat_dict['fp_xyz'][-1], feat_dict['fp_features'][-1]
        memory = self.memory_projection(features.transpose(1, 2))
        point_logits = self.point_mlp(memory)[..., 0]
        places, x = self._choose_tokens(xyz, memory, point_logits)
        tokens = torch.cat((places, torch.full_like(places, self.anchor_size)),
                           dim=-1)
        stages = [self._read_boxes(self.box_mlps[0], x, tokens)]
        anchors = stages[0]['boxes'][..., :6].detach()
        scene = scene_range(points)
        if self.query_content is not None:
            x = self.query_content.weight.expand(len(xyz), -1, -1)
        for layer, mlps in zip(self.layers, self.box_mlps[1:]):
            boxes = stages[-1]['boxes'].detach()
            bias = layer.get_submodule('position_bias')(boxes, xyz)
            x = layer(x, memory, self._embed_boxes(boxes, *scene),
                      memory.new_zeros(1), bias)
            stages.append(self._read_boxes(mlps, self.norm(x), anchors))
        shape = stages[-1]['cls_logits'].shape
        stages[0]['cls_logits'] = stages[0]['cls_logits'].expand(shape)
        kept = stages[-1:] if last_layer_only else stages
        predictions = {
            name: torch.stack([stage[name] for stage in kept])
            for name in stages[0]
        }
        return dict(predictions, point_logits=point_logits, point_xyz=xyz)

    def _choose_tokens(self, xyz: Tensor, memory: Tensor,
                       point_logits: Tensor) -> Tuple[Tensor, Tensor]:
        """Positions (B, Q, 3) and features (B, Q, C) of the likeliest."""
        num_tokens = xyz.shape[1]
        if num_tokens < self.num_queries:
            raise UserError(
                f'{num_tokens} tokens cannot give {self.num_queries} queries: '
                'lower model.bbox_head.num_queries or raise num_tokens of the '
                "backbone's tokenizer")
        chosen = point_logits.topk(self.num_queries, dim=1).indices[..., None]
        features = memory.gather(1, chosen.expand(-1, -1, memory.shape[-1]))
        return xyz.gather(1, chosen.expand(-1, -1, 3)), features

    def _read_boxes(self, mlps: nn.Module, features: Tensor,
                    anchors: Tensor) -> Dict[str, Tensor]:
        """Logits and boxes of features (B, Q, C), refined from anchors."""
        raw = {name: mlp(features) for name, mlp in mlps.named_children()}
        return self.bbox_coder.refine(raw, anchors)

    def _embed_boxes(self, boxes: Tensor, scene_min: Tensor,
                     scene_max: Tensor) -> Tensor:
        """Positions (B, Q, C) of boxes, from fractions of the scene."""
        center = normalize_positions(boxes[..., :3], scene_min, scene_max)
        size = boxes[..., 3:6] / scene_size(scene_min, scene_max)[:, None]
        return self.query_projection(torch.cat((center, size), dim=-1))

    def loss_by_feat(self, predictions: Dict[str, Tensor],
                     targets: List[Dict[str, Tensor]]) -> Dict[str, Tensor]:
        """Assign and compare.

        Args:
            predictions (Dict[str, Tensor]): What :meth:`forward` returns.
            targets (List[Dict[str, Tensor]]): Of every scene, what the box
                coder encodes, and ``labels``.

        Returns:
            Dict[str, Tensor]: ``loss_*`` of the last layer, ``aux.loss_*``,
            the sums of the other stages, and ``loss_point``.
        """
        predictions = dict(predictions)
        logits = predictions.pop('point_logits')
        xyz = predictions.pop('point_xyz')
        in_object = torch.stack([
            in_any_box(scene, target['boxes'])
            for scene, target in zip(xyz, targets)
        ]).float()
        focal = sigmoid_focal_loss(logits.float(), in_object)
        losses = super().loss_by_feat(predictions, targets)
        losses['loss_point'] = (
            self.loss_weights['point'] * focal.sum() /
            in_object.sum().clamp(min=1))
        return losses

    def classification_loss(self, logits: Tensor, labels: Tensor,
                            pairs: set_losses.MatchedPairs,
                            num_pairs: Tensor) -> Tensor:
        """Focal loss of all queries and classes, for each matched box.

        Args:
            logits (Tensor): (S, B, Q, K).
            labels (Tensor): Classes of the true boxes of all scenes.
            pairs (set_losses.MatchedPairs): The assignment.
            num_pairs (Tensor): (S,) true boxes of a stage.

        Returns:
            Tensor: (S,); that of the proposals is of objects alone.
        """
        truth = torch.zeros_like(logits, dtype=torch.float)
        truth[pairs.layers, pairs.scenes, pairs.queries,
              labels[pairs.boxes]] = 1
        losses = sigmoid_focal_loss(logits.float(), truth).sum(dim=(1, 2, 3))
        objects = sigmoid_focal_loss(logits[:1, ..., 0].float(),
                                     truth[:1].amax(dim=-1))
        return torch.cat((objects.sum()[None], losses[1:])) / num_pairs

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
            Dict[str, Tensor]: (P,) each: as for 3DETR, but ``center`` as
            fractions of the anchor and ``size`` of logarithms.
        """
        losses = super().box_losses(predictions, targets, pairs)
        distance = pairs.pick(
            predictions['center']) - targets['center'][pairs.boxes]
        scaled = distance / pairs.pick(predictions['anchor_size'])
        return dict(losses, center=scaled.abs().sum(dim=-1))

    def scores(self, logits: Tensor) -> Tensor:
        """Probabilities of classes, each on its own.

        Args:
            logits (Tensor): (B, Q, K).

        Returns:
            Tensor: (B, Q, K + 1), the last that of the best class missing.
        """
        found = logits.sigmoid()
        return torch.cat((found, 1 - found.amax(dim=-1, keepdim=True)), dim=-1)

    def _report(self, instances: BaseInstance3DBoxes, objectness: Tensor,
                class_scores: Tensor) -> InstanceData:
        """A box of a class has that class's probability alone."""
        if self.test_cfg['per_class_proposal']:
            objectness = torch.ones_like(objectness)
        return super()._report(instances, objectness, class_scores)


def in_any_box(xyz: Tensor, boxes: Tensor) -> Tensor:
    """Find the points in boxes.

    Args:
        xyz (Tensor): (G, 3) meters.
        boxes (Tensor): (n, 7) geometric center, size and yaw.

    Returns:
        Tensor: (G,) bool.
    """
    offsets = offsets_in_boxes(boxes[None], xyz[None])[0]
    is_inside = (offsets.abs() <= boxes[:, None, 3:6] / 2).all(dim=-1)
    return is_inside.any(dim=0)
