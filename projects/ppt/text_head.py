"""Classes of points by similarity with text features, and their labels.

Shapes: B scenes, N points, K classes of a data set, C channels.
"""
from typing import Dict, List, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample
from mmengine.model import BaseModule
from torch import Tensor, nn

from sam3d_plugin.models.heads import check_width, frame_mean
from sam3d_plugin.models.heads.defaults import LINEAR_INIT
from sam3d_plugin.ops.random_state import seeded
from sam3d_plugin.store.class_embeddings import read_class_embeddings
from sam3d_plugin.store.errors import UserError

RANDOM = 'random'  # In the place of a file, and of the model that made it


@MODELS.register_module()
class TextAlignedSegHead(BaseModule):
    """A linear map whose outputs are compared with embeddings of classes.

    Logits are scaled cosines; those of a data set are of its classes alone.
    Classes of the same name are one.

    Args:
        domains (Dict[str, Sequence[str]]): Classes by data set.
        class_embeddings (str): File of text features of the classes (see
            ``sam3d_plugin.store.class_embeddings``), read when a training
            starts; or ``'random'`` for orthonormal vectors that mean nothing.
        in_channels (int): Channels of the backbone. Defaults to 256.
        out_channels (int): Channels C of the embeddings. Defaults to 512.
        logit_scale (float): Factor of the cosines. Defaults to 100, CLIP's.
        init_cfg (Optional[dict]): Initialization config.
    """

    embeddings: Tensor

    def __init__(self,
                 domains: Dict[str, Sequence[str]],
                 class_embeddings: str,
                 in_channels: int = 256,
                 out_channels: int = 512,
                 logit_scale: float = 100.,
                 init_cfg: Optional[dict] = LINEAR_INIT) -> None:
        super().__init__(init_cfg)
        self.class_embeddings = class_embeddings
        self.logit_scale = logit_scale
        self.names = list(dict.fromkeys(sum(map(list, domains.values()), [])))
        self.rows = {
            domain: [self.names.index(name) for name in classes]
            for domain, classes in domains.items()
        }
        self.proj = nn.Linear(in_channels, out_channels)
        self.register_buffer('embeddings',
                             torch.zeros(len(self.names), out_channels))
        # What made the embeddings, None until the file is read.
        self.text_model: Optional[str] = None
        if class_embeddings == RANDOM:
            with seeded(0):
                nn.init.orthogonal_(self.embeddings)
            self.text_model = RANDOM

    def read(self) -> None:
        """Read the file of embeddings, if there is one.

        Raises:
            UserError: When it lacks a class or has another width.
        """
        if self.class_embeddings == RANDOM:
            return
        found = read_class_embeddings(self.class_embeddings, self.names)
        rows = torch.from_numpy(found.embeddings)
        check_width(rows, self.embeddings.shape[1], 'text',
                    'TextAlignedSegHead')
        self.embeddings.copy_(rows)
        self.text_model = found.model

    def forward(self, features: Tensor, domain: str) -> Tensor:
        """Logits (B, N, K) float32 of points (B, N, in_channels)."""
        features = self.proj(features).float()
        with torch.autocast(features.device.type, enabled=False):
            classes = F.normalize(self.embeddings[self.rows[domain]], dim=-1)
            return self.logit_scale * F.normalize(features, dim=-1) @ classes.T


def read_labels(data_samples: Optional[List[Det3DDataSample]],
                domains: Dict[str, Sequence[str]]) -> Tuple[str, Tensor]:
    """Data set and labels of a batch.

    Args:
        data_samples (Optional[List[Det3DDataSample]]): B scenes.
        domains (Dict[str, Sequence[str]]): Classes by data set.

    Returns:
        Tuple[str, Tensor]: Name of the data set, and (B, N) int64, -1 where
        there is no label.

    Raises:
        UserError: For scenes of several or unknown data sets, or without
            labels.
    """
    samples = data_samples or []
    names = sorted({str(s.metainfo.get('domain')) for s in samples})
    if len(names) > 1:
        raise UserError(f'a batch mixes the data sets {", ".join(names)}: set '
                        'train_dataloader.sampler to a DomainSampler with the '
                        'batch_size of the loader')
    if not names or names[0] not in domains:
        raise UserError(f'a batch is of data set {"".join(names) or None}, '
                        f'which is none of model.domains: {", ".join(domains)}'
                        '; load with DomainDataset')
    if not all('gt_pts_seg' in sample for sample in samples):
        raise UserError(f'scenes of data set {names[0]} come without labels: '
                        'put LoadFrameLabels or LoadAnnotations3D into its '
                        'pipeline')
    labels = torch.stack([s.gt_pts_seg.pts_semantic_mask for s in samples])
    labels = labels.long()
    is_known = (labels >= 0) & (labels < len(domains[names[0]]))
    return names[0], labels.masked_fill(~is_known, -1)


def compare(logits: Tensor, labels: Tensor) -> Dict[str, Tensor]:
    """Cross entropy (B, N, K) of labels (B, N), -1 = no label.

    Means over the labeled points of a scene, then over scenes.
    """
    entropies = F.cross_entropy(
        logits.transpose(1, 2), labels, ignore_index=-1, reduction='none')
    is_right = (logits.argmax(-1) == labels).float()
    return dict(
        loss_class=frame_mean(entropies, labels >= 0),
        accuracy=frame_mean(is_right, labels >= 0))
