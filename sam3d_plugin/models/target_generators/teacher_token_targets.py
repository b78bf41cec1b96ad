"""Tokens of a frozen stage-1 model as targets."""
from typing import Any, Dict, List, NamedTuple, Optional, Union

import torch
import torch.nn.functional as F
from mmdet3d.registry import MODELS
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn

from sam3d_plugin.ops.random_state import keep_random_state
from sam3d_plugin.store.checkpoint import (CheckpointError, LoadReport,
                                           extract_state_dict, load_encoder,
                                           read_checkpoint)
from sam3d_plugin.structures import PointTokens

_MASK_TOKEN = 'decoder.mask_token'


class TeacherTargets(NamedTuple):
    """What the teacher makes of all tokens.

    Attributes:
        encoded (Tensor): (B, G, C) encoder tokens.
        decoded (Tensor): (B, G, C) decoder tokens after the last norm.
    """

    encoded: Tensor
    decoded: Tensor


def standardize_tokens(features: Tensor, is_counted: Tensor) -> Tensor:
    """Take out of each frame what its tokens have in common.

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
class TeacherTokenTargets(BaseModule):
    """The frozen teacher of stage 2 (DESIGN section 2).

    The teacher is no submodule: ``train()`` does not reach it, optimizer and
    DistributedDataParallel do not see it, and no checkpoint of the student
    holds it. It is read from its file by ``init_weights``, that is before
    the first step, or when first used, and follows the points to their
    device.

    Args:
        checkpoint (str): Checkpoint of a ``RegionDistillPretrainer``.
        embedding (dict): Config of its embedding.
        encoder (dict): Config of its encoder.
        decoder (dict): Config of its decoder.
        normalize (Union[bool, str]): How decoder tokens become targets:
            False, as they are; True, with mean 0 and variance 1 over the
            channels of a token; ``'tokens'``, with mean 0 and variance 1 of
            each channel over the tokens of a frame. Defaults to False.
    """

    uses_regions = False

    def __init__(self,
                 checkpoint: str,
                 embedding: dict,
                 encoder: dict,
                 decoder: dict,
                 normalize: Union[bool, str] = False) -> None:
        super().__init__()
        if normalize not in (True, False, 'tokens'):
            raise ValueError(f'normalize {normalize!r} is unknown; choose '
                             "True, False or 'tokens'")
        self.checkpoint = checkpoint
        self.normalize = normalize
        self.load_report: Optional[LoadReport] = None
        self._configs = dict(
            embedding=embedding, encoder=encoder, decoder=decoder)
        # A list hides the module from torch.
        self._loaded: List[nn.ModuleDict] = []

    def init_weights(self) -> None:
        """Read the teacher, so that a bad file stops the run at once."""
        super().init_weights()
        assert self.teacher is not None

    @property
    def teacher(self) -> nn.ModuleDict:
        """nn.ModuleDict: Embedding, encoder and decoder, frozen."""
        if not self._loaded:
            self._loaded.append(self._load())
        return self._loaded[0]

    def _load(self) -> nn.ModuleDict:
        """Build the teacher and load all of it from its file."""
        state = extract_state_dict(
            read_checkpoint(self.checkpoint), self.checkpoint)
        if _MASK_TOKEN in state:
            raise CheckpointError(
                f'teacher {self.checkpoint} holds {_MASK_TOKEN}, so it comes '
                'from training with masked tokens: name a checkpoint of stage '
                '1 (RegionDistillPretrainer) with --cfg-options teacher=FILE')
        # Whenever it is read, the student's random numbers stay the same.
        with keep_random_state():
            teacher = nn.ModuleDict({
                name: MODELS.build(config)
                for name, config in self._configs.items()
            })
        self.load_report = load_encoder(
            teacher, state, allow_missing=['*'], source=self.checkpoint)
        self._check_size(teacher.state_dict(), state)
        print_log(
            f'teacher: {self.checkpoint}, {self.load_report.summary()}',
            logger='current')
        return teacher.requires_grad_(False).eval()

    def _check_size(self, expected: Dict[str, Tensor],
                    state: Dict[str, Tensor]) -> None:
        """Refuse a file that does not hold every tensor of the teacher."""
        assert self.load_report is not None
        different = self.load_report.allowed
        if not different:
            return
        name = different[0]
        theirs = tuple(state[name].shape) if name in state else 'nothing'
        raise CheckpointError(
            f'teacher {self.checkpoint} is of another size than the config '
            f'makes it: {len(different)} of {len(expected)} tensors differ, '
            f'such as {name}, {theirs} in the file and '
            f'{tuple(expected[name].shape)} here: give embedding, encoder and '
            'decoder of target_generator the sizes of its stage 1, or name '
            'another checkpoint with --cfg-options teacher=FILE')

    @torch.no_grad()
    def forward(self, points: Tensor, tokens: PointTokens,
                data_samples: Any) -> TeacherTargets:
        """Run the teacher on all tokens.

        Args:
            points (Tensor): (B, N, 3) xyz, metres.
            tokens (PointTokens): Tokens of these points.
            data_samples (Any): Not looked at.

        Returns:
            TeacherTargets: Without gradient.
        """
        teacher = self.teacher.to(points.device)
        place = (tokens.centers, tokens.is_padding)
        encoded = teacher['encoder'](teacher['embedding'](points, tokens),
                                     *place)
        decoded = teacher['decoder'](encoded, *place)
        if self.normalize == 'tokens':
            decoded = standardize_tokens(decoded, ~tokens.is_padding)
        elif self.normalize:
            decoded = F.layer_norm(decoded.float(), decoded.shape[-1:])
        return TeacherTargets(encoded, decoded)
