"""Layers of sparse voxel networks.

Shapes: V voxels, C channels.
"""
import math
from typing import List, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam3d_plugin.ops.voxels import KernelMap, VoxelGrid, sparse_conv


class VoxelNorm(nn.BatchNorm1d):
    """Batch norm over the voxels of a batch.

    A small scene may be one voxel at the coarsest resolution, which has no
    variance: its norm then takes the statistics gathered so far.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalize (V, C)."""
        if self.training and len(input) == 1:
            return F.batch_norm(
                input,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                eps=self.eps)
        return super().forward(input)


class SparseWeights(nn.Module):
    """Weights of a kernel, without bias.

    Args:
        num_offsets (int): Offsets K of the kernel.
        in_channels (int): C.
        out_channels (int): C'.
    """

    def __init__(self, num_offsets: int, in_channels: int,
                 out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(
            torch.empty(num_offsets, in_channels, out_channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw as He et al. (ICCV 2015) do, by the number of outputs."""
        num_offsets, _, out_channels = self.weight.shape
        nn.init.normal_(
            self.weight, std=math.sqrt(2 / (num_offsets * out_channels)))

    def forward(self, features: Tensor, kernel_map: KernelMap) -> Tensor:
        """Convolve (V, C) to (V', C')."""
        return sparse_conv(features, self.weight, kernel_map)


class SparseConv(SparseWeights):
    """A convolution whose output voxels are its input voxels.

    Args:
        in_channels (int): C.
        out_channels (int): C'.
        kernel_size (int): 1, 3 or 5. Defaults to 3.
    """

    def __init__(self,
                 in_channels: int,
                 out_channels: int,
                 kernel_size: int = 3) -> None:
        super().__init__(kernel_size**3, in_channels, out_channels)
        self.kernel_size = kernel_size

    def forward(  # type: ignore[override]
            self, features: Tensor, grid: VoxelGrid) -> Tensor:
        """Convolve (V, C) to (V, C')."""
        return super().forward(features, grid.neighborhood(self.kernel_size))


class SparseStep(nn.Module):
    """To the next resolution and back: kernel and stride 2, norm, ReLU.

    Args:
        in_channels (int): C.
        out_channels (int): C'.
        momentum (float): Of the norms.
    """

    def __init__(self, in_channels: int, out_channels: int,
                 momentum: float) -> None:
        super().__init__()
        self.conv = SparseWeights(8, in_channels, out_channels)
        self.norm = VoxelNorm(out_channels, momentum=momentum)

    def forward(self, features: Tensor, kernel_map: KernelMap) -> Tensor:
        """(V, C) to (V', C') by the map of ``VoxelGrid.coarser``.

        Down with the map, up with its reverse.
        """
        return self.norm(self.conv(features, kernel_map)).relu()


class SparseBasicBlock(nn.Module):
    """Two convolutions around which the input is added (He et al., 2016).

    Args:
        in_channels (int): C.
        out_channels (int): C'. Where it differs, a linear layer and a norm
            widen the input.
        momentum (float): Of the norms.
    """

    def __init__(self, in_channels: int, out_channels: int,
                 momentum: float) -> None:
        super().__init__()
        self.conv1 = SparseConv(in_channels, out_channels)
        self.norm1 = VoxelNorm(out_channels, momentum=momentum)
        self.conv2 = SparseConv(out_channels, out_channels)
        self.norm2 = VoxelNorm(out_channels, momentum=momentum)
        self.shortcut = nn.Identity() if in_channels == out_channels else \
            nn.Sequential(
                nn.Linear(in_channels, out_channels, bias=False),
                VoxelNorm(out_channels, momentum=momentum))

    def forward(self, features: Tensor, grid: VoxelGrid) -> Tensor:
        """(V, C) to (V, C')."""
        hidden = self.norm1(self.conv1(features, grid)).relu()
        hidden = self.norm2(self.conv2(hidden, grid))
        return (hidden + self.shortcut(features)).relu()


class SparseBlocks(nn.Module):
    """Basic blocks of one resolution.

    Args:
        in_channels (int): C of the first.
        out_channels (int): C' of all.
        num_blocks (int): How many.
        momentum (float): Of the norms.
    """

    def __init__(self, in_channels: int, out_channels: int, num_blocks: int,
                 momentum: float) -> None:
        super().__init__()
        widths = (in_channels, *[out_channels] * num_blocks)
        self.blocks = nn.ModuleList(
            SparseBasicBlock(*pair, momentum)
            for pair in zip(widths, widths[1:]))

    def forward(self, features: Tensor, grid: VoxelGrid) -> Tensor:
        """(V, C) to (V, C')."""
        for block in self.blocks:
            features = block(features, grid)
        return features


def voxel_levels(grid: VoxelGrid,
                 depth: int) -> Tuple[List[VoxelGrid], List[KernelMap]]:
    """The grid and ``depth`` coarser ones, and the maps between them."""
    grids, maps = [grid], []
    for _ in range(depth):
        grid, kernel_map = grid.coarser()
        grids.append(grid)
        maps.append(kernel_map)
    return grids, maps
