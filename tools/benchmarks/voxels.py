"""Time of sparse convolutions, and of training steps of sparse U-Nets.

Takes 20,000 points of a frame of SynthRooms, in voxels of several sizes.
Convolutions of Res16UNet34C, with and without backward, are compared with
spconv where it is installed, and with a dense convolution of the voxels'
bounding box where that has up to 20 million values. Neighbors are found
before; ``neighbors`` is the time that takes for all 27 offsets. Times are the
shortest of several runs, which take turns; on one thread they are those of
the processor. ``steps`` are forward, backward and SGD of a whole network on
the frame, neighbors included.
"""
import argparse
import tempfile
import time
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from torch import Tensor

from sam3d_plugin.models.backbones import SparseVoxelUNet
from sam3d_plugin.ops.projection import back_project, transform
from sam3d_plugin.ops.random_state import seeded
from sam3d_plugin.ops.voxels import VoxelGrid, sparse_conv, voxelize
from sam3d_plugin.preparation.running.runs import RunOptions, run_step
from sam3d_plugin.store.posed_images import PosedImages
from sam3d_plugin.synthrooms import SynthOptions, SynthRoomsStep
from tools.benchmarks import measuring

# Voxel size in meters, channels, kernel: 3 for neighbors, 2 for a step down.
LAYERS = ((0.025, 32, 3), (0.025, 96, 3), (0.025, 32, 2), (0.05, 96, 3),
          (0.1, 96, 3), (0.1, 256, 3))
MINI = dict(
    stem_channels=8,
    encoder_channels=(8, 16, 32, 64),
    decoder_channels=(64, 32, 24, 24))
# Name of the network, its settings, voxel size in meters.
STEPS: Tuple[Tuple[str, Dict[str, Any], float],
             ...] = (('Res16UNet34C', {}, 0.025), ('Res16UNet34C', {}, 0.05),
                     ('Res16UNet34C', {},
                      0.1), ('Res16UNet34C, a quarter as wide', MINI, 0.1))
MOST_DENSE = 20_000_000
Run = Callable[[], Tensor]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the option of this part."""
    parser.add_argument(
        '--only', choices=('layers', 'steps'), help='a part of the figures')


def measure(args: argparse.Namespace) -> Dict[str, Any]:
    """Figures of all layers and steps, or of one kind."""
    points = frame_points(1_000 if args.quick else 20_000).to(args.device)
    spconv, note = import_spconv()
    figures: Dict[str, Any] = dict(points=points.shape[1], spconv=note)
    if args.only != 'steps':
        figures['layers'] = [
            measure_layer(build_layer(points, *layer), spconv, args)
            for layer in LAYERS
        ]
    if args.only != 'layers':
        figures['steps'] = [
            measure_step(points, *step, args)
            for step in (STEPS[-1:] if args.quick else STEPS)
        ]
    return figures


def frame_points(num_points: int) -> Tensor:
    """Points (1, N, 3) of a rendered frame, world frame, meters."""
    with tempfile.TemporaryDirectory() as folder:
        step = SynthRoomsStep(0, 1, 0, SynthOptions(3, (240, 320)))
        run_step(step, folder, RunOptions(workers=0), Console(quiet=True))
        images = PosedImages(f'{folder}/posed_images')
        scan = step.scans()[0]
        name = images.frames(scan)[0]
        depth = images.read_depth(scan, name)
        pixels = np.flatnonzero(depth > 0)
        chosen = np.random.default_rng(0).choice(pixels, num_points, False)
        xyz = back_project(depth,
                           images.cameras(scan).depth_intrinsics, chosen)
        xyz = transform(xyz, images.read_pose(scan, name))
    return torch.tensor(xyz, dtype=torch.float32)[None]


def import_spconv() -> Tuple[Any, str]:
    """The library and its version, or None and why there is none.

    On a CPU its backward asks torch for the stream of a GPU, which it then
    does not use: it gets 0.
    """
    try:
        import spconv
        from spconv import pytorch
        from spconv.pytorch import ops
    except (ImportError, OSError, AttributeError) as error:
        return None, f'{type(error).__name__}: {error}'
    if not torch.cuda.is_available():
        ops.get_current_stream = lambda: 0
    return pytorch, spconv.__version__


class Layer(NamedTuple):
    """A convolution at one size."""
    grid: VoxelGrid
    voxel_size: float
    kernel: int
    features: Tensor  # (V, C)
    weight: Tensor  # (K, C, C)

    @property
    def map(self) -> Any:
        """KernelMap: Of the layer's kernel."""
        return self.grid.neighborhood(
            3) if self.kernel == 3 else self.grid.coarser()[1]


def build_layer(points: Tensor, voxel_size: float, channels: int,
                kernel: int) -> Layer:
    """Random features and weights of a layer; maps are computed."""
    grid = voxelize(points, voxel_size)[0]
    with seeded(0):
        features = torch.randn(len(grid), channels)
        weight = torch.randn(kernel**3, channels, channels) / channels
    layer = Layer(grid, voxel_size, kernel,
                  features.to(points.device).requires_grad_(),
                  weight.to(points.device).requires_grad_())
    assert layer.map is layer.map  # computed, and kept
    return layer


def ours(layer: Layer) -> Run:
    """The convolution of this package."""
    return lambda: sparse_conv(layer.features, layer.weight, layer.map)


