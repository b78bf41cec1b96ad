"""SAM's networks from checkpoint files, known or of any size.

What a checkpoint holds is read from the shapes of its weights, so that a
file of another model than the one asked for is named, and a SAM of another
size than the published three needs no description.
"""
from dataclasses import dataclass
from functools import partial
from typing import Dict, Mapping, Tuple

import torch
from segment_anything import modeling, sam_model_registry
from torch import Tensor

from ....store.errors import StoreError
from ....store.files import BackendArgs, PathLike
from ...checkpoints import read_weights, sha256_of

# Not visible in the weights; all published SAMs have it.
_DECODER_HEADS = 8
_PATCHES = 'image_encoder.patch_embed.proj.weight'
_LAYER_NORM = partial(torch.nn.LayerNorm, eps=1e-6)


@dataclass(frozen=True)
class SAMArchitecture:
    """Architecture of a SAM, read from the shapes of its weights."""
    embed_dim: int  # Channels of the image encoder
    depth: int  # Its blocks
    num_heads: int  # Attention heads of each block
    global_blocks: Tuple[int, ...]  # Blocks that attend to all patches
    window_size: int = 14  # Patches per side of the other blocks' windows
    mlp_ratio: float = 4  # Hidden channels of a block per channel
    image_size: int = 1024  # Side of the padded input, pixels
    patch_size: int = 16  # Side of a patch, pixels
    prompt_dim: int = 256  # Channels of embeddings, prompts and decoder
    mask_channels: int = 16  # Hidden channels of mask prompts
    decoder_depth: int = 2  # Blocks of the decoder
    decoder_mlp: int = 2048  # Hidden channels of these
    iou_depth: int = 3  # Layers of the head that predicts the IoU
    iou_hidden: int = 256  # Its hidden channels

    @property
    def name(self) -> str:
        """``vit_b``, ``vit_l`` or ``vit_h``; ``custom`` for any other."""
        return next(
            (name for name, known in ARCHITECTURES.items() if known == self),
            'custom')

    def __str__(self) -> str:
        return (f'{self.name} ({self.depth} blocks of {self.embed_dim} '
                f'channels, {self.image_size} pixels)')


ARCHITECTURES: Dict[str, SAMArchitecture] = dict(
    vit_b=SAMArchitecture(768, 12, 12, (2, 5, 8, 11)),
    vit_l=SAMArchitecture(1024, 24, 16, (5, 11, 17, 23)),
    vit_h=SAMArchitecture(1280, 32, 16, (7, 15, 23, 31)))


def build_sam(architecture: SAMArchitecture) -> modeling.Sam:
    """A SAM with random weights, in evaluation mode, on the CPU."""
    if architecture.name in sam_model_registry:
        return sam_model_registry[architecture.name]()
    arch = architecture
    grid = arch.image_size // arch.patch_size
    encoder = modeling.ImageEncoderViT(
        img_size=arch.image_size,
        patch_size=arch.patch_size,
        embed_dim=arch.embed_dim,
        depth=arch.depth,
        num_heads=arch.num_heads,
        mlp_ratio=arch.mlp_ratio,
        out_chans=arch.prompt_dim,
        norm_layer=_LAYER_NORM,
        use_rel_pos=True,
        window_size=arch.window_size,
        global_attn_indexes=arch.global_blocks)
    prompts = modeling.PromptEncoder(
        embed_dim=arch.prompt_dim,
        image_embedding_size=(grid, grid),
        input_image_size=(arch.image_size, arch.image_size),
        mask_in_chans=arch.mask_channels)
    decoder = modeling.MaskDecoder(
        transformer=modeling.TwoWayTransformer(arch.decoder_depth,
                                               arch.prompt_dim, _DECODER_HEADS,
                                               arch.decoder_mlp),
        transformer_dim=arch.prompt_dim,
        iou_head_depth=arch.iou_depth,
        iou_head_hidden_dim=arch.iou_hidden)
    return modeling.Sam(encoder, prompts, decoder).eval()


