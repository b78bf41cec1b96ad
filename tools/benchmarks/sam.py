"""Seconds per frame of our SAM regions and of stock SAM, on the same frames.

``python tools/benchmarks/sam.py --json FILE`` finds the regions of
some frames with ``segment_anything.SamAutomaticMaskGenerator`` and with
``SAMRegions``, in turns, from the same
checkpoint with the same settings, and compares the id maps pixel by pixel.

Without ``--checkpoint`` the weights are random. Thresholds are then chosen so
that a third of the masks pass each of the two; duplicates stay, since random
masks span the image. That says what the networks and the masks cost, and
whether the maps agree; with published weights more prompts have no mask that
is good enough, which favours ours. The frames are those of ../shared/data when
they are there, else generated; the JSON says which.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np
import torch
from PIL import Image
from segment_anything import SamAutomaticMaskGenerator
from segment_anything.utils import amg

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.ops.random_state import seeded
from sam3d_plugin.preparation.regions.generators import (merge_masks,
                                                         sam_batched)
from sam3d_plugin.preparation.regions.generators.sam import SAMRegions
from sam3d_plugin.preparation.regions.generators.sam_models import (
    ARCHITECTURES, build_sam, load_sam)
from sam3d_plugin.store import provenance
from sam3d_plugin.store.errors import FrameError
from sam3d_plugin.store.posed_images import Cameras, RGBDFrame

ROOT = Path(__file__).resolve().parents[2]
FRAMES = ROOT.parent / 'shared' / 'data' / 'scannet_scene0000' / 'frames'
STOCK_POINTS_PER_BATCH = 64
KEPT = 1 / 3
Options = Dict[str, Any]
StockMap = Callable[[np.ndarray], np.ndarray]
OurMaps = Callable[[List[np.ndarray]], List[np.ndarray]]


def load_images(count: int, is_quick: bool) -> Tuple[str, List[np.ndarray]]:
    """Return where images come from and (H, W, 3) uint8 RGB arrays."""
    paths = sorted(FRAMES.glob('*.color.jpg'))
    if paths and not is_quick:
        paths = [paths[i % len(paths)] for i in range(count)]
        return 'scene0000_00', [
            np.asarray(Image.open(path).convert('RGB')) for path in paths
        ]
    rng = np.random.default_rng(0)
    size = (60, 80) if is_quick else (480, 640)
    images = rng.integers(0, 256, (count, *size, 3), dtype=np.uint8)
    return 'generated noise', list(images)


def write_random_checkpoint(model_type: str, is_quick: bool,
                            path: Path) -> None:
    """Write a SAM with seeded random weights; a tiny one when quick."""
    architecture = ARCHITECTURES[model_type]
    if is_quick:
        architecture = replace(
            architecture,
            embed_dim=24,
            depth=2,
            num_heads=2,
            global_blocks=(1, ),
            image_size=64,
            prompt_dim=32,
            decoder_mlp=32)
    with seeded(0):
        sam = build_sam(architecture)
    with torch.no_grad():
        for weight in sam.parameters():
            if not weight.any():
                torch.nn.init.normal_(weight, std=0.02)
    torch.save(sam.state_dict(), path)


@torch.inference_mode()
def thresholds_for(checkpoint: Path, image: np.ndarray, points_per_side: int,
                   device: str) -> Options:
    """Choose thresholds that a third of a random SAM's masks pass."""
    sam = load_sam(checkpoint).to(device)
    size = (image.shape[0], image.shape[1])
    embedding = sam_batched.encode_crops(sam, [image])
    points = sam_batched.place_points(
        amg.build_point_grid(min(points_per_side, 4)), size,
        sam.image_encoder.img_size, sam.device)
    found = sam_batched.prompt_with_points(sam, embedding, points)
    iou = found.iou.flatten().quantile(1 - KEPT).item()
    logits = sam_batched.upscale_logits(
        sam, sam_batched.predict_logits(sam, found, found.iou > iou), size)
    offset = logits.std().item() / 20
    stability = amg.calculate_stability_score(logits, 0, offset)
    return dict(
        pred_iou_thresh=max(iou, 0.0),
        stability_score_offset=offset,
        stability_score_thresh=stability.nan_to_num(0).quantile(1 -
                                                                KEPT).item(),
        box_nms_thresh=1.0)


def clock(device: str) -> np.ndarray:
    """Return wall and processor seconds, after the GPU has finished."""
    if device == 'cuda':
        torch.cuda.synchronize()
    return np.array([time.perf_counter(), time.process_time()])


