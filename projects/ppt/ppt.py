"""PPT (Wu et al., CVPR 2024) on the tokens of scenes.

Shapes: B scenes, N points, C channels.
"""
from typing import Any, Dict, List, Optional, Sequence, Tuple

import torch
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample
from torch import Tensor, nn
from torch.func import functional_call

from sam3d_plugin.models.pretrainers import BasePretrainer, FeatureView
from sam3d_plugin.ops.propagation import interpolate_tokens
from sam3d_plugin.ops.transfer import to_device
from sam3d_plugin.store.errors import UserError
from .domain_norm import NORMS, DomainNorm
from .text_head import compare, read_labels


class _Encode(nn.Module):
    """A backbone whose tensors ``functional_call`` can replace."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, points: Tensor) -> Tuple[Any, Tensor]:
        return self.backbone.encode(points)


@MODELS.register_module()
class PPT(BasePretrainer):
    """Supervised: points learn their classes, in several data sets.

    The backbone is shared but for its norms, of which each data set has its
    own (see :class:`DomainNorm`). Outside of a training, and in checkpoints,
    the norms of the backbone are those of the first data set, so that the
    encoder is one of any other method.

    Args:
        backbone (dict): Config of a ``TokenEncoder``.
        head (dict): Config of a ``TextAlignedSegHead`` without ``domains``.
        domains (Dict[str, Sequence[str]]): Classes by data set.
        context_channels (int): Channels of the embedding of a data set.
        num_points (Optional[int]): Points of a scene that predict, the first
            ones of the loader's random order. None for all. Defaults to None.
        **kwargs (Any): See :class:`BasePretrainer`.
    """

    def __init__(self,
                 backbone: dict,
                 head: dict,
                 domains: Dict[str, Sequence[str]],
                 context_channels: int = 256,
                 num_points: Optional[int] = None,
                 **kwargs: Any) -> None:
        super().__init__(backbone, **kwargs)
        self.domains = {name: tuple(found) for name, found in domains.items()}
        self.head = MODELS.build(dict(head, domains=self.domains))
        self.num_points = num_points
        norms = {
            name: module
            for name, module in self.backbone.named_modules()
            if isinstance(module, NORMS)
        }
        self.norm_names = tuple(norms)
        self.domain_norms = nn.ModuleList(
            DomainNorm(
                norm.requires_grad_(False), len(domains), context_channels)
            for norm in norms.values())
        self.contexts = nn.Parameter(
            torch.randn(len(domains), context_channels))
        self._register_state_dict_hook(_fold)

    def init_weights(self) -> None:
        """Initialize; the norms of all data sets begin as the backbone's."""
        super().init_weights()
        for name, norm in zip(self.norm_names, self.domain_norms):
            norm.restart(self.backbone.get_submodule(name))

    def use_metainfo(self, metainfo: dict) -> None:
        """Read the embeddings, and compare the classes.

        Args:
            metainfo (dict): Of the data set, maybe with ``domains``.

        Raises:
            UserError: When the data sets have other names or classes.
        """
        self.head.read()
        found = metainfo.get('domains', self.domains)
        for name in {**found, **self.domains}:
            if found.get(name) != self.domains.get(name):
                raise UserError(
                    f'model.domains.{name} has other classes than the data '
                    'set: list those of the data set, in its order')

    @property
    def checkpoint_meta(self) -> Dict[str, Any]:
        """Dict[str, Any]: What made the embeddings of the classes."""
        return dict(class_embeddings=self.head.text_model)

    def loss(
            self, inputs: Dict[str, Any],
            data_samples: Optional[List[Det3DDataSample]]
    ) -> Dict[str, Tensor]:
        """Compute the losses of a batch.

        Args:
            inputs (Dict[str, Any]): ``points`` (B, N, 3 + D).
            data_samples (Optional[List[Det3DDataSample]]): B scenes of one
                data set with ``pts_semantic_mask`` (N,); other values than
                its classes count as unlabeled.

        Returns:
            Dict[str, Tensor]: ``loss_class``, and ``accuracy``, the share of
            points whose class is predicted.
        """
        domain, labels = read_labels(data_samples, self.domains)
        points = inputs['points'][..., :3]
        tokens, features = self.encode(points, domain)
        predicting = points[:, :self.num_points].contiguous()
        features = interpolate_tokens(predicting, tokens.centers, features,
                                      tokens.is_padding)
        labels = to_device(labels[:, :self.num_points], points.device)
        return compare(self.head(features, domain), labels)

    def encode(self, points: Tensor, domain: str) -> Tuple[Any, Tensor]:
        """Tokens and their features with the norms of a data set."""
        return functional_call(
            _Encode(self.backbone), {
                f'backbone.{name}': value
                for name, value in self.norms_of(domain).items()
            }, (points, ))

    def norms_of(self, domain: str) -> Dict[str, Tensor]:
        """Parameters and statistics of all norms of the backbone, by name."""
        number = list(self.domains).index(domain)
        return {
            f'{name}.{key}': value
            for name, norm in zip(self.norm_names, self.domain_norms)
            for key, value in norm(number, self.contexts[number]).items()
        }

    @torch.no_grad()
    def fold(self) -> None:
        """Put the norms of the first data set into the backbone."""
        state = self.backbone.state_dict()
        for name, value in self.norms_of(next(iter(self.domains))).items():
            state[name].copy_(value)

    def forward(self,
                inputs: Dict[str, Any],
                data_samples: Optional[List[Det3DDataSample]] = None,
                mode: str = 'tensor') -> Any:
        """See :class:`BasePretrainer`; features are of the first data set."""
        if mode == 'tensor':
            self.fold()
        return super().forward(inputs, data_samples, mode)

    def view(self, inputs: Dict[str, Any]) -> FeatureView:
        """See :class:`BasePretrainer`; features are of the first data set."""
        self.fold()
        return super().view(inputs)


def _fold(model: PPT, *_: Any) -> None:
    """Fold before a state dict, whose tensors are the model's, is used."""
    model.fold()
