"""Batches that a worker sends to the training process as one tensor."""
import io
import pickle
from typing import Any, List, Sequence, Tuple

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import FUNCTIONS
from torch import Tensor

_ALIGNMENT = 16  # bytes


class FrameBatch(dict):
    """A batch as ``pseudo_collate`` makes it, cheap to send.

    torch sends every tensor as a shared file of its own. A batch of 64 frames
    has 256 tensors, which costs the training process tens of milliseconds and
    soon more open files than allowed. This one is sent as one tensor of
    bytes, of which the tensors that arrive are views.
    """

    def __copy__(self) -> 'FrameBatch':
        """Share the content; torch copies a batch before it pins memory."""
        return FrameBatch(self)

    def __reduce__(self) -> Tuple:
        """Pickle as the structure and the bytes of all tensors."""
        structure, buffers = io.BytesIO(), []  # type: Any, List[Any]
        pickler = _Pickler(structure, 5, buffer_callback=buffers.append)
        pickler.dump(dict(self))
        sizes = [buffer.raw().nbytes for buffer in buffers]
        content = torch.empty(_ends(sizes)[-1], dtype=torch.uint8)
        content.share_memory_()  # before it is filled: nothing is copied
        for buffer, size, begin in zip(buffers, sizes, _ends(sizes)):
            content.numpy()[begin:begin + size] = np.frombuffer(
                buffer, np.uint8)
        return _unpack, (structure.getvalue(), content, sizes)


@FUNCTIONS.register_module()
def collate_frames(samples: Sequence[dict]) -> FrameBatch:
    """``pseudo_collate`` into a batch that is cheap to send."""
    return FrameBatch(pseudo_collate(samples))


class _Pickler(pickle.Pickler):
    """Pickles CPU tensors as arrays, whose bytes are handed out."""

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is not Tensor or obj.device.type != 'cpu':
            return NotImplemented
        try:
            return torch.from_numpy, (obj.contiguous().numpy(), )
        except (RuntimeError, TypeError):  # bfloat16, or with gradients
            return NotImplemented


def _ends(sizes: List[int]) -> List[int]:
    """Where aligned parts of these sizes begin, and where the last ends."""
    padded = [-(-size // _ALIGNMENT) * _ALIGNMENT for size in sizes]
    return np.cumsum([0, *padded]).tolist()


def _unpack(structure: bytes, content: Tensor, sizes: List[int]) -> FrameBatch:
    buffers = [
        content.numpy()[begin:begin + size]
        for size, begin in zip(sizes, _ends(sizes))
    ]
    return FrameBatch(pickle.loads(structure, buffers=buffers))
