"""What Bridge3D predicts, from the stores of a data set.

Shapes: B frames, N points, G tokens of K points, R regions, C channels.
"""
from typing import List, NamedTuple, Optional, Sequence

import torch
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample
from torch import Tensor, nn

from sam3d_plugin.datasets.transforms.load_frame_labels import CLASSES
from sam3d_plugin.models.target_generators import (NeighborhoodTargets,
                                                   RegionFeatureTargets,
                                                   RegionTargets)
from sam3d_plugin.ops.transfer import require, to_device
from sam3d_plugin.store.class_embeddings import read_class_embeddings
from sam3d_plugin.store.errors import UserError
from sam3d_plugin.structures import PointTokens

# Neither this class nor the unknown ones below 0 are foreground.
BACKGROUND = 0


class FrameTargets(NamedTuple):
    """Targets of a batch."""

    neighborhoods: Tensor  # (B, G, K, 3) meters from the center
    regions: RegionTargets  # Image features; their groups are classes
    scene_image: Tensor  # (B, C) float32 image feature of the frame
    is_foreground: Tensor  # (B, G) bool, False for padding
    # (B, G, C') text feature of the token's class, if classes are read
    class_text: Optional[Tensor]


@MODELS.register_module()
class Bridge3DTargets(nn.Module):
    """Neighborhoods, image features, and text features of classes.

    Without text all tokens in a region are foreground. Images and text are
    never compared, and may be of different models.

    Args:
        class_embeddings (Optional[str]): File of the text features of the
            classes (see ``sam3d_plugin.store.class_embeddings``), in any
            order. Needs the class of each region, which
            ``LoadRegionTargets`` reads from the column ``classes`` as
            ``group_ids``. Defaults to None.
        classes (Sequence[str]): Names of these classes, from number 0 on,
            the background. Defaults to the 20 of ScanNet, as published.
    """

    uses_regions = True

    def __init__(self,
                 class_embeddings: Optional[str] = None,
                 classes: Sequence[str] = CLASSES) -> None:
        super().__init__()
        self.neighborhoods = NeighborhoodTargets()
        self.regions = RegionFeatureTargets()
        self.class_text: Optional[Tensor] = None
        if class_embeddings is not None:
            found = read_class_embeddings(class_embeddings, classes)
            self.class_text = torch.from_numpy(found.embeddings)

    @torch.no_grad()
    def forward(self, points: Tensor, tokens: PointTokens,
                data_samples: Sequence[Det3DDataSample]) -> FrameTargets:
        """Collect the targets.

        Args:
            points (Tensor): (B, N, 3) xyz, meters.
            tokens (PointTokens): Tokens with region ids.
            data_samples (Sequence[Det3DDataSample]): B frames with
                ``regions``: ids, features, areas (R,) pixels and, for
                classes, group_ids (R,).

        Returns:
            FrameTargets: On the device of the points.

        Raises:
            ValueError: When regions come without areas or classes, or a
                class has no text feature.
        """
        regions = self.regions(points, tokens, data_samples)
        foreground, text = regions.is_target, None
        if self.class_text is not None:
            foreground, text = self._read_classes(regions)
        return FrameTargets(
            self.neighborhoods(points, tokens, data_samples), regions,
            scene_features(data_samples, points.device), foreground, text)

    def _read_classes(self, regions: RegionTargets) -> List[Tensor]:
        """Foreground (B, G) and text features (B, G, C') of the tokens."""
        assert self.class_text is not None
        if regions.group_ids is None:
            raise UserError(
                'class_embeddings needs the class of each region: add '
                'LoadRegionTargets with folder region_classes, key group_ids '
                'and column classes to the pipeline')
        classes = regions.group_ids
        num_classes = len(self.class_text)
        # Nothing waits for the GPU.
        largest = '' if classes.is_cuda else f' {int(classes.max())}'
        require((classes < num_classes).all(), lambda: UserError(
            f'a region is of class{largest}, which is not among the '
            f'{num_classes} of target_generator.classes: list the names of '
            'all classes of regions'))
        is_foreground = regions.is_target & (classes > BACKGROUND)
        text = to_device(self.class_text, classes.device)
        return [is_foreground, text[classes.clamp(min=0)]]


def scene_features(data_samples: Sequence[Det3DDataSample],
                   device: torch.device) -> Tensor:
    """Mean image feature of the pixels in regions.

    Args:
        data_samples (Sequence[Det3DDataSample]): B frames with ``regions``.
        device (torch.device): Where to put them.

    Returns:
        Tensor: (B, C) float32.

    Raises:
        ValueError: When regions come without areas.
    """
    if any('areas' not in sample.regions for sample in data_samples):
        raise UserError('regions come without areas: add LoadRegionTargets '
                        'with key areas to the pipeline')
    means = []
    for sample in data_samples:
        areas = sample.regions.areas.float()
        features = sample.regions.features.float()
        means.append(areas @ features / areas.sum().clamp(min=1))
    return to_device(torch.stack(means), device)
