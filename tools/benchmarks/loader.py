"""Frames per second that the data loader of pre-training delivers.

Reads a prepared data set (posed_images, region_maps, region_features,
region_groups) over and over, from the page cache after the first pass, with
the pipeline of stage 1. Each row is one number of workers; 0 is the training
process, and so the cost of a frame on one core. The parts are the transforms
of one frame, medians in milliseconds. main_ms is the time of the training
process per frame with workers, which is what a training step loses.
"""
import argparse
import time
from typing import Any, Dict, Iterator, List

import numpy as np
import torch
from mmdet3d.utils import register_all_modules
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from sam3d_plugin.datasets import SeededSampler
from sam3d_plugin.datasets.seeding import SampleKey, seeded
from sam3d_plugin.datasets.transforms.base import all_steps
from sam3d_plugin.engine.options import read_config
from tools.benchmarks.measuring import ROOT

CONFIG = ROOT / 'configs' / 'sam3d' / 'stage1_synthrooms.py'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this part."""
    parser.add_argument('--data', required=True, help='prepared data set')
    parser.add_argument('--points', type=int, default=20000)
    parser.add_argument('--batch-size', type=int, default=16)
    parser.add_argument('--workers', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--frames', type=int, default=600)


def measure(args: argparse.Namespace) -> Dict[str, Any]:
    """Figures by part of the pipeline and by number of workers."""
    torch.set_num_threads(1)
    register_all_modules(init_default_scope=False)
    cfg = read_config(str(CONFIG), dict(data_root=args.data.rstrip('/') + '/'))
    cfg.train_dataloader.dataset.ann_file = ''  # all frames
    with DefaultScope.overwrite_default_scope('mmdet3d'):
        loaders = {
            count: build_loader(cfg, args.points, args.batch_size, count)
            for count in (0, *args.workers)
        }
        begin = time.perf_counter()
        loaders[0].dataset.load_data_list()
        return dict(
            frames=len(loaders[0].dataset),
            points=args.points,
            batch_size=args.batch_size,
            index_s=time.perf_counter() - begin,
            parts=measure_parts(loaders[0].dataset, min(args.frames, 200)),
            workers={
                str(count): measure_rate(loaders[count], args.frames)
                for count in args.workers
            })


class ManyEpochs(SeededSampler):
    """Passes that follow each other, as in a data set of many frames."""

    def __iter__(self) -> Iterator[SampleKey]:
        """Yield the samples of one epoch after the other."""
        while True:
            yield from super().__iter__()
            self.epoch += 1


def build_loader(cfg: Any, num_points: int, batch_size: int,
                 num_workers: int) -> Any:
    """The training loader of a config, without an end."""
    options = cfg.train_dataloader.to_dict()
    for step in all_steps(options['dataset']['pipeline']):
        if step['type'] == 'LoadRGBDPoints':
            step['num_points'] = num_points
    options.update(
        sampler=dict(type=ManyEpochs, shuffle=True),
        batch_size=batch_size,
        num_workers=num_workers,
        persistent_workers=num_workers > 0)
    return Runner.build_dataloader(options, seed=0)


def measure_parts(dataset: Any, rounds: int) -> Dict[str, float]:
    """Median milliseconds of each transform, and ``total_ms``."""
    times: Dict[str, List[float]] = {}
    for i in range(rounds):
        index = i % len(dataset)
        with seeded(SampleKey(index, i)):
            results = dataset.get_data_info(index)
            for step in dataset.pipeline.transforms:
                begin = time.perf_counter()
                results = step(results)
                times.setdefault(f'{type(step).__name__}_ms', []).append(
                    (time.perf_counter() - begin) * 1000)
    parts = {name: float(np.median(spent)) for name, spent in times.items()}
    return dict(parts, total_ms=sum(parts.values()))


def measure_rate(loader: Any, frames: int) -> Dict[str, float]:
    """Frames per second of a loader that nothing waits for, after one pass."""
    batches = iter(loader)
    for _ in range(-(-len(loader.dataset) // loader.batch_size) + 2):
        next(batches)
    count = -(-frames // loader.batch_size)
    begin, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        next(batches)
    seen = count * loader.batch_size
    return dict(
        frames_per_s=seen / (time.perf_counter() - begin),
        main_ms=(time.process_time() - cpu) / seen * 1000)
