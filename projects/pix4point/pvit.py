"""PViT: the blocks of an image transformer on points.

Qian et al., Pix4Point: Image Pretrained Standard Transformers for 3D Point
Cloud Understanding, 3DV 2024, section 3.

Shapes: B scenes, N points, G centers, K neighbors, C channels.
"""
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import torch
from mmdet3d.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from sam3d_plugin.models.backbones.image_weights import load_image_weights
from sam3d_plugin.ops import furthest_point_sample, knn
from sam3d_plugin.ops.propagation import gather_tokens, interpolate_tokens
from sam3d_plugin.ops.scene_origin import find_origins
from sam3d_plugin.store.errors import UserError


class PointLevel(NamedTuple):
    """Points of a scene with features."""

    xyz: Tensor  # (B, G, 3) meters
    features: Optional[Tensor]  # (B, G, C)
    indices: Tensor  # (B, G) int64 among the points of the scene


class NeighborEmbed(nn.Module):
    """Features of furthest point samples from their neighbors.

    A neighbor is seen by its position and its features, both relative to the
    center's; two layers with norms, then the maximum.

    Args:
        in_channels (int): Channels of the features, 0 for none.
        out_channels (int): C.
        ratio (int): Points for each center.
        num_neighbors (int): K, all points where there are fewer.
    """

    def __init__(self, in_channels: int, out_channels: int, ratio: int,
                 num_neighbors: int) -> None:
        super().__init__()
        self.ratio = ratio
        self.num_neighbors = num_neighbors
        self.layers = nn.Sequential(
            nn.Linear(3 + in_channels, out_channels),
            nn.LayerNorm(out_channels), nn.ReLU(inplace=True),
            nn.Linear(out_channels, out_channels), nn.LayerNorm(out_channels))

    def forward(self, level: PointLevel) -> PointLevel:
        """Embed the neighborhoods of ceil(N / ratio) of the points."""
        num_points = level.xyz.shape[1]
        anchors = furthest_point_sample(level.xyz,
                                        -(-num_points // self.ratio)).long()
        centers = gather_tokens(level.xyz, anchors)
        members = knn(min(self.num_neighbors, num_points), level.xyz,
                      centers).long()
        relative = [self._relative(level.xyz, centers, members)]
        if level.features is not None:
            own = gather_tokens(level.features, anchors)
            relative.append(self._relative(level.features, own, members))
        features = self.layers(torch.cat(relative, dim=-1)).amax(1)
        return PointLevel(centers, features, level.indices.gather(1, anchors))

    @staticmethod
    def _relative(values: Tensor, own: Tensor, members: Tensor) -> Tensor:
        """Values (B, K, G, C) of members, minus those of their center."""
        found = gather_tokens(values, members.flatten(1))
        return found.unflatten(1, members.shape[1:]) - own[:, None]


@MODELS.register_module()
class ProgressivePatchEmbed(BaseModule):
    """Tokens of points in several steps, each of which keeps a share of them.

    Args:
        channels (Sequence[int]): Channels after each step. Defaults to
            (192, 384).
        ratio (int): Points for each that a step keeps. Defaults to 4.
        num_neighbors (int): Neighbors K of a step. Defaults to 32.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 channels: Sequence[int] = (192, 384),
                 ratio: int = 4,
                 num_neighbors: int = 32,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.embed_dims = channels[-1]
        self.steps = nn.ModuleList(
            NeighborEmbed(inputs, outputs, ratio, num_neighbors)
            for inputs, outputs in zip((0, *channels), channels))

    def forward(self, xyz: Tensor) -> List[PointLevel]:
        """Levels of points (B, N, 3): all of them, then each step's."""
        every_point = torch.arange(xyz.shape[1], device=xyz.device)
        levels = [PointLevel(xyz, None, every_point.expand(len(xyz), -1))]
        for step in self.steps:
            levels.append(step(levels[-1]))
        return levels


@MODELS.register_module()
class PViTBackbone(BaseModule):
    """Blocks of an image transformer on tokens of points.

    Pix4Point starts from the weights of a transformer that was trained on
    images: class token, blocks and last norm. Blocks get the position of the
    tokens, counted from the middle of the scene's floor, each anew. For
    mmdet3d's indoor heads and its ``PointNet2Head``.

    Args:
        embedding (dict): Config of a :class:`ProgressivePatchEmbed`.
        transformer (dict): Config of a ``PlainVisionTransformer``.
        checkpoint (Optional[str]): Its weights, which
            ``tools/preparation/export_vit.py`` wrote. None leaves them
            random, and the log says so. Defaults to None.
        out_channels (Optional[int]): Channels that the head expects of a
            token; None for those of the transformer. Defaults to None.
        position_dims (int): Hidden width of the position MLP. Defaults to
            128.
        init_cfg (Optional[dict]): Initialization config. ``Pretrained`` gives
            all weights, without ``checkpoint``.

    Raises:
        UserError: When the channels differ, or both of them give weights.
    """

    def __init__(self,
                 embedding: dict,
                 transformer: dict,
                 checkpoint: Optional[str] = None,
                 out_channels: Optional[int] = None,
                 position_dims: int = 128,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        rules = init_cfg if isinstance(init_cfg, list) else [init_cfg or {}]
        self.is_loaded = any(r.get('type') == 'Pretrained' for r in rules)
        if self.is_loaded and checkpoint is not None:
            raise UserError(
                'checkpoint and init_cfg both give weights of blocks: leave '
                'out model.backbone.checkpoint or model.backbone.init_cfg')
        self.embedding = MODELS.build(embedding)
        self.image = MODELS.build(transformer)
        # What only images pass
        del self.image.patch_embed, self.image.pos_embed
        self.checkpoint = checkpoint
        width = self.image.embed_dims
        if self.embedding.embed_dims != width:
            raise UserError(
                f'embedding gives {self.embedding.embed_dims} channels, '
                f'transformer has embed_dims {width}: end channels with it')
        self.position_embedding = nn.Sequential(
            nn.Linear(3, position_dims), nn.GELU(),
            nn.Linear(position_dims, width))
        self.out_proj = nn.Identity() if out_channels is None else nn.Linear(
            width, out_channels)

    def init_weights(self) -> None:
        """Initialize; class token, blocks and norm from their file.

        Raises:
            CheckpointError: If the file is of another transformer.
        """
        super().init_weights()
        if not self.is_loaded:
            load_image_weights(self.image, self.image.sizes, self.checkpoint,
                               'model.backbone.checkpoint')

    def forward(self, points: Tensor) -> Dict[str, Any]:
        """Encode a batch of scenes.

        Args:
            points (Tensor): (B, N, 3 + D) xyz in meters, then any columns.

        Returns:
            Dict[str, Any]: Lists ``sa_xyz`` (B, G, 3), ``sa_features``
            (B, C, G), None for the points themselves, and ``sa_indices``
            (B, G) int64 of each level, and ``fp_*``, those of the tokens.
        """
        *levels, last = self.embedding(points[..., :3].contiguous())
        tokens = self.out_proj(self.encode(last, levels[0].xyz))
        levels.append(last._replace(features=tokens))
        outputs: Dict[str, Any] = dict(
            sa_xyz=[level.xyz for level in levels],
            sa_features=[_channels_first(level.features) for level in levels],
            sa_indices=[level.indices for level in levels])
        for name in ('xyz', 'features', 'indices'):
            outputs[f'fp_{name}'] = outputs[f'sa_{name}'][-1:]
        return outputs

    def encode(self, tokens: PointLevel, xyz: Tensor) -> Tensor:
        """Run the blocks on the tokens of points xyz (B, N, 3): (B, G, C)."""
        origin = find_origins(xyz, 'floor')[:, None]
        position = self.position_embedding(tokens.xyz - origin)
        class_token = self.image.cls_token.expand(len(xyz), -1, -1)
        x = torch.cat((class_token, tokens.features), dim=1)
        position = torch.cat((torch.zeros_like(position[:, :1]), position), 1)
        for block in self.image.blocks:
            x = block(x + position)
        return self.image.norm(x)[:, 1:]

    def point_features(self, points: Tensor) -> Tensor:
        """Features of the points, interpolated from the nearest tokens.

        Args:
            points (Tensor): (B, N, 3 + D), see :meth:`forward`.

        Returns:
            Tensor: (B, N, C).
        """
        outputs = self(points)
        return interpolate_tokens(points[..., :3], outputs['fp_xyz'][-1],
                                  outputs['fp_features'][-1].transpose(1, 2))


def _channels_first(features: Optional[Tensor]) -> Optional[Tensor]:
    """(B, C, G) of features (B, G, C)."""
    return None if features is None else features.transpose(1, 2).contiguous()
