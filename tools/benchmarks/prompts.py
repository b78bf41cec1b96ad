"""Object-aware prompts of SAM: prompts saved, and masks lost.

Finds the masks of frames of SynthRooms with all prompts of the grid and with
``skip_covered`` of several shares, and counts the prompts that the decoder
gets. Recall is the share of the true objects, and of the masks that all
prompts find, that a mask fits with an IoU of at least 0.5.

With ``--checkpoint`` the masks are those of SAM (a file), SAM 2 or SAM 3 (a
folder). Without it an oracle answers each prompt with the
true object and with the group of objects in its box: that shows what skipping
does to prompts and objects, and nothing of SAM's own mistakes.
"""
import argparse
import time
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
from PIL import Image

from sam3d_plugin.preparation.regions.generators import build_generator
from sam3d_plugin.preparation.regions.generators.sam_masks import (
    BatchedMaskGenerator, MaskSettings)
from sam3d_plugin.store.errors import StoreError
from tools.benchmarks.mask_oracle import MaskOracle

SHARES = (0.0, 0.02, 0.1, 0.5)
SMALLEST = 1e-3  # of the image; smaller true objects do not count
FITS = .5
FRAMES, QUICK_FRAMES, QUICK_SIDE = 12, 1, 16
Frame = Tuple[np.ndarray, np.ndarray]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this part."""
    parser.add_argument(
        '--data',
        type=Path,
        default=Path('data/synthrooms'),
        help='data set of make_synthrooms.py (default: data/synthrooms)')
    parser.add_argument('--checkpoint', help='weights (default: an oracle)')


def measure(args: argparse.Namespace) -> Dict[str, Any]:
    """Compare the shares on the same frames."""
    frames = read_frames(args.data, QUICK_FRAMES if args.quick else FRAMES)
    side = QUICK_SIDE if args.quick else MaskSettings.points_per_side
    found: Dict[float, List[np.ndarray]] = {}
    results = []
    for share in SHARES:
        generator = _build(args, frames, side, share)
        start = time.process_time()
        found[share] = [
            generator.generate([color])[0][0] for color, _ in frames
        ]
        seconds = time.process_time() - start
        results.append(
            dict(
                skip_covered=share,
                prompts=generator.prompts_decoded / len(frames),
                cpu_s=seconds / len(frames),
                masks=float(np.mean([len(masks) for masks in found[share]])),
                recall_of_objects=_mean_recall(
                    [objects_of(ids) for _, ids in frames], found[share]),
                recall_of_masks=_mean_recall(found[SHARES[0]], found[share])))
    return dict(
        prompts=dict(
            model=_model(args.checkpoint) if args.checkpoint else 'oracle',
            frames=len(frames),
            points_per_side=side,
            shares=results))


def read_frames(data: Path, count: int) -> List[Frame]:
    """Colors (H, W, 3) and ids of the objects (H, W) of frames, spread over
    the scans. Walls and floor, which have no id, are one more object.

    StoreError when the data set has no true instances.
    """
    paths = sorted(data.glob('frame_instances/*/*.png'))
    if not paths:
        raise StoreError(f'{data}/frame_instances is missing: make a set with '
                         'tools/preparation/make_synthrooms.py')
    chosen = paths[::max(len(paths) // count, 1)][:count]
    frames = []
    for path in chosen:
        ids = np.array(Image.open(path)).astype(np.int64)
        ids[ids == 0] = ids.max() + 1
        color = data / 'posed_images' / path.parent.name / f'{path.stem}.jpg'
        frames.append((np.asarray(Image.open(color).convert('RGB')), ids))
    return frames


def _model(checkpoint: str) -> str:
    """The generator that a checkpoint is for."""
    config = Path(checkpoint, 'config.json')
    if not config.is_file():
        return 'sam'
    return 'sam3' if '"sam3_' in config.read_text() else 'sam2'


def _build(args: argparse.Namespace, frames: Sequence[Frame], side: int,
           share: float) -> BatchedMaskGenerator:
    """A generator of masks with one share."""
    options: Dict[str, Any] = dict(points_per_side=side, skip_covered=share)
    if args.checkpoint:
        options.update(checkpoint=args.checkpoint, device=args.device)
        return build_generator(_model(args.checkpoint),
                               options).load()  # type: ignore
    oracle = MaskOracle([ids for _, ids in frames])
    return BatchedMaskGenerator(oracle, MaskSettings(**options))


def objects_of(ids: np.ndarray) -> np.ndarray:
    """(R, H, W) bool masks of the objects that are large enough."""
    counts = np.bincount(ids.ravel())
    kept = np.flatnonzero(counts >= SMALLEST * ids.size)
    return ids[None] == kept[kept > 0, None, None]


def recall(wanted: np.ndarray, found: np.ndarray) -> float:
    """Share of masks (R, H, W) that one of others fits; NaN without any."""
    if len(wanted) == 0:
        return float('nan')
    if len(found) == 0:
        return 0.
    first, second = (
        masks.reshape(len(masks), -1).astype(np.float32)
        for masks in (wanted, found))
    both = first @ second.T
    union = first.sum(1)[:, None] + second.sum(1)[None] - both
    return float(((both / union).max(axis=1) >= FITS).mean())


def _mean_recall(wanted: Sequence[np.ndarray],
                 found: Sequence[np.ndarray]) -> float:
    return float(np.nanmean([recall(*pair) for pair in zip(wanted, found)]))
