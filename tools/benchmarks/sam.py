"""Seconds per frame of our SAM regions and of stock SAM, on the same images.

Finds the regions of some images with
``segment_anything.SamAutomaticMaskGenerator`` and with ``SAMRegions``, in
turns, from the same checkpoint with the same settings, and compares the id
maps pixel by pixel.

Without ``--checkpoint`` the weights are random. Thresholds are then chosen so
that a third of the masks pass each of the two; duplicates stay, since random
masks span the image. That says what the networks and the masks cost, and
whether the maps agree; with published weights more prompts have no mask that
is good enough, which favors ours. Without ``--images`` they are noise.
"""
import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import torch
from PIL import Image
from segment_anything import SamAutomaticMaskGenerator
from segment_anything.utils import amg

from sam3d_plugin.ops.random_state import seeded
from sam3d_plugin.preparation.regions.generators import (merge_masks,
                                                         sam_batched)
from sam3d_plugin.preparation.regions.generators.sam import SAMRegions
from sam3d_plugin.preparation.regions.generators.sam_models import (
    ARCHITECTURES, build_sam, load_sam)
from sam3d_plugin.store.errors import FrameError
from sam3d_plugin.store.posed_images import Cameras, RGBDFrame

STOCK_POINTS_PER_BATCH = 64
KEPT = 1 / 3
Options = Dict[str, Any]
StockMap = Callable[[np.ndarray], np.ndarray]
OurMaps = Callable[[List[np.ndarray]], List[np.ndarray]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this part."""
    parser.add_argument(
        '--checkpoint', type=Path, help="a SAM's weights (default: random)")
    parser.add_argument('--images', type=Path, help='folder of .jpg files')
    parser.add_argument('--frames', type=int, default=4)
    parser.add_argument('--points-per-side', type=int, default=32)
    parser.add_argument('--batch-size', type=int, help='images at once')


def measure(args: argparse.Namespace) -> Dict[str, Any]:
    """Build both generators and compare them."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = args.checkpoint
        if checkpoint is None:
            checkpoint = Path(folder, 'random.pth')
            write_random_checkpoint(args.quick, checkpoint)
        return dict(sam=_measure(args, checkpoint))


def _measure(args: argparse.Namespace, checkpoint: Path) -> Dict[str, Any]:
    images = load_images(args)
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

    return dict(
        compare(stock_map, maps_of(ours), images, ours.batch_size,
                args.device),
        model=ours.settings()['model'],
        weights='random' if args.checkpoint is None else 'given',
        images='noise' if args.images is None else args.images.name,
        frames=len(images),
        image_size=list(images[0].shape[:2]),
        batch_size=ours.batch_size,
        points_per_batch=ours.points_per_batch,
        stock_points_per_batch=STOCK_POINTS_PER_BATCH,
        options=options)


def load_images(args: argparse.Namespace) -> List[np.ndarray]:
    """Images (H, W, 3) uint8 RGB; those of a folder repeat."""
    if args.images is not None:
        paths = sorted(args.images.glob('*.jpg'))
        chosen = [paths[i % len(paths)] for i in range(args.frames)]
        return [np.asarray(Image.open(path).convert('RGB')) for path in chosen]
    size = (60, 80) if args.quick else (480, 640)
    return list(
        np.random.default_rng(0).integers(
            0, 256, (args.frames, *size, 3), dtype=np.uint8))


def write_random_checkpoint(is_quick: bool, path: Path) -> None:
    """Write a SAM with seeded random weights; a tiny one when quick."""
    architecture = ARCHITECTURES['vit_b']
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


def _clock(device: str) -> np.ndarray:
    """Wall and processor seconds, after the GPU has finished."""
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
        before = _clock(device)
        expected = [stock(image) for image in batch]
        between = _clock(device)
        found = ours(batch)
        our_seconds += _clock(device) - between
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


def maps_of(generator: SAMRegions) -> OurMaps:
    """What makes maps with a generator, loaded and warmed up."""
    masks = generator.load()
    if masks.networks.device.type == 'cuda':
        masks.generate([np.zeros((64, 64, 3), np.uint8)])
    cameras = Cameras(np.eye(3), np.eye(3), np.eye(4), True)
    no_depth = np.zeros((0, 0), np.float32)

    def make(batch: List[np.ndarray]) -> List[np.ndarray]:
        maps = generator.generate([
            RGBDFrame('benchmark', '0', image, no_depth, np.eye(4), cameras)
            for image in batch
        ])
        for ids in maps:
            if isinstance(ids, FrameError):
                raise ids
        return [np.asarray(ids) for ids in maps]

    return make
