"""Tokenizer, embedding and encoder as a backbone of mmdet3d's heads."""
from dataclasses import replace
from typing import Any, Dict, List, Optional, Sequence, Tuple

import torch
from mmdet3d.registry import MODELS
from torch import Tensor, nn

from sam3d_plugin.ops.scene_origin import check_center, find_origins
from sam3d_plugin.store.loading import LoadReport, load_pretrained
from sam3d_plugin.structures import PointTokens
from ...store.errors import UserError
from ...store.trained_settings import trained_settings
from ..hidden_settings import hidden_differences
from ..tokenizers import log_other_tokens
from .pretrained_folder import PretrainedFolder
from .token_encoder import TokenEncoder


@MODELS.register_module()
class PointTokenBackbone(TokenEncoder, PretrainedFolder):
    """A plain transformer on point tokens, for any mmdet3d indoor head.

    The network sees xyz alone. A tokenizer that needs regions reads their
    ids from a column of the points; ``LoadRegionIds`` puts it behind the
    loaded ones, 3 for xyz alone. ``fp_xyz`` of a token is the member point
    nearest to its center, because heads look up that point's targets through
    ``fp_indices``.

    Args:
        tokenizer (dict): Config of a tokenizer without padding.
        embedding (dict): Config of the token embedding.
        encoder (dict): Config of the token encoder. An ``ExternalEncoder``
            reads points: the embedding is left out, a token has the feature
            of its anchor point, and segmentation heads get those of all
            points in the place of every depth.
        out_channels (Optional[int]): Channels that the head expects: 256 for
            VoteNet, 288 for GroupFree3D. None leaves out the projection, for
            heads that read ``token_features``.
        region_column (int): Point column of the region ids. Defaults to 3.
        center (str): Origin that positions of tokens are counted from:
            ``'floor'`` or ``'mean'`` of the scene, as ``LoadRGBDPoints`` gives
            it to frames in pre-training, wherever the data set has its own;
            what heads get stays in the frame of the points. Defaults to
            ``'none'``, the data set's own.
        feature_depths (Sequence[int]): After which blocks of the encoder,
            counted from 1, a segmentation head gets token features. Defaults
            to (), which gives none.
        frozen (bool): Whether embedding and encoder stay as they are
            initialized: without gradient, and in evaluation mode. Defaults
            to False.
        init_cfg (Optional[dict]): ``dict(type='Pretrained', checkpoint=FILE,
            prefix=..., allow_missing=[...])`` loads embedding and encoder
            strictly; see :func:`sam3d_plugin.store.load_pretrained`. The
            file says which tokenizer it was trained with; one of another
            type is refused unless ``any_tokenizer=True`` stands beside
            ``checkpoint``, other tokens are logged. The output
            projection belongs to the head's task and is never loaded.
    """

    def __init__(self,
                 tokenizer: dict,
                 embedding: dict,
                 encoder: dict,
                 out_channels: Optional[int],
                 region_column: int = 3,
                 center: str = 'none',
                 feature_depths: Sequence[int] = (),
                 frozen: bool = False,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(tokenizer, embedding, encoder, region_column,
                         init_cfg)
        check_center(center)
        # What weights are compared with, beside their shapes.
        self.settings = dict(embedding=embedding, encoder=encoder)
        self.center = center
        self.feature_depths = tuple(feature_depths)
        self._check_depths()
        self.frozen = frozen
        for module in self._pretrained_parts():
            module.requires_grad_(not frozen)
        self.out_proj = nn.Identity() if out_channels is None else nn.Linear(
            self.encoder.embed_dims, out_channels)
        self.load_report: Optional[LoadReport] = None

    def _check_depths(self) -> None:
        """Refuse depths that the encoder does not have."""
        if not self.feature_depths or self.reads_points:
            return
        depth = len(self.encoder.blocks)
        if not all(1 <= d <= depth for d in self.feature_depths):
            raise UserError(f'feature_depths {self.feature_depths} are not '
                            f'blocks of an encoder of depth {depth}: count '
                            'from 1')

    def _pretrained_parts(self) -> List[nn.Module]:
        """Return the modules that are loaded, and kept when frozen."""
        if self.reads_points:
            return [self.encoder.network]
        return [self.embedding, self.encoder]

    def train(self, mode: bool = True) -> 'PointTokenBackbone':
        """Set training mode; a frozen encoder stays in evaluation mode.

        Args:
            mode (bool): Whether to train. Defaults to True.

        Returns:
            PointTokenBackbone: Itself.
        """
        super().train(mode)
        if self.frozen:
            for module in self._pretrained_parts():
                module.eval()
        return self

    def init_weights(self) -> None:
        """Initialize, then load the pre-trained encoder where one is named.

        Raises:
            ValueError: When the checkpoint lacks a tensor of the encoder, has
                one of another shape that ``allow_missing`` does not name, or
                was trained with another tokenizer.
        """
        pretrained = self.init_cfg
        if pretrained is None:
            super().init_weights()
            return
        if self.reads_points:
            raise UserError('init_cfg is for encoders of our pre-trainings: '
                            'name the file as checkpoint of the '
                            f'{type(self.encoder).__name__}')
        self.init_cfg = None
        super().init_weights()
        self.init_cfg = pretrained
        self.load_encoder(pretrained)

    def load_encoder(self, pretrained: Dict[str, Any]) -> None:
        """Load embedding and encoder strictly.

        Args:
            pretrained (Dict[str, Any]): See ``init_cfg``.

        Raises:
            ValueError: See :meth:`init_weights`.
        """
        options = dict(pretrained)
        any_tokenizer = options.pop('any_tokenizer', False)
        report = load_pretrained(
            nn.ModuleDict(
                dict(embedding=self.embedding, encoder=self.encoder)), options)
        self.load_report = report
        trained = trained_settings(report.meta)
        # Tensors that would compute something else here.
        found = sorted(hidden_differences(trained, self.settings))
        if found:
            raise UserError(
                f'{report.source} was pre-trained with {", ".join(found)}: '
                'set model.backbone as trained')
        self._check_tokenizer(
            trained.get('tokenizer') or {}, report.source, any_tokenizer)

    def _check_tokenizer(self, trained: Dict[str, Any], source: str,
                         any_tokenizer: bool) -> None:
        """Refuse an encoder of another tokenizer; log other tokens."""
        kind = str(trained.get('type', '')).split('.')[-1]
        own = type(self.tokenizer).__name__
        if kind and kind != own and not any_tokenizer:
            raise UserError(
                f'{source} was pre-trained with {kind}, and this '
                f'backbone has {own}: take the same tokenizer, or set '
                'any_tokenizer=True in init_cfg')
        log_other_tokens(source, trained, self.tokenizer.summary())

    def summary(self) -> str:
        """Return the settings in use, in one line for the log."""
        regions = f'point column {self.region_column}' \
            if self.tokenizer.uses_regions else 'none'
        encoder = 'no pretrained weights'
        if self.reads_points:
            encoder = self.encoder.summary()
        if self.load_report is not None:
            encoder = (f'pretrained {self.load_report.source}, '
                       f'{self.load_report.summary()}')
        if self.frozen:
            encoder += ', frozen'
        return (f'{super().summary()} · encoder: {encoder} · '
                f'regions: {regions}')

    def forward(self, points: Tensor) -> Dict[str, Any]:
        """Encode a batch of scenes.

        Args:
            points (Tensor): (B, N, 3 + D) xyz in meters, then any columns,
                one of them region ids if the tokenizer needs them.

        Returns:
            Dict[str, Any]: Lists ``fp_xyz`` (B, G, 3), ``fp_features`` (B,
            out_channels, G), ``fp_indices`` (B, G) int64, and the same under
            ``sa_*`` after the points themselves. With ``feature_depths`` also
            ``token_features``, a list with (B, G, C) for each depth,
            ``token_centers`` (B, G, 3), and ``point_tokens`` (B, N) int64,
            None where points are not in exactly one token.

        Raises:
            ValueError: When points are not finite, hold no region ids where
                those are needed, or the tokenizer pads.
        """
        xyz, tokens = self.tokenize(points)
        if tokens.padding_on_cpu.any():
            raise UserError('detection and segmentation heads take the same '
                            'number of tokens from every scene: set '
                            'split=True, num_tokens=N in the tokenizer')
        indices = tokens.anchor_indices
        every_point = torch.arange(xyz.shape[1], device=xyz.device)
        centers, point_tokens = tokens.centers, tokens.point_tokens
        if self.reads_points:
            dense = self.point_features(points)
            encoded = _take(dense, indices)
            token_features = [dense] * len(self.feature_depths)
            centers, point_tokens = xyz, every_point.expand(len(xyz), -1)
        else:
            *token_features, encoded = self._encode(xyz, tokens)
        features = self.out_proj(encoded).transpose(1, 2).contiguous()
        anchors = _take(xyz, indices)
        outputs: Dict[str, Any] = dict(
            fp_xyz=[anchors],
            fp_features=[features],
            fp_indices=[indices],
            sa_xyz=[xyz, anchors],
            sa_features=[None, features],
            sa_indices=[every_point.expand(len(xyz), -1), indices])
        if self.feature_depths:
            outputs.update(
                token_features=token_features,
                token_centers=centers,
                point_tokens=point_tokens)
        return outputs

    def encode(self,
               points: Tensor,
               data_samples: Any = None) -> Tuple[PointTokens, Tensor]:
        """Encode all tokens.

        Args:
            points (Tensor): (B, N, 3 + D), see :meth:`tokenize`.
            data_samples (Any): Unused.

        Returns:
            Tuple[PointTokens, Tensor]: The tokens and their features
            (B, G, C), undefined for padding.
        """
        if not self.reads_points:
            return super().encode(points, data_samples)
        tokens = self.tokenize(points)[1]
        return tokens, _take(
            self.point_features(points), tokens.anchor_indices)

    def point_features(self, points: Tensor) -> Tensor:
        """Features of the points: the encoder's own, or interpolated ones.

        Args:
            points (Tensor): (B, N, 3 + D), see :meth:`tokenize`.

        Returns:
            Tensor: (B, N, C).
        """
        if not self.reads_points:
            return super().point_features(points)
        with self._grad_unless_frozen():
            features = self.encoder.point_features(points)
        return self.encoder.project(features)

    def _grad_unless_frozen(self) -> torch.set_grad_enabled:
        """Return a context in which frozen parts record no gradient."""
        return torch.set_grad_enabled(torch.is_grad_enabled()
                                      and not self.frozen)

    def encode_tokens(self, xyz: Tensor, tokens: PointTokens) -> Tensor:
        """Embed and encode tokens (B, G, C) of points (B, N, 3)."""
        return self._encode(xyz, tokens)[-1]

    def _encode(self, xyz: Tensor, tokens: PointTokens) -> List[Tensor]:
        """Return (B, G, C) of each feature depth, then of all blocks."""
        origin = find_origins(xyz, self.center)[:, None]
        tokens = replace(tokens, centers=tokens.centers - origin)
        xyz = xyz - origin
        with self._grad_unless_frozen():
            if not self.feature_depths:
                return [super().encode_tokens(xyz, tokens)]
            embedded = self.embedding(xyz, tokens)
            depths = (*self.feature_depths, len(self.encoder.blocks))
            return self.encoder.encode_depths(embedded, tokens.centers, depths)


def _take(values: Tensor, indices: Tensor) -> Tensor:
    """(B, G, C) rows of (B, N, C) values at (B, G) indices."""
    return values.gather(1, indices[..., None].expand(-1, -1, values.shape[2]))
