"""DepthContrast with two input formats, points and voxels.

Shapes: B scenes, N points, C channels.
"""
from typing import Any, Dict, List, Optional

from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample
from torch import Tensor

from sam3d_plugin.models.losses import FeatureQueue
from sam3d_plugin.models.pretrainers import MomentumEncoder, split_views
from .depth_contrast import DepthContrast, ViewNetwork, found_share


@MODELS.register_module()
class JointDepthContrast(DepthContrast):
    """Contrast views inside each format and between the two.

    A query of either format is compared with the key and the queue of both;
    the four losses are added and halved, as in the released code.

    Args:
        voxel_backbone (dict): Config of the backbone of the second format.
            The first is that of ``DepthContrast``, which is exported.
        projector (dict): Config of a ``GlobalProjector``, one for each format.
        queue_size (int): Features of earlier frames in each format.
        momentum (float): Share of the copies that a step keeps.
        **kwargs (Any): See :class:`DepthContrast`.
    """

    def __init__(self, *, voxel_backbone: dict, projector: dict,
                 queue_size: int, momentum: float, **kwargs: Any) -> None:
        super().__init__(
            projector=projector,
            queue_size=queue_size,
            momentum=momentum,
            **kwargs)
        self.voxel_backbone = MODELS.build(voxel_backbone)
        self.voxel_projector = MODELS.build(projector)
        self.voxel_key_network = MomentumEncoder(self.voxel_network, momentum)
        self.voxel_queue = FeatureQueue(queue_size,
                                        self.voxel_projector.out_channels)

    @property
    def voxel_network(self) -> ViewNetwork:
        """ViewNetwork: What the key network of the voxels follows."""
        return ViewNetwork(self.voxel_backbone, self.voxel_projector)

    def init_weights(self) -> None:
        """Initialize; both copies start as their networks do."""
        super().init_weights()
        self.voxel_key_network.restart(self.voxel_network)

    def loss(
            self, inputs: Dict[str, Any],
            data_samples: Optional[List[Det3DDataSample]]
    ) -> Dict[str, Tensor]:
        """Contrast the first view with the second in all pairs of formats.

        Args:
            inputs (Dict[str, Any]): ``points`` (B, 2, N, 3 + D).
            data_samples (Optional[List[Det3DDataSample]]): Unused.

        Returns:
            Dict[str, Tensor]: ``loss_A_B`` of queries of format A and keys of
            format B, and the ``accuracy`` of each format, see
            :func:`~.depth_contrast.found_share`.
        """
        first, second = split_views(inputs['points'])
        formats = dict(
            points=(self.network, self.key_network, self.queue),
            voxels=(self.voxel_network, self.voxel_key_network,
                    self.voxel_queue))
        queries, keys, queued = {}, {}, {}
        for name, (network, key_network, queue) in formats.items():
            if self.training:
                key_network.update(network)
            queries[name], keys[name] = network(first), key_network(second)
            queued[name] = queue()
        results = {
            f'loss_{a}_{b}':
            self.contrast(
                queries[a][:, None], keys[b][:, None], queue=queued[b]) / 2
            for a in formats
            for b in formats
        }
        for name, (_, _, queue) in formats.items():
            results[f'accuracy_{name}'] = found_share(queries[name],
                                                      keys[name], queued[name])
            if self.training:
                queue.push(keys[name])
        return results
