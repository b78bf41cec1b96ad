"""What PiMAE predicts of images: pixels, and features at points.

Chen et al., PiMAE, CVPR 2023, section 3.

Shapes: B scenes, N points, G tokens of K points, P patches of an image of
H W pixels, S pixels of a patch's side, D channels.
"""
from typing import Dict, NamedTuple, Optional, Tuple

from mmdet3d.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from sam3d_plugin.models.heads import frame_mean
from sam3d_plugin.models.heads.defaults import LINEAR_INIT
from sam3d_plugin.ops.image_sampling import sample_image
from sam3d_plugin.store.errors import UserError
from sam3d_plugin.structures import PointTokens
from .branches import patchify


class FrameImages(NamedTuple):
    """Images of a batch, and where they show its points."""

    pixels: Tensor  # (B, 3, H, W), standardized
    uv: Tensor  # (B, N, 2) pixels of the points
    is_seen: Tensor  # (B, N) bool, False where the image does not show them


@MODELS.register_module()
class PatchHead(BaseModule):
    """Pixels of hidden patches by one linear layer.

    Args:
        in_channels (int): Channels D. Defaults to 192.
        patch_size (int): S. Defaults to 16.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 in_channels: int = 192,
                 patch_size: int = 16,
                 init_cfg: Optional[dict] = LINEAR_INIT) -> None:
        super().__init__(init_cfg)
        self.patch_size = patch_size
        self.proj = nn.Linear(in_channels, 3 * patch_size**2)

    def forward(self, decoded: Tensor) -> Tensor:
        """Patches (B, P, 3 S S), as ``patchify`` has them, of (B, P, D)."""
        return self.proj(decoded)

    def loss(self, decoded: Tensor, pixels: Tensor,
             is_hidden: Tensor) -> Dict[str, Tensor]:
        """Squared error of the hidden patches: ``loss_image``.

        Args:
            decoded (Tensor): (B, P, D).
            pixels (Tensor): (B, 3, H, W), standardized.
            is_hidden (Tensor): (B, P) bool.

        Returns:
            Dict[str, Tensor]: ``loss_image``.
        """
        targets = patchify(pixels, self.patch_size)
        errors = (self(decoded).float() - targets).square().mean(-1)
        return dict(loss_image=frame_mean(errors, is_hidden))


@MODELS.register_module()
class ProjectedFeatureHead(BaseModule):
    """Image features at the points of masked tokens by one linear layer.

    Args:
        num_points (int): Points K' of a token whose pixels count: its first,
            which are the nearest to the center in tokens of
            ``KNNTokenizer``. Defaults to 32.
        in_channels (int): Channels D. Defaults to 192.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 num_points: int = 32,
                 in_channels: int = 192,
                 init_cfg: Optional[dict] = LINEAR_INIT) -> None:
        super().__init__(init_cfg)
        self.num_points = num_points
        self.proj = nn.Linear(in_channels, num_points * in_channels)

    def forward(self, decoded: Tensor) -> Tensor:
        """Features (M, K', D) of tokens (M, D)."""
        return self.proj(decoded).unflatten(-1, (self.num_points, -1))

    def loss(self, decoded: Tensor, patches: Tensor, is_masked: Tensor,
             tokens: PointTokens, images: FrameImages) -> Dict[str, Tensor]:
        """Squared error at the points that the image shows.

        Args:
            decoded (Tensor): (B, G, D) of the tokens.
            patches (Tensor): (B, P, D), which get no gradient.
            is_masked (Tensor): (B, G) bool.
            tokens (PointTokens): All tokens, of K points each.
            images (FrameImages): Where the points are.

        Returns:
            Dict[str, Tensor]: ``loss_feature``; tokens that the image does
            not show do not count.

        Raises:
            UserError: When tokens have fewer points.
        """
        uv, is_seen = self._locate(tokens, images)
        targets = sample_patches(patches.detach(), images, uv.flatten(1, 2))
        targets = targets.unflatten(1, is_seen.shape[1:])
        places = is_masked.nonzero(as_tuple=True)
        errors = (self(decoded[places]).float() - targets[places]).square()
        is_counted = is_seen[places]
        errors = (errors.mean(-1) * is_counted).sum(1)
        losses = errors.new_zeros(is_masked.shape).index_put(
            places, errors / is_counted.sum(1).clamp(min=1))
        return dict(
            loss_feature=frame_mean(losses, is_masked & is_seen.any(-1)))

    def _locate(self, tokens: PointTokens,
                images: FrameImages) -> Tuple[Tensor, Tensor]:
        """Pixels (B, G, K', 2) of the points, and which are seen."""
        shape = tokens.is_padding.shape
        size = len(tokens.member_points) // tokens.is_padding.numel()
        if size < self.num_points:
            raise UserError(f'tokens have {size} points, feature_head wants '
                            f'{self.num_points}: lower its num_points')
        points = tokens.member_points.view(-1, size)[:, :self.num_points]
        uv = images.uv.flatten(0, 1)[points].unflatten(0, shape)
        return uv, images.is_seen.flatten()[points].unflatten(0, shape)


def sample_patches(patches: Tensor, images: FrameImages, uv: Tensor) -> Tensor:
    """Values (B, M, D) of a map of patches (B, P, D) at pixels (B, M, 2)."""
    height, width = images.pixels.shape[2:]
    side = int((height * width / patches.shape[1])**.5)
    cells = patches.transpose(1, 2).unflatten(2, (height // side, -1))
    return sample_image(cells, uv, (height, width))
