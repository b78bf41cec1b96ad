"""Point-BERT: the codes of masked tokens (Yu et al., CVPR 2022).

Shapes: B scenes, G tokens, C channels, D channels of a scene, V codes.
"""
from typing import Any, Dict, List, NamedTuple, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from mmdet3d.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from sam3d_plugin.models.heads import frame_mean
from sam3d_plugin.models.heads.defaults import LINEAR_INIT
from sam3d_plugin.models.losses import FeatureQueue, InfoNCELoss
from sam3d_plugin.models.pretrainers import (MomentumEncoder, Predictions,
                                             TokenPretrainer)
from sam3d_plugin.models.pretrainers.masking import (block_mask,
                                                     frame_generators)
from sam3d_plugin.models.target_generators import FrozenTargets
from sam3d_plugin.ops.transfer import to_device
from sam3d_plugin.structures import PointTokens
from .mixture import Mixture, draw_mixture


@MODELS.register_module()
class CodeTargets(FrozenTargets):
    """The best code of every token, of a frozen ``DiscreteVAE``.

    See :class:`FrozenTargets`; ``modules`` are its ``embedding`` and
    ``encoder``.
    """

    @torch.no_grad()
    def forward(self, points: Tensor, tokens: PointTokens,
                data_samples: Any) -> Tensor:
        """Codes (B, G) int64 of the tokens."""
        teacher = self.teacher.to(points.device)
        embedded = teacher['embedding'](points, tokens)
        return teacher['encoder'](embedded, tokens.centers, tokens.is_padding,
                                  tokens.num_tokens).argmax(-1)


class CodeHead(BaseModule):
    """Codes of masked tokens by one linear layer (section 3.3)."""

    def __init__(self, in_channels: int, num_codes: int) -> None:
        super().__init__(LINEAR_INIT)
        self.proj = nn.Linear(in_channels, num_codes)

    def forward(self, encoded: Tensor) -> Tensor:
        """Logits (..., V) of encoded tokens (..., C)."""
        return self.proj(encoded)

    def loss(self, encoded: Tensor, codes: Tensor,
             is_masked: Tensor) -> Tensor:
        """Cross entropy (), over the masked of (B, G) tokens."""
        logits = self(encoded[is_masked]).float()
        values = F.cross_entropy(logits, codes[is_masked], reduction='none')
        losses = values.new_zeros(is_masked.shape)
        return frame_mean(losses.masked_scatter(is_masked, values), is_masked)