def compare(stock: StockMap, ours: OurMaps, images: List[np.ndarray],
            batch_size: int, device: str) -> dict:
    """Time both on the same images, in turns, and compare their maps.

    Args:
        stock (StockMap): Map of one image.
        ours (OurMaps): Maps of some images.
        images (List[np.ndarray]): (H, W, 3) uint8 RGB.
        batch_size (int): How many images ours gets at once.
        device (str): ``cpu`` or ``cuda``.

    Returns:
        dict: Seconds per frame of both, the ratios, and how the maps differ.
    """
    stock_seconds, our_seconds = np.zeros(2), np.zeros(2)
    differing: List[int] = []
    regions: List[int] = []
    for start in range(0, len(images), batch_size):
        batch = images[start:start + batch_size]
        before = clock(device)
        expected = [stock(image) for image in batch]
        between = clock(device)
        found = ours(batch)
        our_seconds += clock(device) - between
        stock_seconds += between - before
        regions += [int(ids.max()) for ids in expected]
        differing += [int((a != b).sum()) for a, b in zip(expected, found)]
    wall, processor = stock_seconds / len(images)
    mine = our_seconds / len(images)
    return dict(
        stock_s=wall,
        stock_cpu_s=processor,
        regions=regions,
        ours=dict(
            s=mine[0],
            cpu_s=mine[1],
            speed_ratio=wall / mine[0],
            cpu_speed_ratio=processor / mine[1],
            are_maps_equal=not any(differing),
            differing_pixels=differing))


def as_frame(color: np.ndarray) -> RGBDFrame:
    """Return a frame of which only the colour image counts."""
    cameras = Cameras(np.eye(3), np.eye(3), np.eye(4), True)
    return RGBDFrame('benchmark', '0', color, np.zeros((0, 0), np.float32),
                     np.eye(4), cameras)


def maps_of(generator: SAMRegions) -> OurMaps:
    """Return what makes maps with a generator, loaded and warmed up."""
    masks = generator.load()
    if masks.sam.device.type == 'cuda':
        masks.generate([np.zeros((64, 64, 3), np.uint8)])

    def make(batch: List[np.ndarray]) -> List[np.ndarray]:
        maps = generator.generate([as_frame(image) for image in batch])
        for ids in maps:
            if isinstance(ids, FrameError):
                raise ids
        return [np.asarray(ids) for ids in maps]

    return make


def measure(args: argparse.Namespace, checkpoint: Path) -> dict:
    """Build both generators and compare them."""
    source, images = load_images(args.frames, args.quick)
    options: Options = dict(points_per_side=args.points_per_side)
    if args.checkpoint is None:
        options.update(
            thresholds_for(checkpoint, images[0], args.points_per_side,
                           args.device))
    ours = SAMRegions(
        checkpoint=checkpoint,
        device=args.device,
        batch_size=args.batch_size,
        **options)
    stock = SamAutomaticMaskGenerator(
        load_sam(checkpoint).to(args.device),
        points_per_batch=STOCK_POINTS_PER_BATCH,
        **options)

    def stock_map(image: np.ndarray) -> np.ndarray:
        masks = [mask['segmentation'] for mask in stock.generate(image)]
        return merge_masks(masks, 'stock')

    result = compare(stock_map, maps_of(ours), images, ours.batch_size,
                     args.device)
    return dict(
        result,
        model=ours.settings()['model'],
        weights='random' if args.checkpoint is None else 'given',
        images=source,
        frames=len(images),
        image_size=list(images[0].shape[:2]),
        batch_size=ours.batch_size,
        points_per_batch=ours.points_per_batch,
        stock_points_per_batch=STOCK_POINTS_PER_BATCH,
        options=options)


def parse_args(argv: Optional[List[str]]) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__.split('\n')[0])
    parser.add_argument('--json', type=Path, help='file for the results')
    parser.add_argument(
        '--checkpoint', type=Path, help="a SAM's weights (default: random)")
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument('--frames', type=int, default=4)
    parser.add_argument('--points-per-side', type=int, default=32)
    parser.add_argument('--batch-size', type=int, help='images at once')
    parser.add_argument(
        '--quick', action='store_true', help='a tiny SAM, to try it out')
    args = parser.parse_args(argv)
    if args.device == 'cuda' and not torch.cuda.is_available():
        parser.error('torch sees no GPU; leave --device out')
    return args


def print_values(values: dict, prefix: str = '') -> None:
    """Print nested values, one per line."""
    for key, value in values.items():
        if isinstance(value, dict):
            print_values(value, f'{prefix}{key} ')
        else:
            text = f'{value:.4g}' if isinstance(value, float) else value
            print(f'{prefix}{key}: {text}')


def main(argv: Optional[List[str]] = None) -> None:
    """Run the benchmark."""
    args = parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = args.checkpoint
        if checkpoint is None:
            checkpoint = Path(folder) / 'random.pth'
            write_random_checkpoint('vit_b', args.quick, checkpoint)
        result = dict(
            sam=measure(args, checkpoint),
            machine=provenance.machine(
                args.device, threads=torch.get_num_threads()))
    print_values(result)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(result, indent=2) + '\n')


if __name__ == '__main__':
    main()
