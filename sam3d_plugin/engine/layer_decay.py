"""Layer-wise learning rate decay for encoders."""
from typing import Any, Dict, List

from mmdet3d.registry import OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from ..models.backbones import PointTokenBackbone
from ..store.errors import UserError


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """mmengine's constructor with ``paramwise_cfg.layer_decay``.

    As BEiT and MAE are fine-tuned: with a decay of d, block i of D (counted
    from 1) of a :class:`PointTokenBackbone` learns at d ** (D + 1 - i) of the
    rate, the embeddings of tokens and positions at d ** (D + 1), and all else,
    such as the head, at the rate itself. Other settings of ``paramwise_cfg``
    act as ever; the factors of ``lr_mult`` multiply.

    mmdet's ``LearningRateDecayOptimizerConstructor`` knows ConvNeXt only.
    """

    def _validate_cfg(self) -> None:
        super()._validate_cfg()
        decay = self.paramwise_cfg.get('layer_decay')
        if decay is None or not 0 < decay <= 1:
            raise UserError('LayerDecayOptimWrapperConstructor needs '
                            'optim_wrapper.paramwise_cfg.layer_decay, more '
                            f'than 0 and at most 1; got {decay}')
        if self.base_lr is None:
            raise UserError('layer_decay needs optim_wrapper.optimizer.lr')

    def add_params(self,
                   params: List[dict],
                   module: nn.Module,
                   prefix: str = '',
                   **kwargs: Any) -> None:
        """Add a group for every parameter of a module."""
        super().add_params(params, module, prefix=prefix, **kwargs)
        if prefix:  # a part; the call for the complete model adds the groups
            return
        decay = self.paramwise_cfg['layer_decay']
        powers = decay_powers(module)
        for group in params:
            parameter, = group['params']
            if id(parameter) in powers:
                factor = decay**powers[id(parameter)]
                group['lr'] = group.get('lr', self.base_lr) * factor
        factors = (f'{decay**power:.3g}'
                   for power in sorted(set(powers.values()), reverse=True))
        print_log(
            'layer_decay: learning rates of embeddings and blocks times '
            f'{", ".join(factors)}',
            logger='current')


def decay_powers(model: nn.Module) -> Dict[int, int]:
    """How often the decay is applied to encoders' parameters, by their id.

    Raises ValueError when there is no encoder with blocks.
    """
    powers: Dict[int, int] = {}
    for backbone in model.modules():
        if not isinstance(backbone, PointTokenBackbone):
            continue
        encoder = backbone.encoder
        if not hasattr(encoder, 'blocks'):
            raise UserError(f'layer_decay: {type(encoder).__name__} has no '
                            'blocks, as PlainPointTransformer has')
        parts = [[backbone.embedding, encoder.position_embedding]]
        parts += [[block] for block in encoder.blocks]
        for i, modules in enumerate(parts):
            for part in modules:
                for parameter in part.parameters():
                    powers[id(parameter)] = len(parts) - i
    if not powers:
        raise UserError('layer_decay is for the encoder of a '
                        f'PointTokenBackbone, and {type(model).__name__} has '
                        'none: leave out optim_wrapper.constructor')
    return powers
