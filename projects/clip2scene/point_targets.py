"""Class and image feature of every point of a frame.

Shapes: B frames, N points, R regions, K classes, C channels.
"""
from typing import NamedTuple, Optional, Sequence

import torch
import torch.nn.functional as F
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample
from torch import Tensor, nn

from sam3d_plugin.models.target_generators import (RegionTargets,
                                                   look_up_regions)
from sam3d_plugin.ops.transfer import require
from sam3d_plugin.store.class_embeddings import read_class_embeddings
from sam3d_plugin.store.errors import UserError
from sam3d_plugin.store.files import BackendArgs
from sam3d_plugin.store.region_features import NO_TEXT_SPACE
from sam3d_plugin.store.region_groups import RegionGroups


class PointTargets(NamedTuple):
    """Targets of the points of a batch."""

    features: Tensor  # (B, N, C) float32 image feature of a point's region
    classes: Tensor  # (B, N) int64
    is_target: Tensor  # (B, N) bool, False for points in no region


@MODELS.register_module()
class PointClassTargets(nn.Module):
    """What an image model sees in the region of each point.

    With text, the class of a region is that whose text feature is most like
    the region's image feature (MaskCLIP, Zhou et al., ECCV 2022). Without
    text, groups of image features stand for classes, and their centroids for
    text features.

    Args:
        class_embeddings (Optional[str]): File of the text features of the
            classes (see ``sam3d_plugin.store.class_embeddings``), of the
            model that made the image features. Defaults to None.
        groups (Optional[str]): Folder of tools/preparation/build_groups.py,
            whose groups ``LoadRegionTargets`` reads as ``group_ids``.
            Defaults to None.
        backend_args (BackendArgs): Arguments of the file backend of
            ``groups``.

    Raises:
        ValueError: Unless one of the two is given.
    """

    embeddings: Tensor

    def __init__(self,
                 class_embeddings: Optional[str] = None,
                 groups: Optional[str] = None,
                 backend_args: BackendArgs = None) -> None:
        super().__init__()
        if (class_embeddings is None) == (groups is None):
            raise UserError(
                'PointClassTargets needs classes: set class_embeddings to a '
                'file of text features or groups to a folder of '
                'tools/preparation/build_groups.py, not both')
        self.class_embeddings = class_embeddings
        self.groups = groups
        self.backend_args = backend_args
        # The model that text and images share, None for groups.
        self.text_model: Optional[str] = None
        # Empty until they are read: no checkpoint needs the file.
        self.register_buffer('embeddings', torch.zeros(0, 0), persistent=False)

    def read(self) -> None:
        """Read the embeddings (K, C), scaled to length 1, unless known."""
        if len(self.embeddings):
            return
        if self.class_embeddings is not None:
            found = read_class_embeddings(self.class_embeddings)
            self.text_model, rows = found.model, found.embeddings
        else:
            assert self.groups is not None
            groups = RegionGroups(self.groups, self.backend_args).groups()
            rows = groups.centroids
        rows = F.normalize(torch.from_numpy(rows), dim=1)
        self.embeddings = rows.to(self.embeddings.device)

    def use_metainfo(self, metainfo: dict) -> None:
        """Read the classes, and compare the models of images and text.

        Args:
            metainfo (dict): Of the data set, maybe with ``feature_model``.

        Raises:
            ValueError: When they differ, or images are not in a text space.
        """
        self.read()
        image_model = metainfo.get('feature_model', self.text_model)
        if self.text_model is None:
            return
        if NO_TEXT_SPACE in image_model:
            raise UserError(
                f'region_features of {image_model} cannot be compared with '
                'text: extract them with --encoder timm -O text_space=true '
                '(projects/clip2scene/README.md)')
        if image_model != self.text_model:
            raise UserError(
                f'class_embeddings are text features of {self.text_model}, '
                f'region_features are of {image_model}: make both with one '
                'model of images and text')

    @torch.no_grad()
    def forward(self, region_ids: Tensor,
                data_samples: Sequence[Det3DDataSample]) -> PointTargets:
        """Look up the region of each point.

        Args:
            region_ids (Tensor): (B, N) int64 region of each point, 0 = none.
            data_samples (Sequence[Det3DDataSample]): B frames with
                ``regions``: ids (R,), features (R, C) and, for groups,
                group_ids (R,).

        Returns:
            PointTargets: On the device of the points.

        Raises:
            ValueError: When image and text features have different widths,
                or regions have no groups or unknown ones.
        """
        self.read()
        found = look_up_regions(region_ids, data_samples)
        width, expected = found.features.shape[-1], self.embeddings.shape[1]
        if width != expected:
            raise UserError(
                f'region features have {width} channels, the embeddings of '
                f'classes {expected}: make both with one model of images and '
                'text')
        return PointTargets(found.features, self._classes(found),
                            found.is_target)

    def _classes(self, found: RegionTargets) -> Tensor:
        """Class (B, N) int64 of each point's region."""
        if self.class_embeddings is not None:
            with torch.autocast(found.features.device.type, enabled=False):
                return (found.features @ self.embeddings.T).argmax(-1)
        if found.group_ids is None:
            raise UserError('regions come without groups: add '
                            'LoadRegionTargets with folder region_groups/train'
                            ' and key group_ids to the pipeline')
        require((found.group_ids < len(self.embeddings)).all(),
                lambda: UserError(
                    f'a region is in a group beyond the '
                    f'{len(self.embeddings)} of target_generator.groups: name '
                    'the folder that LoadRegionTargets reads'))
        return found.group_ids
