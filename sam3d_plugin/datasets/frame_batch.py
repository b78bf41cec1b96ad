"""Batches that cross from a worker to the training process in few pieces."""
import io
import pickle
from typing import Any, Dict, List, Sequence, Tuple

import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import FUNCTIONS
from torch import Tensor

# Type, first element in the flat tensor of that type, shape.
_Place = Tuple[torch.dtype, int, torch.Size]


class FrameBatch(dict):
    """A batch as ``pseudo_collate`` makes it, cheap to send.

    torch sends every tensor as a shared file of its own. A batch of 64 frames
    has 256 tensors, which costs the training process tens of milliseconds and
    soon more open files than allowed. This one is sent as one tensor per
    type; the tensors that arrive are views of these.
    """

    def __copy__(self) -> 'FrameBatch':
        """Share the content; torch copies a batch before it pins memory."""
        return FrameBatch(self)

    def __reduce__(self) -> Tuple:
        """Pickle as flat tensors, and what is left of the structure."""
        buffer = io.BytesIO()
        pickler = _TensorPickler(buffer)
        pickler.dump(dict(self))
        places: List[_Place] = []
        parts: Dict[torch.dtype, List[Tensor]] = {}
        ends: Dict[torch.dtype, int] = {}
        for tensor in pickler.tensors:
            begin = ends.get(tensor.dtype, 0)
            places.append((tensor.dtype, begin, tensor.shape))
            parts.setdefault(tensor.dtype, []).append(tensor.reshape(-1))
            ends[tensor.dtype] = begin + tensor.numel()
        flat = {dtype: _join(p, ends[dtype]) for dtype, p in parts.items()}
        return _unpack, (buffer.getvalue(), flat, places)


@FUNCTIONS.register_module()
def collate_frames(samples: Sequence[dict]) -> FrameBatch:
    """``pseudo_collate`` into a batch that is cheap to send."""
    return FrameBatch(pseudo_collate(samples))


class _TensorPickler(pickle.Pickler):
    """Leaves the CPU tensors out and collects them."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.tensors: List[Tensor] = []

    def persistent_id(self, obj: Any) -> Any:
        """The place of a tensor among all; None for other objects."""
        if type(obj) is not Tensor or obj.device.type != 'cpu':
            return None
        self.tensors.append(obj)
        return len(self.tensors) - 1


class _TensorUnpickler(pickle.Unpickler):
    """Puts tensors back."""

    def __init__(self, file: io.BytesIO, tensors: List[Tensor]) -> None:
        super().__init__(file)
        self.tensors = tensors

    def persistent_load(self, pid: Any) -> Tensor:
        """The tensor of a place."""
        return self.tensors[pid]


def _join(parts: List[Tensor], count: int) -> Tensor:
    """One flat tensor in shared memory, so that sending copies nothing."""
    if not count:
        return parts[0]
    storage = parts[0].untyped_storage()._new_shared(
        count * parts[0].element_size(), device='cpu')
    out = torch.empty(0, dtype=parts[0].dtype).set_(storage)
    return torch.cat(parts, out=out)


def _unpack(content: bytes, flat: Dict[torch.dtype, Tensor],
            places: List[_Place]) -> FrameBatch:
    tensors = [
        flat[dtype][begin:begin + shape.numel()].view(shape)
        for dtype, begin, shape in places
    ]
    return FrameBatch(_TensorUnpickler(io.BytesIO(content), tensors).load())
