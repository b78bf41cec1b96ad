"""Tokens of a frozen stage-1 model as targets."""
from typing import Any, Dict, NamedTuple, Union

import torch
import torch.nn.functional as F
from mmdet3d.registry import MODELS
from torch import Tensor, nn

from sam3d_plugin.store.checkpoint import CheckpointError
from sam3d_plugin.structures import PointTokens
from ...store.errors import UserError
from ..backbones.token_packing import find_packing
from .frozen_targets import FrozenTargets

_MASK_TOKEN = 'decoder.mask_token'


class TeacherTargets(NamedTuple):
    """The teacher's features of all tokens."""

    encoded: Tensor  # (B, G, C) encoder tokens
    decoded: Tensor  # (B, G, C) decoder tokens after the last norm


def standardize_tokens(features: Tensor, is_counted: Tensor) -> Tensor:
    """Standardize each channel over the tokens of a frame.

    A short stage 1 leaves the teacher's tokens nearly alike, and a student
    learns their common part long before it learns where they differ.

    Args:
        features (Tensor): (B, G, C).
        is_counted (Tensor): (B, G) bool, False for padding.

    Returns:
        Tensor: (B, G, C) float32; each channel has mean 0 and variance 1 over
        the counted tokens of a frame, or is 0 where it does not vary; 0 for
        the others.
    """
    counted = is_counted[..., None]
    count = counted.sum(1, keepdim=True).clamp(min=1)
    features = features.float().masked_fill(~counted, 0)
    mean = features.sum(1, keepdim=True) / count
    offsets = (features - mean).masked_fill(~counted, 0)
    variance = offsets.square().sum(1, keepdim=True) / count
    return offsets * (variance + 1e-6).rsqrt()


@MODELS.register_module()
class TeacherTokenTargets(FrozenTargets):
    """Tokens of the frozen stage-1 model (paper, section 3.4).

    Args:
        checkpoint (str): Checkpoint of a ``RegionDistillPretrainer``.
        modules (Dict[str, dict]): Configs of its ``embedding``, ``encoder``
            and ``decoder``.
        normalize (Union[bool, str]): How decoder tokens become targets:
            False, as they are; True, with mean 0 and variance 1 over the
            channels of a token; ``'tokens'``, with mean 0 and variance 1 of
            each channel over the tokens of a frame; ``'training'``, the same
            over all tokens of the training so far. Defaults to False.
    """

    def __init__(self,
                 checkpoint: str,
                 modules: Dict[str, dict],
                 normalize: Union[bool, str] = False) -> None:
        super().__init__(checkpoint, modules)
        if normalize not in (True, False, 'tokens', 'training'):
            raise UserError(f'normalize {normalize!r} is unknown; choose '
                            "True, False, 'tokens' or 'training'")
        self.normalize = normalize
        if normalize == 'training':
            # momentum=None: equal weights for all steps
            channels = modules['decoder'].get('embed_dims', 256)
            self.statistics = nn.BatchNorm1d(
                channels, affine=False, momentum=None)

    def check_state(self, state: Dict[str, Tensor]) -> None:
        """See :class:`FrozenTargets`."""
        if _MASK_TOKEN in state:
            raise CheckpointError(
                f'teacher {self.checkpoint} holds {_MASK_TOKEN}, so it comes '
                'from training with masked tokens: name a checkpoint of stage '
                '1 (RegionDistillPretrainer) with --cfg-options teacher=FILE')

    @torch.no_grad()
    def forward(self, points: Tensor, tokens: PointTokens,
                data_samples: Any) -> TeacherTargets:
        """Run the teacher on all tokens.

        Args:
            points (Tensor): (B, N, 3) xyz, meters.
            tokens (PointTokens): Tokens of these points.
            data_samples (Any): Unused.

        Returns:
            TeacherTargets: Without gradient.
        """
        teacher = self.teacher.to(points.device)
        place = (tokens.centers, tokens.is_padding, tokens.num_tokens)
        encoded = teacher['encoder'](teacher['embedding'](points, tokens),
                                     *place)
        decoded = teacher['decoder'](encoded, *place)
        if self.normalize == 'tokens':
            decoded = standardize_tokens(decoded, ~tokens.is_padding)
        elif self.normalize == 'training':
            decoded = self._standardize(decoded.float(), tokens)
        elif self.normalize:
            decoded = F.layer_norm(decoded.float(), decoded.shape[-1:])
        return TeacherTargets(encoded, decoded)

    def _standardize(self, decoded: Tensor, tokens: PointTokens) -> Tensor:
        """Standardize channels by the statistics of the training."""
        packing = find_packing(tokens.is_padding, tokens.num_tokens)
        packed = decoded.flatten(
            0, 1) if packing is None else packing.pack(decoded)
        if self.training:
            self.statistics(packed)  # takes them in
        packed = F.batch_norm(packed, self.statistics.running_mean,
                              self.statistics.running_var)
        return packed.view_as(decoded) if packing is None else packing.pad(
            packed)
