"""Features of image models of ``transformers``: DINOv3 and SigLIP 2.

Shapes: B images, C channels, H W pixels, h w patches, p pixels of a patch.
"""
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
import torch
from torch import Tensor

from ....store.errors import StoreError
from ...running.devices import find_device
from ...transformers_models import describe_folder, load_folder
from .base import ImageEncoder, encode_by_size, fit_size
from .timm_encoder import AUTOCAST, resize

# SigLIP 2 of a fixed resolution has the networks of SigLIP, and says so.
MODELS = dict(
    dinov3_vit='DINOv3ViTModel',
    siglip='SiglipVisionModel',
    siglip_vision_model='SiglipVisionModel',
    siglip2='Siglip2VisionModel',
    siglip2_vision_model='Siglip2VisionModel')


class TransformersEncoder(ImageEncoder):
    """Patch features of the last layer, after the model's last norm.

    The image is resized, never cropped; class and register tokens are left
    out.

    Args:
        checkpoint (str): Folder of a model of the Hugging Face hub, e.g.
            ``dinov3-vitb16-pretrain-lvd1689m`` or
            ``siglip2-base-patch16-512``.
        long_side (int): Longer side of the resized image, pixels; both sides
            are rounded to multiples of the patch.
        batch_size (int): Images of one size per forward pass.
        device (str): ``'auto'`` takes a GPU if there is one, that of the
            local rank; otherwise a name of torch.
        autocast (str): ``'none'``, ``'bfloat16'`` or ``'float16'``.

    Raises:
        StoreError: When an option cannot be used.
    """
    name = 'transformers'

    def __init__(self,
                 checkpoint: str,
                 long_side: int = 640,
                 batch_size: int = 1,
                 device: str = 'auto',
                 autocast: str = 'none') -> None:
        if autocast not in AUTOCAST:
            raise StoreError(f'autocast={autocast} is unknown; choose one of '
                             f'{", ".join(AUTOCAST)}')
        if long_side < 1 or batch_size < 1:
            raise StoreError('long_side and batch_size must be positive')
        self.checkpoint = checkpoint
        self.long_side = long_side
        self.batch_size = batch_size
        self.device = find_device(device)
        self.autocast = autocast
        self.in_process = self.device.type != 'cpu'
        self._described: Optional[Dict[str, str]] = None
        self._loaded: Any = None

    def __getstate__(self) -> Dict[str, Any]:
        """Without the model, which every process loads itself."""
        return dict(self.__dict__, _loaded=None)

    def settings(self) -> Dict[str, Any]:
        """Model, hash of its folder, size and precision."""
        if self._described is None:
            self._described = describe_folder(self.checkpoint, MODELS)
        return dict(
            self._described, long_side=self.long_side, autocast=self.autocast)

    def encode(self, images: Sequence[np.ndarray]) -> List[Tensor]:
        """(C, h, w) float32 on the model's device for each (H, W, 3) uint8 RGB
        image, those of one size together.

        StoreError when the model cannot be loaded.
        """
        if self._loaded is None:
            self._loaded = load_folder(self.checkpoint, MODELS, self.device)
        return encode_by_size(images, self.batch_size, self._forward)

    @torch.inference_mode()
    def _forward(self, batch: np.ndarray) -> Tensor:
        """(B, C, h, w) of (B, H, W, 3) images."""
        model, processor = self._loaded
        patch = model.config.patch_size
        patch = patch if isinstance(patch, int) else patch[0]
        height, width = batch.shape[1:3]
        size = fit_size(height, width, self.long_side, patch)
        pixels = torch.from_numpy(batch).to(self.device)
        pixels = resize(pixels.permute(0, 3, 1, 2).float(), size)
        mean, std = (
            pixels.new_tensor(values)[:, None, None]
            for values in (processor.image_mean, processor.image_std))
        pixels = (pixels * processor.rescale_factor - mean) / std
        with torch.autocast(
                self.device.type,
                AUTOCAST[self.autocast],
                enabled=self.autocast != 'none'):
            tokens = model(**_inputs(model, pixels, patch)).last_hidden_state
        grid = (size[0] // patch, size[1] // patch)
        # Class and register tokens come first.
        patches = tokens[:, tokens.shape[1] - grid[0] * grid[1]:]
        return patches.transpose(1, 2).unflatten(2, grid).float()


def _inputs(model: Any, pixels: Tensor, patch: int) -> Dict[str, Any]:
    """Arguments of a model for images (B, 3, H, W) of any size."""
    name = type(model).__name__
    if name == MODELS['siglip']:
        return dict(pixel_values=pixels, interpolate_pos_encoding=True)
    if name != MODELS['siglip2']:
        return dict(pixel_values=pixels)
    # SigLIP 2 "NaFlex" takes patches as rows, channels last.
    patches = pixels.unfold(2, patch, patch).unfold(3, patch, patch)
    shape = patches.new_tensor(patches.shape[2:4], dtype=torch.long)
    rows = patches.permute(0, 2, 3, 4, 5, 1).flatten(3).flatten(1, 2)
    return dict(
        pixel_values=rows,
        pixel_attention_mask=torch.ones_like(rows[..., 0], dtype=torch.int),
        spatial_shapes=shape.expand(len(rows), -1))
