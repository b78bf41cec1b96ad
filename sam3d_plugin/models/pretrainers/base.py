"""What every pre-training method on point tokens shares."""
from abc import abstractmethod
from contextlib import contextmanager
from dataclasses import replace
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
from sam3d_plugin.store import MAX_REGION_ID
from sam3d_plugin.structures import PointTokens
from ..tokenizers.region_majority import majority_regions


def _build_slot(config: Optional[dict]) -> Any:
    """Build a component, None for an empty slot."""
    return None if config is None else MODELS.build(config)


class TokenPredictions(NamedTuple):
    """What a method predicts for the tokens of a batch.

    Attributes:
        values (Tensor): (B, G, C') predictions of the head.
        is_predicted (Tensor): (B, G) bool, the tokens that they are made
            for, never padding.
    """

    values: Tensor
    is_predicted: Tensor


class BasePointPretrainer(BaseModel):
    """Tokenize, make targets, reconstruct, compare.

    A method overrides :meth:`reconstruct` and :meth:`compute_losses`, and
    :meth:`predict_tokens` where it predicts something for each token.

    ``frames_seen``, a buffer and so part of every checkpoint, counts the
    frames that all processes trained on. All randomness of a step (masks,
    drop path) derives from it and ``seed``, so a resumed run repeats an
    unbroken one, and several processes, or accumulated steps, mask the
    tokens that one process and one step would.

    Args:
        tokenizer (dict): Config of the tokenizer.
        embedding (dict): Config of the token embedding.
        encoder (dict): Config of the token encoder.
        decoder (Optional[dict]): Config of the decoder.
        head (Optional[dict]): Config of the head.
        target_generator (Optional[dict]): Config of the target generator.
        seed (Optional[int]): Seed of masks and drop path. None takes that of
            the run (see ``PointRunner``), 0 without one. Defaults to None.
        region_column (int): Point column of the region ids. Defaults to -1.
        data_preprocessor (dict): Config of the preprocessor.
        init_cfg (Optional[dict]): Initialization config.
    """

    frames_seen: Tensor

    def __init__(self,
                 tokenizer: dict,
                 embedding: dict,
                 encoder: dict,
                 decoder: Optional[dict] = None,
                 head: Optional[dict] = None,
                 target_generator: Optional[dict] = None,
                 seed: Optional[int] = None,
                 region_column: int = -1,
                 data_preprocessor: dict = dict(type='FramePreprocessor'),
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(MODELS.build(data_preprocessor), init_cfg)
        self.tokenizer = MODELS.build(tokenizer)
        self.embedding = MODELS.build(embedding)
        self.encoder = MODELS.build(encoder)
        self.decoder = _build_slot(decoder)
        self.head = _build_slot(head)
        self.target_generator = _build_slot(target_generator)
        self.follows_run_seed = seed is None
        self.seed = seed or 0
        self.region_column = region_column
        self.register_buffer('frames_seen', torch.tensor(0))

    def forward(
        self,
        inputs: Dict[str, Any],
        data_samples: Optional[List[Det3DDataSample]] = None,
        mode: str = 'tensor',
    ) -> Union[Dict[str, Tensor], Tensor]:
        """Run the model in one of its modes.

        Args:
            inputs (Dict[str, Any]): ``points`` (B, N, 3 + D): xyz in metres,
                and region ids in the column ``region_column``.
            data_samples (Optional[List[Det3DDataSample]]): B frames.
            mode (str): ``'loss'``, or ``'tensor'``, the encoder's features
                of all tokens (B, G, C).

        Returns:
            Union[Dict[str, Tensor], Tensor]: Losses by name, or features.

        Raises:
            ValueError: For another mode, or unusable points.
        """
        if mode == 'tensor':
            return self.encode(inputs['points'])[1]
        if mode != 'loss':
            raise ValueError(f'mode {mode!r} is unknown: a pre-trainer has '
                             'the modes loss and tensor')
        with self._seeded(inputs['points']):
            losses = self.loss(inputs, data_samples)
        if self.training:
            self.frames_seen += len(inputs['points']) * get_world_size()
        return losses

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
        points, tokens = self.tokenize(inputs['points'])
        targets = None
        if self.target_generator is not None:
            targets = self.target_generator(points, tokens, data_samples)
        outputs = self.reconstruct(points, tokens)
        return self.compute_losses(outputs, tokens, targets)

    @abstractmethod
    def reconstruct(self, points: Tensor, tokens: PointTokens) -> Any:
        """Compute what the method compares with its targets.

        Args:
            points (Tensor): (B, N, 3) xyz, metres.
            tokens (PointTokens): All tokens of these points.

        Returns:
            Any: For :meth:`compute_losses`.
        """

    @abstractmethod
    def compute_losses(self, outputs: Any, tokens: PointTokens,
                       targets: Any) -> Dict[str, Tensor]:
        """Compare.

        Args:
            outputs (Any): Of :meth:`reconstruct`.
            tokens (PointTokens): All tokens.
            targets (Any): Of the target generator.

        Returns:
            Dict[str, Tensor]: Losses by name.
        """

    def predict_tokens(self, outputs: Any,
                       tokens: PointTokens) -> Optional[TokenPredictions]:
        """Predictions for hooks that watch whether tokens become alike.

        Args:
            outputs (Any): Of :meth:`reconstruct`.
            tokens (PointTokens): All tokens.

        Returns:
            Optional[TokenPredictions]: None, the default, for a method whose
            tokens have no predictions.
        """
        return None

    def encode(self, points: Tensor) -> Tuple[PointTokens, Tensor]:
        """Encode all tokens.

        Args:
            points (Tensor): (B, N, 3 + D), see :meth:`forward`.

        Returns:
            Tuple[PointTokens, Tensor]: The tokens and their features
            (B, G, C), undefined for padding.
        """
        xyz, tokens = self.tokenize(points)
        return tokens, self.encode_tokens(xyz, tokens)

    def encode_tokens(self, points: Tensor, tokens: PointTokens) -> Tensor:
        """Embed and encode tokens (B, G, C) of points (B, N, 3)."""
        return self.encoder(
            self.embedding(points, tokens), tokens.centers, tokens.is_padding)

    def tokenize(self, points: Tensor) -> Tuple[Tensor, PointTokens]:
        """Split points into xyz and region ids, and tokenize them.

        Args:
            points (Tensor): (B, N, 3 + D), see :meth:`forward`.

        Returns:
            Tuple[Tensor, PointTokens]: xyz (B, N, 3) and tokens. Where the
            target generator needs regions and the tokenizer looks at none,
            a token gets the region of most of its points.

        Raises:
            ValueError: When points are not finite, or have no region ids
                where those are needed.
        """
        xyz = points[..., :3].contiguous()
        if not torch.isfinite(xyz).all():
            raise ValueError('points are not finite: find the frame with '
                             'tools/preparation/verify.py, or the transform '
                             'that spoils them')
        gives_regions = self.tokenizer.uses_regions
        wants_regions = getattr(self.target_generator, 'uses_regions', False)
        if not gives_regions and not wants_regions:
            return xyz, self.tokenizer(xyz)
        region_ids = self._region_ids(points)
        tokens = self.tokenizer(xyz, region_ids)
        if not gives_regions:
            tokens = replace(
                tokens, region_ids=majority_regions(tokens, region_ids))
        return xyz, tokens

    def _region_ids(self, points: Tensor) -> Tensor:
        """Region ids (B, N) int64 from their column of the points."""
        column = points[..., self.region_column]
        is_id = (column >= 0) & (column <= MAX_REGION_ID) & (
            column == column.round())
        if points.shape[-1] < 4 or not is_id.all():
            raise ValueError(
                f'point column {self.region_column} holds no region ids '
                '(whole numbers from 0 on): load the frames with their '
                'region maps')
        return column.long()

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
        first = int(self.frames_seen) + get_rank()
        return range(first, first + num_frames * num_processes, num_processes)

    @contextmanager
    def _seeded(self, points: Tensor) -> Iterator[None]:
        """Seed torch for one step and give its state back afterwards."""
        entropy = (self.seed, self.frame_numbers(len(points))[0], 1)
        step_seed = np.random.SeedSequence(entropy).generate_state(1)[0]
        with seeded(int(step_seed), points.device):
            yield