def read_architecture(weights: Mapping[str, Tensor]) -> SAMArchitecture:
    """The architecture that weights fit, by their names and shapes.

    KeyError names a weight that is missing when they are not SAM's.
    """
    embed_dim, _, patch_size, _ = weights[_PATCHES].shape
    grid = weights['image_encoder.pos_embed'].shape[1]
    depth = _count(weights, 'image_encoder.blocks.{}.norm1.weight')
    positions = [
        weights[f'image_encoder.blocks.{i}.attn.rel_pos_h']
        for i in range(depth)
    ]
    # Relative positions of n patches in a row are 2 n - 1.
    sides = [(len(position) + 1) // 2 for position in positions]
    windows = [side for side in sides if side != grid]
    iou_head = 'mask_decoder.iou_prediction_head.layers.{}.weight'
    return SAMArchitecture(
        embed_dim=embed_dim,
        depth=depth,
        num_heads=embed_dim // positions[0].shape[1],
        global_blocks=tuple(i for i, side in enumerate(sides) if side == grid),
        window_size=windows[0] if windows else 0,
        mlp_ratio=len(weights['image_encoder.blocks.0.mlp.lin1.weight']) /
        embed_dim,
        image_size=grid * patch_size,
        patch_size=patch_size,
        prompt_dim=len(weights['image_encoder.neck.0.weight']),
        mask_channels=len(weights['prompt_encoder.mask_downscaling.3.weight']),
        decoder_depth=_count(
            weights, 'mask_decoder.transformer.layers.{}.norm1.weight'),
        decoder_mlp=len(
            weights['mask_decoder.transformer.layers.0.mlp.lin1.weight']),
        iou_depth=_count(weights, iou_head),
        iou_hidden=len(weights[iou_head.format(0)]))


def _count(weights: Mapping[str, Tensor], pattern: str) -> int:
    """Number of names with a running number, at least 1."""
    number = 0
    while pattern.format(number) in weights:
        number += 1
    if number == 0:
        raise KeyError(pattern.format(0))
    return number


def check_model_type(model_type: str) -> None:
    """StoreError unless it is ``auto``, a SAM's name or ``custom``."""
    types = ['auto', *ARCHITECTURES, 'custom']
    if model_type not in types:
        raise StoreError(f'SAM model_type {model_type!r} is unknown; choose '
                         f'one of {", ".join(types)}')


def describe_checkpoint(path: PathLike,
                        model_type: str = 'auto',
                        backend_args: BackendArgs = None) -> Dict[str, str]:
    """``model`` and ``checkpoint_sha256`` of a file, without its weights.

    StoreError when it is missing, damaged, not a SAM, or not the
    ``model_type`` asked for.
    """
    weights = read_weights(path, 'meta', backend_args)
    architecture = _architecture(weights, path, model_type)
    return dict(
        model=architecture.name,
        checkpoint_sha256=sha256_of(path, backend_args))


def load_sam(path: PathLike,
             model_type: str = 'auto',
             backend_args: BackendArgs = None) -> modeling.Sam:
    """Load a SAM on the CPU, in evaluation mode, float32.

    StoreError as in :func:`describe_checkpoint`, or when it has other weights
    than a SAM of its size.
    """
    weights = read_weights(path, 'cpu', backend_args)
    architecture = _architecture(weights, path, model_type)
    sam = build_sam(architecture)
    try:
        sam.load_state_dict(weights)
    except RuntimeError as error:
        raise StoreError(f'{path} does not fit SAM {architecture}: '
                         f'{" ".join(str(error).split())[:300]}') from error
    return sam.float()


def _architecture(weights: Mapping[str, Tensor], path: PathLike,
                  model_type: str) -> SAMArchitecture:
    """Architecture of a file, if it is the wanted one."""
    check_model_type(model_type)
    try:
        found = read_architecture(weights)
    except KeyError as error:
        raise StoreError(
            f'{path} is not a SAM checkpoint: it has no {error.args[0]}; give '
            'one of segment_anything, e.g. sam_vit_b_01ec64.pth') from error
    except (ValueError, IndexError, TypeError, ZeroDivisionError) as error:
        raise StoreError(f'{path} is not a SAM checkpoint: its weights have '
                         f'other shapes ({error})') from error
    if model_type not in ('auto', found.name):
        raise StoreError(f'{path} holds SAM {found}, not {model_type}; set '
                         f'model_type={found.name} or give another file')
    return found
