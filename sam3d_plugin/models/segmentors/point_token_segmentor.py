"""mmdet3d's segmentor with reproducible and whole-scene inference.

Shapes: N points, K points of one sample, S samples.
"""
from typing import List

import torch
from mmdet3d.models.segmentors import EncoderDecoder3D
from mmdet3d.registry import MODELS
from torch import Tensor

from sam3d_plugin.ops.random_state import seeded

_MODE = 'sample'


@MODELS.register_module()
class PointTokenSegmentor(EncoderDecoder3D):
    """``EncoderDecoder3D`` with one more way to infer, and seeded ones.

    Tokens depend on how dense the points are, so a scan is not best seen
    with all its points at once by a network that was trained on 20,000 of
    them. With ``test_cfg=dict(mode='sample', num_points=K, votes=V)`` the
    points of a scan are dealt out at random to samples of K points until
    each was in at least V of them, and their logits are averaged. A scan of
    fewer points than K is one sample.

    Whatever is drawn at random, also the patches of ``mode='slide'``, is
    seeded with ``test_cfg.seed``, 0 where it is not set: the same weights and
    points give the same result, whatever the scan is called. Another seed
    draws others, for several evaluations of the same weights.
    """

    def inference(self, points: Tensor, batch_input_metas: List[dict],
                  rescale: bool) -> Tensor:
        """Infer the logits of one scan.

        Args:
            points (Tensor): (1, N, 3 + C) xyz in meters, then columns.
            batch_input_metas (List[dict]): As in ``EncoderDecoder3D``.
            rescale (bool): As in ``EncoderDecoder3D``.

        Returns:
            Tensor: (1, num_classes, N) logits.
        """
        seed = self.test_cfg.get('seed', 0)
        if self.test_cfg.mode != _MODE:
            with seeded(seed):
                return super().inference(points, batch_input_metas, rescale)
        generator = torch.Generator().manual_seed(seed)
        return torch.stack(
            [self.sample_inference(scan, generator) for scan in points])

    def sample_inference(self, points: Tensor,
                         generator: torch.Generator) -> Tensor:
        """Average the logits of samples that together hold every point.

        Args:
            points (Tensor): (N, 3 + C).
            generator (torch.Generator): Deals out the points, on the CPU.

        Returns:
            Tensor: (num_classes, N).
        """
        samples = deal_out(
            len(points), self.test_cfg.num_points,
            self.test_cfg.get('votes', 1), generator).to(points.device)
        logits = points.new_zeros((len(points), self.num_classes))
        votes = points.new_zeros(len(points))
        for sample in samples:
            seen = self.encode_decode(points[None, sample], [{}])[0]
            logits.index_add_(0, sample, seen.t().to(logits.dtype))
            votes.index_add_(0, sample, torch.ones_like(votes[sample]))
        return (logits / votes[:, None]).t()


def deal_out(num_points: int, sample_size: int, votes: int,
             generator: torch.Generator) -> Tensor:
    """Distribute points over samples.

    No point is twice in a sample: each round deals a new order of the
    points, and its last sample is filled with the round's first points.

    Args:
        num_points (int): N.
        sample_size (int): K; a sample has no more than N points.
        votes (int): Samples that each point is at least in.
        generator (torch.Generator): Draws the orders, on the CPU.

    Returns:
        Tensor: (S, K) int64 indices of points.
    """
    size = min(sample_size, num_points)
    rounds = []
    for _ in range(votes):
        order = torch.randperm(num_points, generator=generator)
        missing = -num_points % size
        rounds.append(torch.cat((order, order[:missing])).reshape(-1, size))
    return torch.cat(rounds)
