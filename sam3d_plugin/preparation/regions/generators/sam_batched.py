"""SAM in batches: many crops through the encoder, many prompts through the
decoder, and no more work per prompt than its masks are worth.

The networks are segment_anything's own, called with the same numbers as by
its predictor. What is saved: the first decoder block's image side is
computed once for all prompts instead of once for each; masks are upscaled
only for prompts of which one is good enough by its predicted IoU.

Shapes: B crops, P prompts, R masks, C channels, H W pixels.
"""
from dataclasses import dataclass
from typing import Any, Callable, List, Optional, Sequence, Tuple, TypeVar

import numpy as np
import torch
from segment_anything.modeling import Sam
from segment_anything.utils.transforms import ResizeLongestSide
from torch import Tensor

from ....store.errors import StoreError
from .prompted import Prompted

Result = TypeVar('Result')

_MEMORY_MESSAGES = ('out of memory', "can't allocate memory",
                    'not enough memory', 'CUBLAS_STATUS_ALLOC_FAILED')


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means out of memory, on CPU or GPU."""
    if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(
        message in str(error) for message in _MEMORY_MESSAGES)


class HalvingBatches:
    """Runs a function on batches that shrink when out of memory.

    A batch that did not fit is tried again in halves, and all later batches
    are of the smaller size.

    Args:
        size (int): Items of the first batches.
        what (str): What the items are, for the error.
    """

    def __init__(self, size: int, what: str) -> None:
        self.size = size
        self.what = what

    def map(self, function: Callable[[Any], Result],
            items: Any) -> List[Result]:
        """Results of a function for each batch of a sequence or tensor.

        StoreError when memory runs out with a single item.
        """
        results: List[Result] = []
        start = 0
        while start < len(items):
            try:
                results.append(function(items[start:start + self.size]))
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self._halve(len(items) - start, error)
            else:
                start += self.size
                continue
            # Outside of the handler, whose traceback keeps tensors alive.
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        return results

    def _halve(self, remaining: int, error: BaseException) -> None:
        tried = min(self.size, remaining)
        if tried == 1:
            raise StoreError(
                f'out of memory at batch size 1 of the {self.what}: use a '
                'smaller SAM, a machine with more memory or fewer workers '
                f'({str(error).splitlines()[0]})') from error
        self.size = max(tried // 2, 1)


def encode_crops(sam: Sam,
                 crops: Sequence[np.ndarray],
                 dtype: torch.dtype = torch.float32) -> Tensor:
    """(B, C, h, w) float32 embeddings of (H, W, 3) RGB images of any sizes."""
    assert sam.image_format == 'RGB'
    resize = ResizeLongestSide(sam.image_encoder.img_size).apply_image
    inputs = []
    for crop in crops:
        pixels = torch.as_tensor(resize(crop), device=sam.device)
        inputs.append(sam.preprocess(pixels.permute(2, 0, 1).contiguous()))
    with torch.autocast(
            sam.device.type, dtype, enabled=dtype != torch.float32):
        return sam.image_encoder(torch.stack(inputs)).float()


class SAMNetworks:
    """segment_anything's networks as :class:`PromptedNetworks`.

    Args:
        sam (Sam): The networks, on their device.
        dtype (torch.dtype): What the image encoder computes in.
    """

    def __init__(self, sam: Sam, dtype: torch.dtype = torch.float32) -> None:
        self.sam = sam
        self.dtype = dtype
        self.device = sam.device
        self.side = sam.image_encoder.img_size
        self.mask_threshold = sam.mask_threshold

    def encode(self, crops: Sequence[np.ndarray]) -> List[Tensor]:
        """(1, C, h, w) embedding of each crop."""
        return list(encode_crops(self.sam, crops, self.dtype)[:, None])

    def place(self, grid: np.ndarray, size: Tuple[int, int]) -> Tensor:
        """See :func:`place_points`."""
        return place_points(grid, size, self.side, self.device)

    def prompt(self, encoded: Tensor, points: Tensor) -> Prompted:
        """See :func:`prompt_with_points` and :func:`predict_logits`."""
        found = prompt_with_points(self.sam, encoded, points)
        return Prompted(
            found.iou,
            lambda is_wanted: predict_logits(self.sam, found, is_wanted))

    def upscale(self, logits: Tensor, size: Tuple[int, int]) -> Tensor:
        """See :func:`upscale_logits`."""
        return upscale_logits(self.sam, logits, size)


@dataclass
class PromptTokens:
    """Outputs of the decoder's transformer for some prompts."""
    tokens: Tensor  # (P, T, C) IoU token, mask tokens, prompt tokens
    image: Tensor  # (P, h w, C) the embedding as each prompt sees it
    iou: Tensor  # (P, M) predicted IoU of each prompt's masks


