"""Networks of other code bases, with weights that the user downloads.

Shapes: B scenes, N points, D further columns, M occupied voxels of all
scenes, C channels.
"""
import importlib
import re
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence, Union

import torch
from mmdet3d.registry import MODELS
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...store.checkpoint import CheckpointError, read_checkpoint
from ...store.errors import UserError
from ...store.loading import LoadReport, load_pretrained

# What the authors' READMEs say of their weights.
LICENSES = dict(
    sonata='CC BY-NC 4.0, not for commercial use',
    concerto='CC BY-NC 4.0, not for commercial use',
    utonia='CC BY-NC 4.0, not for commercial use',
    volt='not stated by its authors, ask them')
_XYZ = (0, 1, 2)


class Voxels(NamedTuple):
    """Batch of scenes as Pointcept's networks take it."""

    inputs: Dict[str, Any]  # coord, grid_coord, feat, batch, offset, ...
    voxel_of: Tensor  # (B * N,) int64, voxel of each point


@MODELS.register_module()
class ExternalEncoder(BaseModule):
    """A network of Pointcept's interface as ``encoder`` of a backbone.

    In the place of a ``PointTokenBackbone``'s encoder it gives every detector
    and segmentor the features of its points, by one option:
    ``model.backbone.encoder="dict(_delete_=True, type='ExternalEncoder',
    module='sonata.model:PointTransformerV3', checkpoint='sonata.pth',
    channels=1088, concat_levels=2)"``. ``model.backbone.frozen=True`` keeps
    the network as it was loaded; the projection to ``embed_dims`` learns.

    The network gets a dict with ``coord`` (M, 3), ``feat`` (M, C),
    ``grid_coord`` (M, 3), ``grid_size``, ``batch`` (M,) and ``offset`` (B,),
    one point of each voxel. It returns features (M, C), or a dict with
    ``feat``. Where that is of a coarser level, ``pooling_inverse`` maps the
    level before, ``pooling_parent``, to it, as Pointcept's ``Point`` has it.

    Args:
        module (str): ``'package.module:Class'`` of the network.
        channels (int): Channels of the features it returns, those of
            ``concat_levels`` included.
        checkpoint (Optional[str]): Its weights, loaded strictly. None leaves
            them as initialized.
        arguments (Optional[dict]): Arguments of the class, on top of the
            checkpoint's ``config`` where it has one.
        prefix (Optional[str]): What stands before the names of its weights
            in the file. By default nothing or ``backbone.``, whichever fits.
        feature_columns (Sequence[Optional[int]]): Point column of each input
            channel; 0 to 2 are centered coordinates, None is zero. By
            default coordinates and zeros for color and normal, which
            Sonata, Concerto and Utonia ask for; with colors, between 0 and
            1, in columns 3 to 5: (0, 1, 2, 3, 4, 5, None, None, None).
        grid_size (float): Edge of the voxels, meters. Defaults to 0.02.
        scale (float): Factor of the coordinates before that; Utonia has 0.5
            for rooms, with a ``grid_size`` of 0.01. Defaults to 1.
        concat_levels (int): Over how many levels, from the coarsest, the
            features are concatenated with the coarser ones. Defaults to 0.
        embed_dims (int): Channels of the output. Defaults to 256, which our
            heads take.

    Raises:
        UserError: When the module, the class or an argument is missing.
    """
    reads_points = True  # and no tokens, so that an embedding is not needed

    def __init__(self,
                 module: str,
                 channels: int,
                 checkpoint: Optional[str] = None,
                 arguments: Optional[dict] = None,
                 prefix: Optional[str] = None,
                 feature_columns: Sequence[Optional[int]] = (*_XYZ,
                                                             *(None, ) * 6),
                 grid_size: float = 0.02,
                 scale: float = 1,
                 concat_levels: int = 0,
                 embed_dims: int = 256) -> None:
        super().__init__()
        if grid_size <= 0 or scale <= 0:
            raise UserError(f'ExternalEncoder: grid_size {grid_size} and '
                            f'scale {scale} must be > 0')
        self.module = module
        self.channels = channels
        self.checkpoint = checkpoint
        self.prefix = prefix
        self.feature_columns = tuple(feature_columns)
        self.grid_size = grid_size
        self.scale = scale
        self.concat_levels = concat_levels
        self.embed_dims = embed_dims
        self.network = build_network(module, checkpoint, arguments)
        self.project = nn.Linear(channels, embed_dims)
        self.load_report: Optional[LoadReport] = None

    def init_weights(self) -> None:
        """Load the network's weights and log their license.

        Raises:
            CheckpointError: When file and network do not have the same
                tensors.
        """
        if self.checkpoint is None:
            return
        self.load_report = load_pretrained(
            self.network,
            dict(
                type='Pretrained',
                checkpoint=self.checkpoint,
                prefix=self.prefix))
        extra = _extra_parts(self.load_report.unexpected, self.network,
                             self.prefix)
        if extra:
            raise CheckpointError(
                f'{self.checkpoint} has {len(extra)} tensors that '
                f'{self.module} lacks, such as {extra[0]}: pass the arguments '
                'that it was trained with')
        print_log(f'{self.checkpoint}: {self.license()}', logger='current')

    def license(self) -> str:
        """Return what is known of the license of the weights."""
        words = re.split(r'[\W_]', f'{self.module} {self.checkpoint}'.lower())
        known = next((name for name in LICENSES if name in words), None)
        if known is None:
            return 'license of these weights: unknown, see their source'
        return f'license of {known.title()} weights: {LICENSES[known]}'

    def summary(self) -> str:
        """Return network, weights and unused inputs for the log."""
        weights = 'no pretrained weights'
        if self.load_report is not None:
            weights = (f'pretrained {self.load_report.source}, '
                       f'{self.load_report.summary()}, {self.license()}')
        zeros = self.feature_columns.count(None)
        unused = f', {zeros} input channels are zero' if zeros else ''
        return f'{self.module}, {weights}{unused}'

    def point_features(self, points: Tensor) -> Tensor:
        """Run the network.

        Args:
            points (Tensor): (B, N, 3 + D) xyz in meters, then any columns.

        Returns:
            Tensor: (B, N, channels). Points of one voxel share a feature.

        Raises:
            UserError: When points lack a column, or the network returns
                something else than is expected of it.
        """
        voxels = self.voxelize(points)
        features = upcast(self.network(voxels.inputs), self.concat_levels)
        expected = (len(voxels.inputs['coord']), self.channels)
        if tuple(features.shape) != expected:
            raise UserError(
                f'{self.module} gave features {tuple(features.shape)} for '
                f'{expected[0]} voxels and channels={expected[1]}: set '
                'channels and concat_levels of ExternalEncoder')
        return features[voxels.voxel_of].unflatten(0, points.shape[:2])

    def forward(self, points: Tensor) -> Tensor:
        """Run the network and project its features.

        Args:
            points (Tensor): (B, N, 3 + D), see :meth:`point_features`.

        Returns:
            Tensor: (B, N, embed_dims).
        """
        return self.project(self.point_features(points))

    def voxelize(self, points: Tensor) -> Voxels:
        """Center the scenes and take the first point of each voxel.

        As Pointcept's ``CenterShift`` and ``GridSample``: x and y from the
        middle of the scene, z from its lowest point.

        Args:
            points (Tensor): (B, N, 3 + D) xyz in meters, then any columns.

        Returns:
            Voxels: Sorted by scene.
        """
        batch_size, num_points, width = points.shape
        if max((c for c in self.feature_columns if c is not None),
               default=0) >= width:
            raise UserError(
                f'points have {width} columns, and feature_columns of '
                f'ExternalEncoder names {self.feature_columns}: load more '
                '(use_dim of LoadPointsFromFile) or name None')
        coord = points[..., :3] * self.scale
        low, high = coord.amin(1, keepdim=True), coord.amax(1, keepdim=True)
        origin = torch.cat([((low + high) / 2)[..., :2], low[..., 2:]], -1)
        coord = coord - origin
        cells = (coord / self.grid_size).floor().long()
        cells = (cells - cells.amin(1, keepdim=True)).flatten(0, 1)
        sides = cells.amax(0) + 1
        scene = torch.arange(
            batch_size, device=points.device).repeat_interleave(num_points)
        keys = scene
        for axis in range(3):
            keys = keys * sides[axis] + cells[:, axis]
        voxel_of = keys.unique(return_inverse=True)[1]
        order = torch.arange(len(keys), device=points.device)
        first = torch.full_like(order, len(keys)).scatter_reduce_(
            0, voxel_of, order, 'amin')
        first = first[first < len(keys)]
        values = torch.cat([coord, points[..., 3:]], -1).flatten(0, 1)[first]
        zero = torch.zeros_like(values[:, 0])
        feat = torch.stack([
            zero if column is None else values[:, column]
            for column in self.feature_columns
        ], 1)
        batch = scene[first]
        return Voxels(
            dict(
                coord=values[:, :3].contiguous(),
                feat=feat,
                grid_coord=cells[first],
                grid_size=self.grid_size,
                batch=batch,
                offset=batch.bincount(minlength=batch_size).cumsum(0)),
            voxel_of)


