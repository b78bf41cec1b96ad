"""The network on depth images of DPCo (Li and Heizmann, ECCV 2022).

Shapes: B images, S pixels of an image's edge, H W cells of a map, C channels.
"""
from typing import Sequence

import torch
import torch.nn.functional as F
from mmdet3d.registry import MODELS
from mmdet.models.backbones.resnet import BasicBlock
from mmdet.models.layers import ResLayer
from mmengine.model import BaseModule
from torch import Tensor, nn

# Pixels of a cell, and what the edge of an image must be a multiple of.
STRIDE, MULTIPLE = 8, 32


class RelativeDepthConv(nn.Module):
    """A convolution of how much nearer pixels are than their window's mean.

    Pixels without depth count neither in the mean nor in the sum, so the
    result does not depend on how far away a surface is. As ``NormDepthConv2d``
    of the released code.

    Args:
        channels (int): Channels C.
    """

    size = 7

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(
            torch.empty(channels, 1, self.size, self.size))
        nn.init.kaiming_normal_(self.weight, mode='fan_out')

    def forward(self, depth: Tensor) -> Tensor:
        """Convolve with stride 2.

        Args:
            depth (Tensor): (B, 1, S, S), 0 = none.

        Returns:
            Tensor: (B, C, S / 2, S / 2).
        """
        # (B, 49, S / 2 * S / 2). The mean is subtracted before any product:
        # in half precision, depth itself is rounded to centimeters.
        windows = F.unfold(depth, self.size, padding=self.size // 2, stride=2)
        is_seen = windows > 0
        means = windows.sum(1, True) / is_seen.sum(1, True).clamp(min=1)
        nearer = (means - windows) * is_seen
        edge = (depth.shape[-2] + 1) // 2
        return (self.weight.flatten(1) @ nearer).unflatten(2, (edge, -1))


class Upsample(nn.Sequential):
    """Twice the cells: a transposed convolution and a residual block."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__(
            nn.ConvTranspose2d(in_channels, channels, 2, 2, bias=False),
            nn.BatchNorm2d(channels), nn.LeakyReLU(),
            BasicBlock(channels, channels))


@MODELS.register_module()
class DepthUNet(BaseModule):
    """A ResNet-34 without pooling, and two steps up to a map of stride 8.

    The stem sums convolutions of relative and of absolute depth. The map ends
    with a linear layer, because features of tokens, with which its cells are
    compared, are signed.

    Args:
        out_channels (int): Channels of the map.
        widths (Sequence[int]): Channels of the four stages.
        max_depth (float): What becomes 1, meters.
    """

    def __init__(self,
                 out_channels: int,
                 widths: Sequence[int] = (64, 128, 256, 256),
                 max_depth: float = 8.) -> None:
        super().__init__()
        self.max_depth = max_depth
        first, second, third, last = widths
        self.relative = nn.Sequential(
            RelativeDepthConv(first), nn.BatchNorm2d(first), nn.ReLU())
        self.absolute = nn.Sequential(
            nn.Conv2d(1, first, 7, 2, 3, bias=False), nn.BatchNorm2d(first),
            nn.ReLU())
        self.stages = nn.ModuleList(
            ResLayer(BasicBlock, before, width, blocks, stride=2)
            for before, width, blocks in zip((first, *widths), widths, (3, 4,
                                                                        6, 3)))
        self.up = nn.ModuleList(
            [Upsample(last, last),
             Upsample(third + last, last)])
        self.out = nn.Sequential(
            ResLayer(BasicBlock, second + last, last, 1),
            nn.Conv2d(last, out_channels, 1))

    def forward(self, depth: Tensor) -> Tensor:
        """Features of the cells.

        Args:
            depth (Tensor): (B, 1, S, S) meters, 0 = none; S is a multiple of
                32.

        Returns:
            Tensor: (B, out_channels, S / 8, S / 8).
        """
        depth = depth / self.max_depth
        maps = [self.relative(depth) + self.absolute(depth)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        upper = self.up[0](maps[4])
        upper = self.up[1](torch.cat((maps[3], upper), dim=1))
        return self.out(torch.cat((maps[2], upper), dim=1))