def prompt_with_points(sam: Sam, embedding: Tensor,
                       points: Tensor) -> PromptTokens:
    """Run the decoder up to the predicted IoU, before any mask is made.

    ``embedding`` (1, C, h, w) is of one crop; ``points`` (P, 2) are u and v in
    pixels of the encoder's input, one foreground point per prompt.
    """
    decoder, prompts = sam.mask_decoder, sam.prompt_encoder
    labels = torch.ones(len(points), 1, dtype=torch.int, device=points.device)
    sparse, dense = prompts((points[:, None], labels), None, None)
    learnt = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
    tokens = torch.cat([learnt.expand(len(points), -1, -1), sparse], dim=1)
    # A batch of one image broadcasts against the prompts, as long as nothing
    # of a prompt has been added to it: that is the first block's image side.
    tokens, image = decoder.transformer(embedding + dense[:1],
                                        prompts.get_dense_pe(), tokens)
    iou = decoder.iou_prediction_head(tokens[:, 0])
    return PromptTokens(tokens, image, iou[:, 1:])


def predict_logits(sam: Sam, found: PromptTokens, is_wanted: Tensor) -> Tensor:
    """(R, 4 h, 4 w) logits of the masks (P, M) that are wanted."""
    decoder = sam.mask_decoder
    has_any = is_wanted.any(dim=1)
    if not has_any.any():
        grid = sam.prompt_encoder.image_embedding_size
        return found.tokens.new_zeros(0, 4 * grid[0], 4 * grid[1])
    tokens, image = found.tokens[has_any], found.image[has_any]
    grid = sam.prompt_encoder.image_embedding_size
    upscaled = decoder.output_upscaling(
        image.transpose(1, 2).unflatten(2, grid))
    weights = torch.stack([
        head(tokens[:, 1 + i])
        for i, head in enumerate(decoder.output_hypernetworks_mlps)
    ],
                          dim=1)
    logits = (weights @ upscaled.flatten(2)).unflatten(2, upscaled.shape[2:])
    return logits[:, 1:][is_wanted[has_any]]


def upscale_logits(sam: Sam, logits: Tensor, size: Tuple[int, int]) -> Tensor:
    """Bring logits to the resolution of their crop.

    Args:
        sam (Sam): The networks.
        logits (Tensor): (R, h, w) of the padded input.
        size (Tuple[int, int]): H, W of the crop.

    Returns:
        Tensor: (R, H, W).
    """
    if len(logits) == 0:  # which interpolation refuses
        return logits.new_zeros(0, *size)
    side = sam.image_encoder.img_size
    input_size = ResizeLongestSide.get_preprocess_shape(*size, side)
    # The batch of one keeps torch off its kernels for channels-last images.
    return sam.postprocess_masks(logits[None], input_size, size)[0]


def place_points(grid: np.ndarray,
                 size: Tuple[int, int],
                 side: int,
                 device: Optional[torch.device] = None) -> Tensor:
    """Scale a grid (P, 2) of u and v, 0 to 1, to a crop of H, W and on to the
    encoder's input, whose longer side is ``side`` pixels."""
    points = grid * np.array(size)[None, ::-1]
    placed = ResizeLongestSide(side).apply_coords(points, size)
    return torch.as_tensor(placed, device=device)
