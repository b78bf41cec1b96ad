"""Frames per second that pre-training's data loader delivers.

    python tools/benchmarks/loader.py --data data/NAME \\
        --json docs/results/benchmark_loader.json

Reads a prepared data set (posed_images, region_maps, region_features,
region_groups) over and over, from the page cache after the first pass, with
the pipeline that pre-training uses. Each row is one number of workers; 0 is
the main process, and so the cost of a frame on one core. The parts are the
transforms of one frame, medians. main_ms is the time of the main process per
frame with workers, which is what a training step loses.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import json
import os
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence

import numpy as np
import torch
from mmdet3d.utils import register_all_modules
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.datasets import SeededSampler
from sam3d_plugin.datasets.seeding import SampleKey, seeded
from sam3d_plugin.store import provenance

ROT_RANGE = [-np.pi, np.pi]


def pipeline(num_points: int, groups: str) -> List[Dict[str, Any]]:
    """The transforms of stage 1, with a folder of groups."""
    return [
        dict(type='LoadRGBDPoints', num_points=num_points),
        dict(type='LoadRegionTargets'),
        dict(type='LoadRegionTargets', folder=groups, key='group_ids'),
        dict(
            type='GlobalRotScaleTrans',
            rot_range=ROT_RANGE,
            scale_ratio_range=[0.9, 1.1]),
        dict(
            type='RandomFlip3D',
            sync_2d=False,
            flip_ratio_bev_horizontal=0.5,
            flip_ratio_bev_vertical=0.5),
        dict(type='PackPretrainInputs'),
    ]


class ManyEpochs(SeededSampler):
    """Passes that follow each other, as in a data set of many frames."""

    def __iter__(self) -> Iterator[SampleKey]:
        """Yield the samples of one epoch after the other."""
        while True:
            yield from super().__iter__()
            self.epoch += 1


def build_loader(args: argparse.Namespace, num_workers: int) -> Any:
    """A loader that never ends over the data set."""
    return Runner.build_dataloader(
        dict(
            dataset=dict(
                type='RGBDFrameDataset',
                data_root=args.data,
                ann_file='',
                pipeline=pipeline(args.points, args.groups)),
            sampler=dict(type=ManyEpochs, shuffle=True),
            collate_fn=dict(type=args.collate),
            batch_size=args.batch_size,
            num_workers=num_workers),
        seed=0)


def measure_parts(loader: Any, rounds: int) -> Dict[str, float]:
    """Median milliseconds of each transform on one core.

    Returns them by transform, and ``total_ms``.
    """
    dataset = loader.dataset
    times: Dict[str, List[float]] = {}
    for i in range(rounds):
        index = i % len(dataset)
        with seeded(SampleKey(index, i)):
            results = dataset.get_data_info(index)
            for step in dataset.pipeline.transforms:
                begin = time.perf_counter()
                results = step(results)
                times.setdefault(type(step).__name__, []).append(
                    (time.perf_counter() - begin) * 1000)
    parts = {f'{n}_ms': float(np.median(t)) for n, t in times.items()}
    return dict(parts, total_ms=sum(parts.values()))


def measure_rate(loader: Any, frames: int) -> Dict[str, float]:
    """Frames per second of a loader that nothing waits for.

    Returns ``frames_per_s``, ``main_ms`` per frame.
    """
    batches = iter(loader)
    for _ in range(-(-len(loader.dataset) // loader.batch_size) + 2):
        next(batches)
    count = -(-frames // loader.batch_size)
    begin, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        next(batches)
    seconds = time.perf_counter() - begin
    seen = count * loader.batch_size
    return dict(
        frames_per_s=seen / seconds,
        main_ms=(time.process_time() - cpu) / seen * 1000)


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('--data', required=True, help='prepared data set')
    parser.add_argument('--groups', default='region_groups/train')
    parser.add_argument('--points', type=int, default=20000)
    parser.add_argument('--batch-size', type=int, default=16)
    parser.add_argument('--workers', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument(
        '--collate',
        default='collate_frames',
        choices=['collate_frames', 'pseudo_collate'])
    parser.add_argument('--frames', type=int, default=600)
    parser.add_argument('--json', type=Path, help='where to write the figures')
    return parser.parse_args(argv)


def measure(args: argparse.Namespace) -> Dict[str, Any]:
    """Measure what the command line asks for."""
    load_before = round(os.getloadavg()[0], 1)
    loader = build_loader(args, 0)
    begin = time.perf_counter()
    loader.dataset.load_data_list()
    record: Dict[str, Any] = dict(
        frames=len(loader.dataset),
        points=args.points,
        batch_size=args.batch_size,
        collate=args.collate,
        index_s=round(time.perf_counter() - begin, 4),
        parts={
            name: round(value, 3)
            for name, value in measure_parts(loader, min(args.frames,
                                                         200)).items()
        },
        workers={})
    for workers in args.workers:
        rate = measure_rate(build_loader(args, workers), args.frames)
        record['workers'][str(workers)] = {
            name: round(value, 3)
            for name, value in rate.items()
        }
    record['machine'] = provenance.machine(load_before=load_before)
    return record


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Measure and print."""
    args = parse_args(argv)
    torch.set_num_threads(1)
    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope('mmdet3d'):
        record = measure(args)
    print(json.dumps(record, indent=1))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(record, indent=1) + '\n')


if __name__ == '__main__':
    main()