class SceneToken(BaseModule):
    """A learnt token beside those of a scene, which gathers all of it."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(LINEAR_INIT)
        self.token = nn.Parameter(torch.empty(in_channels))
        nn.init.trunc_normal_(self.token, std=.02)
        self.project = nn.Sequential(
            nn.Linear(in_channels, out_channels), nn.GELU(),
            nn.Linear(out_channels, out_channels))

    def encode(self, encoder: nn.Module, embedded: Tensor,
               centers: Tensor) -> Tuple[Tensor, Tensor]:
        """Encode tokens (B, G, C) and, at the origin, this one to (B, D)."""
        token = self.token.to(embedded.dtype).expand(len(embedded), 1, -1)
        encoded = encoder(
            torch.cat((token, embedded), dim=1), F.pad(centers, (0, 0, 1, 0)))
        return encoded[:, 1:], self.project(encoded[:, 0])


class EncodedScenes(NamedTuple):
    """A pass of the encoder over tokens of which some are masked."""

    tokens: Tensor  # (B, G, C) encoder features
    scene: Tensor  # (B, D) scene features
    is_masked: Tensor  # (B, G) bool


class BERTOutputs(NamedTuple):
    """What Point-BERT computes of a batch."""

    plain: EncodedScenes
    mixed: EncodedScenes
    mixture: Mixture
    keys: Tensor  # (B, D) scene features of the momentum encoder, length 1


@MODELS.register_module()
class PointBERT(TokenPretrainer):
    """Predict codes of masked tokens, of scenes and of mixed scenes.

    L = CE + CE of mixed scenes + contrast of mixed scenes with the momentum
    encoder's (sections 3.3 and 3.4). The token embedding starts as that of
    the autoencoder.

    Args:
        backbone (dict): Config of a ``TokenEncoder``.
        target_generator (dict): Config of :class:`CodeTargets`; its
            embedding is like the backbone's.
        mask_ratios (Tuple[float, float]): Range of the share of tokens that
            the masked block has. Defaults to (0.25, 0.45).
        scene_channels (int): Channels D of scene features. Defaults to 512.
        queue_size (int): Scene features of earlier steps. Defaults to 16384.
        momentum (float): Of the momentum encoder. Defaults to 0.999.
        temperature (float): Of the contrast. Defaults to 0.07.
        **kwargs (Any): See :class:`TokenPretrainer`, without decoder and
            head.
    """

    parts_of_teacher = 'embedding'

    def __init__(self,
                 *,
                 backbone: dict,
                 target_generator: dict,
                 mask_ratios: Tuple[float, float] = (0.25, 0.45),
                 scene_channels: int = 512,
                 queue_size: int = 16384,
                 momentum: float = .999,
                 temperature: float = .07,
                 **kwargs: Any) -> None:
        modules = dict(
            embedding=backbone['embedding'], **target_generator['modules'])
        super().__init__(
            backbone=backbone,
            decoder=None,
            head=None,
            target_generator=dict(target_generator, modules=modules),
            **kwargs)
        channels = self.backbone.encoder.embed_dims
        self.mask_ratios = mask_ratios
        self.mask_token = nn.Parameter(torch.empty(channels))
        nn.init.trunc_normal_(self.mask_token, std=.02)
        self.head = CodeHead(channels, modules['encoder']['out_channels'])
        self.scene = SceneToken(channels, scene_channels)
        self.key_encoder = MomentumEncoder(self._query_encoder(), momentum)
        self.queue = FeatureQueue(queue_size, scene_channels)
        self.contrast = InfoNCELoss(temperature)

    def _query_encoder(self) -> nn.ModuleDict:
        """What the momentum encoder follows."""
        return nn.ModuleDict(
            dict(
                embedding=self.backbone.embedding,
                encoder=self.backbone.encoder,
                scene=self.scene))

    def init_weights(self) -> None:
        """Initialize; the embedding as the autoencoder's."""
        super().init_weights()
        teacher = self.target_generator.teacher
        self.backbone.embedding.load_state_dict(
            teacher['embedding'].state_dict())
        self.key_encoder.restart(self._query_encoder())

    def predict(self, points: Tensor, tokens: PointTokens) -> BERTOutputs:
        """See :class:`TokenPretrainer`."""
        generators = frame_generators(self.seed,
                                      self.frame_numbers(len(points)))
        embedded = self.backbone.embedding(points, tokens)
        centers, places = tokens.centers, tokens.centers.cpu()
        plain = self._encode_masked(embedded, centers, places, generators)
        mixture = draw_mixture(embedded.shape[1], generators)
        places = mixture.mix(places)
        mixture = Mixture(*(to_device(part, points.device)
                            for part in mixture))
        mixed = self._encode_masked(
            mixture.mix(embedded), mixture.mix(centers), places, generators)
        return BERTOutputs(plain, mixed, mixture, self._keys(points, tokens))

    def _encode_masked(self, embedded: Tensor, centers: Tensor, places: Tensor,
                       generators: List[np.random.Generator]) -> EncodedScenes:
        """Put the mask token in place of a block of tokens, and encode.

        ``places`` are the centers on the CPU.
        """
        hidden = block_mask(places.numpy(), np.zeros(places.shape[:2], bool),
                            self.mask_ratios, generators)
        is_masked = to_device(hidden, embedded.device)
        embedded = torch.where(is_masked[..., None],
                               self.mask_token.to(embedded.dtype), embedded)
        encoded, scene = self.scene.encode(self.backbone.encoder, embedded,
                                           centers)
        return EncodedScenes(encoded, scene, is_masked)

    @torch.no_grad()
    def _keys(self, points: Tensor, tokens: PointTokens) -> Tensor:
        """Features (B, D) of unmasked scenes by the momentum encoder."""
        if self.training:
            self.key_encoder.update(self._query_encoder())
        parts: Any = self.key_encoder.module
        embedded = parts['embedding'](points, tokens)
        _, scene = parts['scene'].encode(parts['encoder'], embedded,
                                         tokens.centers)
        return F.normalize(scene.float(), dim=-1)

    def compute_losses(self, outputs: BERTOutputs, tokens: PointTokens,
                       targets: Tensor) -> Dict[str, Tensor]:
        """Compare codes, and scenes with those of this and earlier steps."""
        plain, mixed, mixture, keys = outputs
        loss_scene = self.contrast(
            mixed.scene[None],
            keys[None],
            labels=mixture.labels()[None],
            queue=self.queue())
        if self.training:
            self.queue.push(keys)
        return dict(
            loss_code=self.head.loss(plain.tokens, targets, plain.is_masked),
            loss_code_mixed=self.head.loss(mixed.tokens, mixture.mix(targets),
                                           mixed.is_masked),
            loss_scene=loss_scene)

    def token_predictions(self, outputs: BERTOutputs,
                          tokens: PointTokens) -> Predictions:
        """Logits of codes; the masked tokens' count."""
        return Predictions(
            self.head(outputs.plain.tokens), outputs.plain.is_masked)
