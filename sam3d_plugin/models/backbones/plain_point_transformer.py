"""A plain transformer over point tokens."""
from typing import Any, List, Optional, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from mmcv.cnn.bricks import DropPath
from mmdet3d.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...store.errors import UserError
from .token_packing import TokenPacking, find_packing

try:
    from torch.nn.attention import varlen
except ImportError:  # torch < 2.10
    varlen = None  # type: ignore[assignment]


def runs_ragged(values: Tensor) -> bool:
    """Whether torch attends to scenes of unequal length without padding."""
    return (varlen is not None and values.is_cuda
            and values.dtype in (torch.float16, torch.bfloat16)
            and torch.cuda.get_device_capability(values.device) >= (8, 0))


class TransformerBlock(BaseModule):
    """Pre-norm self-attention and MLP, each with a residual.

    Args:
        embed_dims (int): Channels C.
        num_heads (int): Attention heads, a divisor of C.
        mlp_ratio (float): Width of the MLP over C.
        drop_path (float): Probability of dropping a residual branch.
    """

    def __init__(self, embed_dims: int, num_heads: int, mlp_ratio: float,
                 drop_path: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        hidden_dims = int(embed_dims * mlp_ratio)
        self.norm1 = nn.LayerNorm(embed_dims)
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)
        self.norm2 = nn.LayerNorm(embed_dims)
        self.mlp = nn.Sequential(
            nn.Linear(embed_dims, hidden_dims), nn.GELU(),
            nn.Linear(hidden_dims, embed_dims))
        self.drop_path = DropPath(drop_path)

    def forward(self,
                x: Tensor,
                packing: Optional[TokenPacking] = None) -> Tensor:
        """Mix the tokens of each scene.

        Args:
            x (Tensor): (B, G, C), or with a packing (T, C).
            packing (Optional[TokenPacking]): Of scenes with padding.

        Returns:
            Tensor: Like ``x``.
        """
        x = x + self._drop(self._attend(self.norm1(x), packing), packing)
        return x + self._drop(self.mlp(self.norm2(x)), packing)

    def _attend(self, x: Tensor, packing: Optional[TokenPacking]) -> Tensor:
        qkv = self.qkv(x)
        if packing is not None and runs_ragged(qkv):
            query, key, value = qkv.unflatten(
                -1, (3, self.num_heads, -1)).unbind(1)
            mixed: Any = varlen.varlen_attn(query, key, value, packing.starts,
                                            packing.starts, packing.longest,
                                            packing.longest)
            return self.proj(mixed.flatten(1))
        if packing is not None:
            qkv = packing.pad(qkv)
        qkv = qkv.unflatten(-1, (3, self.num_heads, -1))
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=None if packing is None else packing.is_key)
        mixed = mixed.transpose(1, 2).flatten(2)
        if packing is not None:
            mixed = packing.pack(mixed)
        return self.proj(mixed)

    def _drop(self, branch: Tensor, packing: Optional[TokenPacking]) -> Tensor:
        """Drop path, the same for all tokens of a scene."""
        if packing is None:
            return self.drop_path(branch)
        ones = branch.new_ones((packing.shape[0], 1), dtype=torch.float32)
        factor = self.drop_path(ones).index_select(0, packing.scenes)
        return (branch * factor).to(branch.dtype)


@MODELS.register_module()
class PlainPointTransformer(BaseModule):
    """The plain transformer encoder of Bridge3D.

    See docs/method.md, "Embedding and encoder".

    A position embedding of the token centers is added before every block.

    Args:
        embed_dims (int): Channels C. Defaults to 256.
        depth (int): Number of blocks. Defaults to 3.
        num_heads (int): Attention heads. Defaults to 4.
        mlp_ratio (float): Width of the MLP over C. Defaults to 2.
        position_dims (int): Hidden width of the position MLP. Defaults
            to 128.
        drop_path (float): Drop path rate, the same in every block. Defaults
            to 0.1.
        position_init (str): How the position MLP starts: as torch does
            by ``'default'``, or ``'as_published'``, like all other layers,
            which leaves the embedding about fifty times smaller. Defaults to
            ``'default'``.
        init_cfg (Optional[dict]): Initialization config. By default linear
            layers are truncated normal with std 0.02.
    """

    def __init__(
        self,
        embed_dims: int = 256,
        depth: int = 3,
        num_heads: int = 4,
        mlp_ratio: float = 2.,
        position_dims: int = 128,
        drop_path: float = 0.1,
        position_init: str = 'default',
        init_cfg: Optional[dict] = dict(
            type='TruncNormal', layer='Linear', std=.02)
    ) -> None:
        super().__init__(init_cfg)
        if position_init not in ('default', 'as_published'):
            raise UserError(f'position_init {position_init!r} is unknown; '
                            "choose 'default' or 'as_published'")
        self.embed_dims = embed_dims
        self.position_init = position_init
        self.position_embedding = nn.Sequential(
            nn.Linear(3, position_dims), nn.GELU(),
            nn.Linear(position_dims, embed_dims))
        self.blocks = nn.ModuleList(
            TransformerBlock(embed_dims, num_heads, mlp_ratio, drop_path)
            for _ in range(depth))
        self.norm = nn.LayerNorm(embed_dims)

    def init_weights(self) -> None:
        """Initialize; the position MLP apart where it has its own start."""
        super().init_weights()
        if self.position_init == 'default':
            for layer in self.position_embedding.children():
                if isinstance(layer, nn.Linear):
                    layer.reset_parameters()

    def forward(self,
                x: Tensor,
                centers: Tensor,
                is_padding: Optional[Tensor] = None,
                num_tokens: Optional[np.ndarray] = None) -> Tensor:
        """Encode the tokens.

        Args:
            x (Tensor): (B, G, C) token features.
            centers (Tensor): (B, G, 3) token centers, meters.
            is_padding (Optional[Tensor]): (B, G) bool, True for tokens that
                are never attended to; what they encode is undefined.
            num_tokens (Optional[np.ndarray]): (B,) tokens of each scene,
                where the CPU knows them (see :class:`PointTokens`).

        Returns:
            Tensor: (B, G, C) after the last norm.
        """
        return self.encode_depths(x, centers, [len(self.blocks)], is_padding,
                                  num_tokens)[0]

    def encode_depths(self,
                      x: Tensor,
                      centers: Tensor,
                      depths: Sequence[int],
                      is_padding: Optional[Tensor] = None,
                      num_tokens: Optional[np.ndarray] = None) -> List[Tensor]:
        """Encode the tokens and keep the outputs of some blocks.

        Args:
            x (Tensor): (B, G, C) token features.
            centers (Tensor): (B, G, 3) token centers, meters.
            depths (Sequence[int]): After which blocks, counted from 1.
            is_padding (Optional[Tensor]): As in :meth:`forward`.
            num_tokens (Optional[np.ndarray]): As in :meth:`forward`.

        Returns:
            List[Tensor]: (B, G, C) for each of ``depths``, all after the one
            last norm.
        """
        packing = None
        if is_padding is not None:
            packing = find_packing(is_padding, num_tokens)
        if packing is not None:
            x, centers = packing.pack(x), packing.pack(centers)
        position = self.position_embedding(centers)
        after = {}
        for depth, block in enumerate(self.blocks, start=1):
            x = block(x + position, packing)
            if depth in depths:
                after[depth] = self.norm(x)
                if packing is not None:
                    after[depth] = packing.pad(after[depth])
        return [after[depth] for depth in depths]
