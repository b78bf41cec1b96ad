"""Queries, decoder and box MLPs of 3DETR.

Axes: L decoder layers, B scenes, N points, G tokens, Q queries, C channels,
K classes.
"""
from typing import Dict, List, Optional, Tuple

import torch
from mmdet3d.registry import MODELS
from torch import Tensor, nn

from sam3d_plugin.ops import furthest_point_sample
from ...store.errors import UserError
from . import three_detr_losses as set_losses
from .box_set_head import BoxSetHead, scene_range
from .three_detr_layers import (FourierPositionEmbedding, PointwiseMLP,
                                ThreeDETRDecoder)


@MODELS.register_module()
class ThreeDETRHead(BoxSetHead):
    """The detector of 3DETR behind any backbone with ``fp_*`` outputs.

    Args:
        num_classes (int): Classes K.
        in_channels (int): Channels of the tokens.
        queries (str): ``'fps'``: furthest point samples of the tokens, whose
            contents start at zero, as published. ``'tokens'``: every token is
            a query and brings its feature (SAM-guided masked token
            prediction; the feature *ours*).
        bbox_coder (dict): Config of the box coder.
        loss_weights (Dict[str, float]): As for :class:`BoxSetHead`.
        no_object_weight (float): Weight of unmatched queries in ``cls``.
        num_queries (Optional[int]): Queries Q of ``'fps'``; none otherwise.
        decoder (Optional[dict]): Arguments of :class:`ThreeDETRDecoder`.
        projection_layers (int): Layers between backbone and decoder: 3 for
            3DETR, 2 for 3DETR-m. Defaults to 3.
        mlp_dropout (float): Of the box MLPs. Defaults to 0.3.
        train_cfg (Optional[dict]): As for :class:`BoxSetHead`.
        test_cfg (Optional[dict]): As for :class:`BoxSetHead`.
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
        super().__init__(bbox_coder, loss_weights, train_cfg, test_cfg,
                         init_cfg)
        if queries not in ('fps', 'tokens') or (num_queries
                                                is None) != (queries
                                                             == 'tokens'):
            raise UserError("queries='fps' needs num_queries=Q, "
                            "queries='tokens' takes every token and needs "
                            f'num_queries=None; got {queries!r} and '
                            f'{num_queries}')
        self.num_queries = num_queries
        self.no_object_weight = no_object_weight
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

    def classification_loss(self, logits: Tensor, labels: Tensor,
                            pairs: set_losses.MatchedPairs,
                            num_pairs: Tensor) -> Tensor:
        """Cross-entropy of all queries, a weighted mean over them.

        Args:
            logits (Tensor): (L, B, Q, K + 1), the last for "no object".
            labels (Tensor): Classes of the true boxes of all scenes.
            pairs (set_losses.MatchedPairs): The assignment.
            num_pairs (Tensor): Unused.

        Returns:
            Tensor: (L,).
        """
        return set_losses.classification_loss(logits, labels, pairs,
                                              self.no_object_weight)

    def scores(self, logits: Tensor) -> Tensor:
        """Probabilities of classes.

        Args:
            logits (Tensor): (B, Q, K + 1).

        Returns:
            Tensor: The same shape.
        """
        return logits.softmax(dim=-1)