def with_spconv(layer: Layer, spconv: Any) -> Run:
    """The convolution of spconv, whose rows may be in another order."""
    channels = layer.features.shape[1]
    places = layer.grid.coordinates
    # Even, so that steps down are the same.
    places = places - places.amin(0).div(2, rounding_mode='floor') * 2
    indices = torch.cat([layer.grid.scenes[:, None], places], 1).int()
    kind, stride = (spconv.SubMConv3d,
                    1) if layer.kernel == 3 else (spconv.SparseConv3d, 2)
    conv = kind(
        channels,
        channels,
        layer.kernel,
        stride=stride,
        bias=False,
        indice_key='map',
        algo=spconv.ConvAlgo.Native).to(places.device)
    shape = [layer.kernel] * 3
    with torch.no_grad():
        conv.weight.copy_(layer.weight.permute(2, 0, 1).unflatten(1, shape))
    size = (places.amax(0) + 2).tolist()
    tensor = spconv.SparseConvTensor(layer.features, indices, size, 1)
    conv(tensor)  # finds the neighbors, and keeps them in the tensor
    kept = tensor.indice_dict

    def run() -> Tensor:
        given = spconv.SparseConvTensor(layer.features, indices, size, 1)
        given.indice_dict = kept
        return conv(given).features

    return run


def dense(layer: Layer) -> Optional[Run]:
    """A convolution of the bounding box; None if that is too large."""
    places = layer.grid.coordinates
    places = places - places.amin(0).div(2, rounding_mode='floor') * 2
    size = (places.amax(0) + 2).div(2, rounding_mode='floor') * 2
    channels = layer.features.shape[1]
    if int(size.prod()) * channels > MOST_DENSE:
        return None
    values = layer.features.new_zeros((1, *size.tolist(), channels))
    x, y, z = places.unbind(1)
    values[0, x, y, z] = layer.features.detach()
    values = values.permute(0, 4, 1, 2, 3).contiguous().requires_grad_()
    weight = layer.weight.detach().permute(2, 1, 0)
    weight = weight.unflatten(2, [layer.kernel] * 3).contiguous()
    weight.requires_grad_()
    if layer.kernel == 3:
        return lambda: F.conv3d(values, weight, padding=1)
    return lambda: F.conv3d(values, weight, stride=2)


def with_backward(run: Run) -> Callable[[], None]:
    """A convolution, and the gradients of its sum."""
    return lambda: run().sum().backward()


def measure_layer(layer: Layer, spconv: Any,
                  args: argparse.Namespace) -> Dict[str, Any]:
    """Milliseconds of a layer in every implementation."""
    calls = dict(ours=ours(layer), dense=dense(layer))
    if spconv is not None:
        calls['spconv'] = with_spconv(layer, spconv)
    found = {name: call for name, call in calls.items() if call is not None}
    figures: Dict[str, Any] = dict(
        voxel_size=layer.voxel_size,
        kernel=layer.kernel,
        voxels=len(layer.grid),
        channels=layer.features.shape[1],
        pairs=len(layer.map.in_rows))
    keys = layer.grid.keys
    timed: Dict[str, Dict[str, Callable[[], Any]]] = {
        'neighbors': {
            'ours': lambda: VoxelGrid(keys).neighborhood(3)
        },
        'forward': {
            n: torch.no_grad()(c)
            for n, c in found.items()
        },
        'both': {
            n: with_backward(c)
            for n, c in found.items()
        }
    }
    for kind, runs in timed.items():
        figures[f'{kind}_ms'] = {
            name: 1000 * seconds
            for name, seconds in shortest(runs, args).items()
        }
    return figures


def shortest(calls: Dict[str, Callable[[], Any]],
             args: argparse.Namespace) -> Dict[str, float]:
    """Seconds of the shortest run; of the processor on one thread."""
    is_single = args.device == 'cpu' and torch.get_num_threads() == 1
    times = measuring.run_times(
        calls,
        args.device,
        args.rounds,
        clock=time.process_time if is_single else time.perf_counter)
    return {name: min(runs) for name, runs in times.items()}


def measure_step(points: Tensor, name: str, settings: Dict[str, Any],
                 voxel_size: float,
                 args: argparse.Namespace) -> Dict[str, Any]:
    """Seconds of a training step, of the clock and of the processor."""
    with seeded(0):
        unet = SparseVoxelUNet(out_channels=32, **settings).to(args.device)
    optimizer = torch.optim.SGD(unet.parameters(), 0.1, momentum=0.8)

    def step() -> None:
        optimizer.zero_grad()
        grid = voxelize(points, voxel_size)[0]
        inputs = points.new_ones(len(grid), unet.in_channels)
        unet(inputs, grid).square().mean().backward()
        optimizer.step()

    figures: Dict[str, Any] = dict(
        network=name,
        voxel_size=voxel_size,
        voxels=len(voxelize(points, voxel_size)[0]),
        parameters=sum(p.numel() for p in unet.parameters()))
    for kind, clock in (('wall_s', time.perf_counter), ('cpu_s',
                                                        time.process_time)):
        times = measuring.run_times({'': step},
                                    args.device,
                                    args.rounds,
                                    clock=clock)
        figures[kind] = min(times[''])
    return figures
