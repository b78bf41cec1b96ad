"""Features of timm's image models: DINOv2, CLIP image towers, CNNs, ...

Shapes: B images, C channels, H W pixels, h w features.
"""
import inspect
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....ops.random_state import seeded
from ....store.errors import StoreError
from ...checkpoints import sha256_of
from ...running.devices import find_device
from ._timm_checkpoint import load_weights, read_fitting
from .base import ImageEncoder, Size, encode_by_size, fit_size

AUTOCAST = dict(none=None, bfloat16=torch.bfloat16, float16=torch.float16)


class TimmEncoder(ImageEncoder):
    """Spatial features of one layer of a timm model.

    The image is resized, never cropped; class and register tokens are left
    out. Features are not normalized beyond the model's own last norm.

    Args:
        model (str): Name of the model in timm.
        checkpoint (Optional[str]): Its weights, a local ``.pth`` or
            ``.safetensors`` file in timm's or in the authors' own naming.
        layer (int): Block or stage whose output is taken, from 0 or, if
            negative, from the end.
        norm (bool): Apply the model's last norm to that output.
        long_side (int): Longer side of the resized image, pixels; both sides
            are rounded to multiples of the patch.
        batch_size (int): Images of one size per forward pass.
        device (str): ``'auto'`` takes a GPU if there is one, that of the
            local rank; otherwise a name of torch.
        autocast (str): ``'none'``, ``'bfloat16'`` or ``'float16'``.
        random_weights_seed (Optional[int]): Without a checkpoint, use random
            weights of this seed. For tests: the features mean nothing.
        model_kwargs (Optional[Dict[str, Any]]): Further arguments of
            ``timm.create_model``.
        text_space (bool): For CLIP's image towers: features that can be
            compared with those of text (MaskCLIP, Zhou et al., ECCV 2022).

    Raises:
        StoreError: When neither weights nor a seed are given, or an option
            cannot be used.
    """
    name = 'timm'

    def __init__(self,
                 model: str = 'vit_base_patch14_dinov2',
                 checkpoint: Optional[str] = None,
                 layer: int = -1,
                 norm: bool = True,
                 long_side: int = 644,
                 batch_size: int = 1,
                 device: str = 'auto',
                 autocast: str = 'none',
                 random_weights_seed: Optional[int] = None,
                 model_kwargs: Optional[Dict[str, Any]] = None,
                 text_space: bool = False) -> None:
        if (checkpoint is None) == (random_weights_seed is None):
            raise StoreError(
                f'{model} needs weights: download them (its model.safetensors '
                'on the Hugging Face hub or, for DINOv2, '
                'dinov2_vitb14_pretrain.pth) and pass checkpoint=FILE, or, '
                'for tests only, random_weights_seed=0')
        if autocast not in AUTOCAST:
            raise StoreError(f'autocast={autocast} is unknown; choose one of '
                             f'{", ".join(AUTOCAST)}')
        if long_side < 1 or batch_size < 1:
            raise StoreError('long_side and batch_size must be positive')
        self.model = model
        self.checkpoint = checkpoint
        self.layer = layer
        self.norm = norm
        self.long_side = long_side
        self.batch_size = batch_size
        self.device = find_device(device)
        self.autocast = autocast
        self.random_weights_seed = random_weights_seed
        self.model_kwargs = dict(model_kwargs or {})
        self.text_space = text_space
        self.in_process = self.device.type != 'cpu'
        self._network: Optional[nn.Module] = None

    def __getstate__(self) -> Dict[str, Any]:
        """Without the model, which every process loads itself."""
        return dict(self.__dict__, _network=None)

    def settings(self) -> Dict[str, Any]:
        """Model, hash of its weights, layer, sizes and normalization."""
        outline = self._outline()
        weights: Dict[str, Any]
        if self.checkpoint is None:
            weights = dict(random_weights_seed=self.random_weights_seed)
        else:
            # A store must not be started with weights that cannot be used.
            read_fitting(outline, self.checkpoint, self.model)
            weights = dict(checkpoint_sha256=sha256_of(self.checkpoint))
        if self.text_space:  # which older stores do not name
            weights['text_space'] = True
        return dict(
            weights,
            model=self.model,
            layer=self.layer,
            norm=self.norm,
            long_side=self.long_side,
            multiple=_stride(outline),
            mean=list(outline.pretrained_cfg['mean']),
            std=list(outline.pretrained_cfg['std']),
            autocast=self.autocast,
            model_kwargs=self.model_kwargs)

    def encode(self, images: Sequence[np.ndarray]) -> List[Tensor]:
        """(C, h, w) float32 on the model's device for each (H, W, 3) uint8 RGB
        image, those of one size together.

        StoreError when the model cannot be built or its weights do not fit.
        """
        if self._network is None:
            self._network = self._load()
        network = self._network
        multiple = _stride(network)

        def forward(batch: np.ndarray) -> Tensor:
            height, width = batch.shape[1:3]
            size = fit_size(height, width, self.long_side, multiple)
            return self._forward(network, batch, size)

        return encode_by_size(images, self.batch_size, forward)

    @torch.inference_mode()
    def _forward(self, network: Any, batch: np.ndarray, size: Size) -> Tensor:
        """(B, C, h, w) of (B, H, W, 3) images."""
        pixels = torch.from_numpy(batch).to(self.device)
        pixels = resize(pixels.permute(0, 3, 1, 2).float(), size)
        mean, std = (
            pixels.new_tensor(network.pretrained_cfg[key])[:, None, None]
            for key in ('mean', 'std'))
        try:
            with torch.autocast(
                    self.device.type,
                    AUTOCAST[self.autocast],
                    enabled=self.autocast != 'none'):
                maps = network.forward_intermediates(
                    (pixels / 255 - mean) / std,
                    indices=[self.layer],
                    norm=self.norm,
                    stop_early=True,
                    intermediates_only=True)
                if self.text_space:
                    maps = [
                        network.head(maps[0].movedim(1, -1)).movedim(-1, 1)
                    ]
        except AssertionError as error:  # how timm's models refuse a size
            raise StoreError(f'{self.model} cannot encode images of '
                             f'{size[1]}x{size[0]} ({error}); choose another '
                             'model or long_side') from error
        return maps[0].float()

    def _load(self) -> nn.Module:
        """The model with its weights, ready to use."""
        outline = self._outline()
        with seeded(self.random_weights_seed or 0):
            network = self._create(_size_options(outline))
        if self.checkpoint is not None:
            load_weights(network, self.checkpoint, self.model)
        if self.text_space:
            _take_values(network)
        return network.eval().requires_grad_(False).to(self.device)

    def _outline(self) -> Any:
        """The model without memory for its weights."""
        with torch.device('meta'):
            outline: Any = self._create({})
        if not hasattr(outline, 'forward_intermediates'):
            raise StoreError(f'{self.model} gives no features of its layers '
                             '(timm has no forward_intermediates for it); '
                             'choose another model')
        depth = len(outline.feature_info)
        if not -depth <= self.layer < depth:
            raise StoreError(f'layer={self.layer}: {self.model} has layers '
                             f'0 to {depth - 1}, or -{depth} to -1')
        _size_options(outline)
        if self.text_space:
            self._check_projection(outline)
        return outline

    def _check_projection(self, outline: Any) -> None:
        """Refuse a model or layer that is not projected to text."""
        from timm.models.vision_transformer import Block
        blocks: Any = getattr(outline, 'blocks', None)
        head: Any = getattr(outline, 'head', None)
        # The head of others is a classifier, as of those fine-tuned to one.
        is_clip = '_clip_' in self.model and '_ft_' not in self.model
        if not (is_clip and isinstance(head, nn.Linear)
                and isinstance(getattr(outline, 'fc_norm', None), nn.Identity)
                and isinstance(blocks[-1], Block)):
            raise StoreError(
                f'text_space: {self.model} has no projection to '
                'text behind plain blocks; choose a CLIP model of '
                'timm, such as '
                'vit_base_patch16_clip_quickgelu_224.openai')
        notes = ' '.join(outline.pretrained_cfg.get('notes') or ())
        activation = type(blocks[-1].mlp.act).__name__
        if 'QuickGELU' in notes and activation != 'QuickGELU':
            raise StoreError(
                f'text_space: {self.model} was trained with QuickGELU, and '
                f'timm builds it with {activation}; choose '
                f'{self.model.replace("_clip_", "_clip_quickgelu_")}')
        if not self.norm or self.layer not in (-1, len(blocks) - 1):
            raise StoreError('text_space needs the last layer and its norm: '
                             'leave out layer and norm')

    def _create(self, options: Dict[str, Any]) -> nn.Module:
        import timm
        head: Dict[str, Any] = {} if self.text_space else dict(num_classes=0)
        try:
            return timm.create_model(
                self.model,
                pretrained=False,
                **head,
                **options,
                **self.model_kwargs)
        except (RuntimeError, TypeError, ValueError) as error:
            raise StoreError(f'timm cannot build {self.model} '
                             f'({error}); check the name with '
                             'timm.list_models() and model_kwargs') from error


