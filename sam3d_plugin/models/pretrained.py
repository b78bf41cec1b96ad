"""``init_cfg=dict(type='Pretrained', ...)`` that leaves nothing out unsaid.
"""
from typing import Optional, Sequence

from mmdet3d.registry import WEIGHT_INITIALIZERS
from mmengine.model import update_init_info
from torch import nn

from ..store.loading import load_pretrained


@WEIGHT_INITIALIZERS.register_module()
class Pretrained:
    """Load a module's weights strictly.

    Stands before mmengine's initializer of the same name inside the mmdet3d
    scope, because that one skips missing and mis-shaped tensors. The report
    is left on the module as ``load_report``.

    Args:
        checkpoint (str): File or address.
        prefix (Optional[str]): See
            :func:`~sam3d_plugin.store.loading.load_pretrained`.
        allow_missing (Sequence[str]): Tensors that may start from their
            initialisation: names, prefixes or shell patterns.
    """

    def __init__(
        self,
        checkpoint: str,
        prefix: Optional[str] = None,
        allow_missing: Sequence[str] = ()) -> None:
        self.checkpoint = checkpoint
        self.prefix = prefix
        self.allow_missing = allow_missing

    def __call__(self, module: nn.Module) -> None:
        """Load the weights into ``module``."""
        load_pretrained(
            module,
            dict(
                type='Pretrained',
                checkpoint=self.checkpoint,
                prefix=self.prefix,
                allow_missing=self.allow_missing))
        if hasattr(module, '_params_init_info'):
            update_init_info(
                module, init_info=f'Pretrained: load from {self.checkpoint}')
