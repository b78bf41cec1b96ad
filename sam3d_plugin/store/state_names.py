"""Location of a checkpoint's tensors, and prefixes of their names."""
from typing import Any, Dict, Iterable, Iterator, Sequence

from torch import Tensor

from .errors import CheckpointError

_STATE_KEYS = ('state_dict', 'model', 'model_state_dict', 'base_model', 'net',
               'weights', 'model_ema', 'ema_state_dict')
# Put before every name by torch.compile, DataParallel and Lightning.
_COMPILED = '_orig_mod.'
_WRAPPERS = ('module.', 'model.')


def extract_state_dict(checkpoint: Dict[str, Any],
                       filename: str) -> Dict[str, Tensor]:
    """Find the model's tensors in a checkpoint.

    Args:
        checkpoint (Dict[str, Any]): Content of the file; the tensors are under
            ``state_dict``, ``model`` or a name that other libraries use, or
            at the top.
        filename (str): Its name, for errors.

    Returns:
        Dict[str, Tensor]: Tensors by name, without what torch.compile,
        DataParallel and Lightning put before the names.

    Raises:
        CheckpointError: If there are no tensors by name.
    """
    state: Any = checkpoint
    while inner := [k for k in _STATE_KEYS if isinstance(state.get(k), dict)]:
        state = state[inner[0]]
    if not state or not all(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError(
            f'{filename} has no model tensors under {", ".join(_STATE_KEYS)} '
            f'or at the top; it holds {", ".join(map(str, checkpoint))}')
    state = {name.replace(_COMPILED, ''): t for name, t in state.items()}
    for wrapper in _wrappers_of(state):
        state = select_prefix(state, wrapper)
    return state


def _wrappers_of(names: Iterable[str]) -> Iterator[str]:
    """Prefixes of wrappers that all names share, the outermost first."""
    names = list(names)
    while True:
        shared = [w for w in _WRAPPERS if all(n.startswith(w) for n in names)]
        if not shared:
            return
        names = [name[len(shared[0]):] for name in names]
        yield shared[0]


def select_prefix(state_dict: Dict[str, Tensor],
                  prefix: str) -> Dict[str, Tensor]:
    """Tensors whose name starts with ``prefix``, named without it."""
    return {
        name[len(prefix):]: tensor
        for name, tensor in state_dict.items() if name.startswith(prefix)
    }


def find_holder(names: Iterable[str], expected: Sequence[str]) -> str:
    """Name under which the whole module stands in a larger one, '' if none.

    Trainers put a loss or a teacher beside it, so it is not every name's.

    Args:
        names (Iterable[str]): Names of a file's tensors.
        expected (Sequence[str]): Names of the module's.

    Returns:
        str: The beginning of the names, with its dot.
    """
    names = set(names)
    if not expected or names.intersection(expected):
        return ''
    holders = {
        name.removesuffix(expected[0])
        for name in names if name.endswith(f'.{expected[0]}')
    }
    complete = [
        h for h in holders if names.issuperset(h + e for e in expected)
    ]
    return complete[0] if len(complete) == 1 else ''