def build_network(module: str,
                  checkpoint: Optional[str] = None,
                  arguments: Optional[dict] = None) -> nn.Module:
    """Build a network that a path names.

    Args:
        module (str): ``'package.module:Class'``.
        checkpoint (Optional[str]): A file whose ``config``, if it has one,
            are arguments.
        arguments (Optional[dict]): Further ones, which come first.

    Returns:
        nn.Module: With weights as initialized.

    Raises:
        UserError: When there is no such module or class, or it does not take
            the arguments.
    """
    path, _, name = module.partition(':')
    if not path or not name:
        raise UserError(f'module {module!r} of ExternalEncoder names no '
                        "class: write 'package.module:Class'")
    try:
        network = getattr(importlib.import_module(path), name)
    except ImportError as error:
        raise UserError(
            f'{path} of ExternalEncoder cannot be imported ({error}): install '
            'it or add its folder to PYTHONPATH') from error
    except AttributeError as error:
        raise UserError(f'{path} has no class {name}: check module of '
                        'ExternalEncoder') from error
    config: Any = {}
    if checkpoint is not None:
        config = read_checkpoint(checkpoint).get('config') or {}
    try:
        return network(**{**config, **(arguments or {})})
    except (TypeError, ValueError) as error:
        raise UserError(f'{module} does not take these arguments ({error}): '
                        'check arguments of ExternalEncoder') from error


