"""Weights of timm's models from local files, strictly."""
import sys
from typing import Dict, List

import torch
from torch import Tensor, nn

from ....store.errors import StoreError
from ...checkpoints import read_weights

_NAMED = 4
# Parts that only classification uses; num_classes=0 leaves them out.
_HEADS = ('head', 'fc', 'classifier', 'attn_pool', 'fc_norm')


def load_weights(network: nn.Module, checkpoint: str, model: str) -> None:
    """Load a checkpoint that must hold exactly the model's tensors.

    timm's own renaming of the authors' files (``checkpoint_filter_fn``)
    applies. The file is ``.safetensors`` or torch's, which is read without
    running anything in it; StoreError when it is damaged or of another model.
    """
    state = read_fitting(network, checkpoint, model)
    with torch.no_grad():
        network.load_state_dict(state, strict=False)


def read_fitting(network: nn.Module, checkpoint: str,
                 model: str) -> Dict[str, Tensor]:
    """The state dict of :func:`load_weights`, in timm's naming.

    Raises StoreError when the file is damaged or of another model.
    """
    state = read_weights(checkpoint)
    adapt = getattr(sys.modules[type(network).__module__],
                    'checkpoint_filter_fn', None)
    if adapt is not None:
        try:
            state = adapt(state, network)
        except (RuntimeError, KeyError, AttributeError, ValueError,
                IndexError) as error:
            raise StoreError(f'{checkpoint} is not a checkpoint of {model} '
                             f'({error!r}); give the file of that model, or '
                             'name its model') from error
    found = _misfits(network.state_dict(), state)
    if found:
        raise StoreError(f'{checkpoint} does not fit {model}: '
                         f'{"; ".join(found)}. Give the file of that model, '
                         'or name the model that it belongs to')
    return state


def _misfits(expected: Dict[str, Tensor], given: Dict[str,
                                                      Tensor]) -> List[str]:
    """Describe tensors that are missing, extra or of another shape."""
    missing = [name for name in expected if name not in given]
    unexpected = [
        name for name in given
        if name not in expected and name.split('.')[0] not in _HEADS
    ]
    misshaped = [
        f'{name} {tuple(given[name].shape)} instead of '
        f'{tuple(expected[name].shape)}' for name in expected
        if name in given and given[name].shape != expected[name].shape
    ]
    groups = (('missing', missing), ('unexpected', unexpected),
              ('of another shape', misshaped))
    return [
        f'{len(names)} {what} ({", ".join(names[:_NAMED])}'
        f'{", ..." * (len(names) > _NAMED)})' for what, names in groups
        if names
    ]
