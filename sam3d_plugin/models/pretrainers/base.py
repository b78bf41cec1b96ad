"""Base of all pre-training methods.

Shapes: B scenes, N points, M places that have features, C channels.
"""
from abc import abstractmethod
from contextlib import contextmanager
from typing import (Any, Dict, Iterator, List, NamedTuple, Optional, Tuple,
                    Union)

import numpy as np
import torch
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample
from mmengine.dist import get_rank, get_world_size
from mmengine.model import BaseModel
from torch import Tensor

from sam3d_plugin.ops.random_state import seeded
from ...store.errors import UserError


class Predictions(NamedTuple):
    """Predictions of a method at the places of a batch."""

    values: Tensor  # (B, M, C') predictions of the head
    is_predicted: Tensor  # (B, M) bool, the places that they are made for


class FeatureView(NamedTuple):
    """Features of a batch for hooks that watch or draw them."""

    points: Tensor  # (B, N, 3) xyz, meters
    features: Tensor  # (B, M, C) backbone features of tokens or points
    is_place: Tensor  # (B, M) bool, False for padding
    # (B, N) int64, the place whose feature each point shows
    place_of_point: Tensor
    # What the method predicts there, if anything
    predictions: Optional[Predictions] = None


def clouds_of(points: Tensor) -> Tensor:
    """Put the views (B, V, N, C) of frames into one batch (B V, N, C).

    Points (B, N, C) without views stay as they are.
    """
    return points.flatten(0, -3)


class BasePretrainer(BaseModel):
    """A 3D backbone that learns a pretext task.

    A method implements :meth:`loss`. The backbone offers ``point_features``,
    which is all that probes, pictures and exports need.

    ``frames_seen``, a buffer and so part of every checkpoint, counts the
    frames that all processes trained on. All randomness of a step (masks,
    drop path) derives from it and ``seed``, so a resumed run repeats an
    unbroken one, and several processes, or accumulated steps, mask the
    tokens that one process and one step would.

    Args:
        backbone (dict): Config of the backbone.
        seed (Optional[int]): Seed of masks and drop path. None takes that of
            the run (see ``PointRunner``), 0 without one. Defaults to None.
        data_preprocessor (dict): Config of the preprocessor.
        init_cfg (Optional[dict]): Initialization config.
    """

    frames_seen: Tensor

    def __init__(self,
                 backbone: dict,
                 seed: Optional[int] = None,
                 data_preprocessor: dict = dict(type='FramePreprocessor'),
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(MODELS.build(data_preprocessor), init_cfg)
        self.backbone = MODELS.build(backbone)
        self.follows_run_seed = seed is None
        self.seed = seed or 0
        self.register_buffer('frames_seen', torch.tensor(0))
        # The buffer, its version and its value then.
        self._counted: Optional[Tuple[Tensor, int, int]] = None

    def forward(
        self,
        inputs: Dict[str, Any],
        data_samples: Optional[List[Det3DDataSample]] = None,
        mode: str = 'tensor',
    ) -> Union[Dict[str, Tensor], Tensor]:
        """Run the model in one of its modes.

        Args:
            inputs (Dict[str, Any]): ``points`` (B, N, 3 + D): xyz in meters,
                then the columns that the backbone needs; (B, V, N, 3 + D)
                with V views of each frame, which count as B V frames.
            data_samples (Optional[List[Det3DDataSample]]): B frames.
            mode (str): ``'loss'``, or ``'tensor'``, the backbone's features
                of all points (B, N, C).

        Returns:
            Union[Dict[str, Tensor], Tensor]: Losses by name, or features.

        Raises:
            ValueError: For another mode, or unusable points.
        """
        if mode == 'tensor':
            return self.backbone.point_features(clouds_of(inputs['points']))
        if mode != 'loss':
            raise UserError(f'mode {mode!r} is unknown: a pre-trainer has '
                            'the modes loss and tensor')
        with self._seeded(inputs['points']):
            losses = self.loss(inputs, data_samples)
        if self.training:
            seen = self._frames_seen_on_cpu()
            step = len(clouds_of(inputs['points'])) * get_world_size()
            self.frames_seen += step
            self._counted = (self.frames_seen, self.frames_seen._version,
                             seen + step)
        return losses

    @abstractmethod
    def loss(
            self, inputs: Dict[str, Any],
            data_samples: Optional[List[Det3DDataSample]]
    ) -> Dict[str, Tensor]:
        """Compute the losses of a batch.

        Args:
            inputs (Dict[str, Any]): See :meth:`forward`.
            data_samples (Optional[List[Det3DDataSample]]): B frames.

        Returns:
            Dict[str, Tensor]: Losses by name.
        """

    def view(self, inputs: Dict[str, Any]) -> FeatureView:
        """Features of a batch for hooks that watch or draw them.

        Args:
            inputs (Dict[str, Any]): See :meth:`forward`.

        Returns:
            FeatureView: One place a point.
        """
        clouds = clouds_of(inputs['points'])
        points, features = clouds[..., :3], self.backbone.point_features(
            clouds)
        places = torch.arange(points.shape[1], device=points.device)
        return FeatureView(points, features.float(),
                           points.new_ones(points.shape[:2], dtype=torch.bool),
                           places.expand(len(points), -1))

    def frame_numbers(self, num_frames: int) -> range:
        """Number the frames of a batch over the whole training.

        Samplers deal frames out to the processes in turn, so the numbers are
        those that the frames would have in the batch of a single process.

        Args:
            num_frames (int): Frames in the batch of each process.

        Returns:
            range: Number of each frame.
        """
        num_processes = get_world_size()
        first = self._frames_seen_on_cpu() + get_rank()
        return range(first, first + num_frames * num_processes, num_processes)

    def _frames_seen_on_cpu(self) -> int:
        """``frames_seen``, read from a GPU only when it has changed."""
        version = self.frames_seen, self.frames_seen._version
        if self._counted is None or self._counted[0] is not version[0] or (
                self._counted[1] != version[1]):
            self._counted = (*version, int(self.frames_seen))
        return self._counted[2]

    @contextmanager
    def _seeded(self, points: Tensor) -> Iterator[None]:
        """Seed torch for one step and give its state back afterwards."""
        entropy = (self.seed, self.frame_numbers(len(points))[0], 1)
        step_seed = np.random.SeedSequence(entropy).generate_state(1)[0]
        with seeded(int(step_seed), points.device):
            yield