def _take_values(network: Any) -> None:
    """Let each token attend to itself alone in the last block.

    Residuals and MLP stay, as in the code of MaskCLIP.
    """
    block = network.blocks[-1]

    def forward(tokens: Tensor) -> Tensor:
        values = block.attn.qkv(block.norm1(tokens)).chunk(3, dim=-1)[-1]
        tokens = tokens + block.ls1(block.attn.proj(values))
        return tokens + block.ls2(block.mlp(block.norm2(tokens)))

    block.forward = forward


def resize(images: Tensor, size: Size) -> Tensor:
    """Resize images without shifting them.

    Args:
        images (Tensor): (B, 3, H, W) float, 0 to 255.
        size (Size): New height and width, pixels.

    Returns:
        Tensor: (B, 3, *size), bicubic with anti-aliasing, 0 to 255.
    """
    if images.shape[2:] == size:
        return images
    return F.interpolate(
        images, size, mode='bicubic', antialias=True).clamp(0, 255)


def _stride(network: Any) -> int:
    """Required divisor of both image sides, pixels."""
    return max(int(info['reduction']) for info in network.feature_info)


def _size_options(outline: Any) -> Dict[str, Any]:
    """Arguments that let a model take images of any size."""
    if getattr(outline, 'patch_embed', None) is None:
        return {}  # a CNN
    parameters = inspect.signature(type(outline)).parameters
    if 'dynamic_img_size' in parameters:
        return dict(dynamic_img_size=True)
    if 'strict_img_size' in parameters:
        return dict(strict_img_size=False)
    raise StoreError(f'{type(outline).__name__} takes images of one size '
                     'only, so that they would have to be cropped or '
                     'squashed; choose another model')