def upcast(output: Union[Tensor, Mapping], concat_levels: int = 0) -> Tensor:
    """Bring features of a coarse level back to the network's input.

    Args:
        output (Union[Tensor, Mapping]): Features (M, C), or ``feat`` of the
            coarsest level with ``pooling_parent`` and ``pooling_inverse``.
        concat_levels (int): At how many levels, from the coarsest, the
            level's own features are put before the coarser ones. Defaults
            to 0.

    Returns:
        Tensor: (M, C).

    Raises:
        UserError: When it is neither, or has too few levels.
    """
    point: Any = dict(feat=output) if isinstance(output, Tensor) else output
    if not isinstance(point, Mapping) or 'feat' not in point:
        raise UserError('the network of ExternalEncoder gave '
                        f'{type(output).__name__}, not a tensor or a dict '
                        "with 'feat': name the class of its backbone")
    features, level = point['feat'], 0
    while point.get('pooling_parent') is not None:
        features = features[point['pooling_inverse']]
        point = point['pooling_parent']
        if level < concat_levels:
            features = torch.cat([point['feat'], features], dim=-1)
        level += 1
    if level < concat_levels:
        raise UserError(f'concat_levels={concat_levels}, but the network of '
                        f'ExternalEncoder gave {level} coarser levels: lower '
                        'it, or pass arguments that trace the pooling')
    return features


def _extra_parts(unexpected: Sequence[str], network: nn.Module,
                 prefix: Optional[str]) -> Sequence[str]:
    """Tensors of the network's own parts that the network lacks."""
    parts = {name.split('.')[0] for name in network.state_dict()}
    prefix = 'backbone.' if prefix is None else f'{prefix.rstrip(".")}.'
    return [
        name for name in unexpected
        if name.removeprefix(prefix).split('.')[0] in parts
    ]
