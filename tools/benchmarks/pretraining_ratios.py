"""What padding costs a step, and what masking saves the encoder."""
from functools import partial
from typing import Any, Callable, Dict, Iterable, List

import numpy as np
import torch
from mmdet3d.structures import Det3DDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData
from torch import Tensor

from sam3d_plugin.models.pretrainers.masking import select_tokens
from sam3d_plugin.structures import PointTokens
from tools.benchmarks import measuring
from tools.benchmarks import pretraining_steps as steps

FEWEST, MOST = 20, 256
FRAMES = 8


def mixed_counts(num_frames: int, fewest: int, most: int) -> np.ndarray:
    """Spread region counts evenly.

    Returns (B,) int64.
    """
    return np.linspace(fewest, most, num_frames).round().astype(np.int64)


def equal_counts(counts: np.ndarray) -> np.ndarray:
    """Share the same total out evenly.

    Args:
        counts (np.ndarray): (B,) int64.

    Returns:
        np.ndarray: (B,) int64, which differ by 1 at most.
    """
    total, frames = int(counts.sum()), len(counts)
    return total // frames + (np.arange(frames) < total % frames)


def make_batch(counts: Iterable[int], num_points: int,
               channels: int) -> Dict[str, Any]:
    """Frames of made-up points in equally large regions."""
    generator = torch.Generator().manual_seed(0)
    points, samples = [], []
    for count in map(int, counts):
        ids = torch.arange(num_points) % count
        middles = torch.rand(count, 3, generator=generator) * 4
        offsets = torch.rand(num_points, 3, generator=generator) * 0.3
        xyz = middles[ids] + offsets
        points.append(torch.cat((xyz, ids[:, None] + 1.), dim=1))
        sample = Det3DDataSample()
        sample.regions = InstanceData(
            ids=torch.arange(count) + 1,
            features=torch.randn(count, channels, generator=generator),
            group_ids=torch.zeros(count, dtype=torch.int64))
        samples.append(sample)
    return dict(inputs=dict(points=points), data_samples=samples)


def measure_padding(cfg: Config, counts: np.ndarray, num_points: int,
                    device: str, dtype: str, rounds: int) -> Dict[str, Any]:
    """Compare steps on mixed region counts with steps on equal ones.

    Args:
        cfg (Config): With SAM tokens; their limit is raised to the counts.
        counts (np.ndarray): (B,) regions of the frames.
        num_points (int): Points of a frame.
        device (str): cpu or cuda.
        dtype (str): One of ``steps.DTYPES``.
        rounds (int): Steps of each.

    Returns:
        Dict[str, Any]: ``equal_ms``, ``mixed_ms`` and their ``ratio``.
    """
    case = _build(cfg, counts, device, dtype)
    head = getattr(case.model.head, 'proj', None)
    channels = head.out_features if head is not None else 1
    spent = _milliseconds(
        {
            name:
            partial(steps.train_step, case,
                    make_batch(kind, num_points, channels))
            for name, kind in (('equal', equal_counts(counts)),
                               ('mixed', counts))
        }, device, rounds)
    return dict(
        _describe(counts, num_points, dtype),
        stage=steps.stage_of(cfg),
        equal_ms=spent['equal'],
        mixed_ms=spent['mixed'],
        ratio=spent['mixed'] / spent['equal'])


def measure_masking(cfg: Config, counts: np.ndarray, num_points: int,
                    device: str, dtype: str, rounds: int) -> Dict[str, Any]:
    """Compare the student's encoder on visible tokens with all tokens.

    Forward and backward, encoder and embedding each on its own.

    Args:
        cfg (Config): Of stage 2, with SAM tokens.
        counts (np.ndarray): (B,) regions of the frames.
        num_points (int): Points of a frame.
        device (str): ``'cpu'`` or ``'cuda'``.
        dtype (str): One of ``DTYPES``.
        rounds (int): Runs of each.

    Returns:
        Dict[str, Any]: Milliseconds and, of masked over unmasked, the
        ratios of time, tokens and points.
    """
    case = _build(cfg, counts, device, dtype)
    data = case.model.data_preprocessor(
        make_batch(counts, num_points, 1), True)
    points, tokens = case.model.tokenize(data['inputs']['points'])
    is_masked = case.model.mask(tokens)
    visible = select_tokens(tokens, ~is_masked & ~tokens.padding_on_cpu).tokens
    tasks: Dict[str, Callable[[], None]] = {}
    for name, kept in (('all', tokens), ('visible', visible)):
        tasks[f'embed_{name}'] = partial(_embed, case, points, kept)
        tasks[f'encode_{name}'] = partial(_encode, case, kept)
    spent = _milliseconds(tasks, device, rounds)
    return dict(
        _describe(counts, num_points, dtype),
        mask_ratio=case.model.mask_ratio,
        **{
            f'{name}_ms': value
            for name, value in spent.items()
        },
        encode_ratio=spent['encode_visible'] / spent['encode_all'],
        embed_ratio=spent['embed_visible'] / spent['embed_all'],
        token_ratio=int((~visible.is_padding).sum()) / int(
            (~tokens.is_padding).sum()),
        point_ratio=len(visible.member_points) / len(tokens.member_points))


def _build(cfg: Config, counts: np.ndarray, device: str,
           dtype: str) -> steps.Case:
    """Build a case whose tokenizer keeps all regions."""
    cfg = Config(cfg.to_dict())
    cfg.model.backbone.tokenizer.num_tokens = int(counts.max())
    # make_batch puts all regions into one group.
    return steps.build_case(cfg, device, dtype, dict(group_counts=[1]))


def _describe(counts: np.ndarray, num_points: int,
              dtype: str) -> Dict[str, Any]:
    return dict(
        dtype=dtype,
        regions=[int(counts.min()), int(counts.max())],
        frames=len(counts),
        points=num_points)


def _milliseconds(tasks: Dict[str, Callable], device: str,
                  rounds: int) -> Dict[str, float]:
    times = measuring.run_times(tasks, device, rounds)
    return {
        name: 1000 * float(np.median(runs))
        for name, runs in times.items()
    }


def _embed(case: steps.Case, points: Tensor, tokens: PointTokens) -> None:
    """Embed the tokens, forward and backward."""
    with case.autocast():
        features = case.model.backbone.embedding(points, tokens)
    features.backward(torch.ones_like(features))
    case.optimizer.zero_grad()


def _encode(case: steps.Case, tokens: PointTokens) -> None:
    """Encode the tokens, forward and backward."""
    encoder = case.model.backbone.encoder
    features = tokens.centers.new_ones(
        (*tokens.is_padding.shape, encoder.embed_dims), requires_grad=True)
    with case.autocast():
        encoded = encoder(features, tokens.centers, tokens.is_padding)
    encoded.backward(torch.ones_like(encoded))
    case.optimizer.zero_grad()


def verdicts(padding: List[Dict[str, Any]],
             masking: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Compare both figures with what they may be at most."""
    found = [
        verdict(f'{entry["stage"]}: mixed over equal region counts',
                entry['ratio'], 1.15) for entry in padding
    ]
    name = f'encoder at mask ratio {masking["mask_ratio"]:g} over unmasked'
    return found + [verdict(name, masking['encode_ratio'], 0.5)]


def verdict(name: str, measured: float, limit: float) -> Dict[str, Any]:
    """A figure beside its limit."""
    return dict(
        name=name, measured=measured, limit=limit, met=measured <= limit)
