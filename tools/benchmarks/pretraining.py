"""Time, memory and arithmetic of pre-training's steps.

Trains both stages on SAM and on kNN tokens, in fp32 and bf16, for --rounds
steps on a prepared data set, the teacher of stage 2 with random weights, and
splits the time of a step. A CPU takes the mini configs and some steps of 4
frames of 20,000 points, a GPU the full ones, 64 x 20,000 points. Every step
is a real one: loader, forward, backward, optimizer.

Two comparisons on made-up frames follow: mixed numbers of regions against
equal ones, and the student's encoder with and without masking. A CPU also
searches pairs of points, measures overlaps of frames and contrasts features,
as methods on pairs of frames do. The end says which targets are met. The share
of the matmul rate is the arithmetic of the matrix products over the time of
the step, as part of what one large product in the same type reaches on this
machine.
"""
import argparse
import os
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple

import torch
from mmdet3d.utils import register_all_modules
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope

from sam3d_plugin.engine.options import read_config
from tools.benchmarks import pretraining_contrast as contrast
from tools.benchmarks import pretraining_ratios as ratios
from tools.benchmarks import pretraining_steps as steps
from tools.benchmarks.loader import build_loader
from tools.benchmarks.measuring import ROOT

CONFIGS = ROOT / 'configs' / 'sam3d'
# By device: kNN tokens of the configs that it takes.
KNN: Dict[str, Dict[str, Any]] = dict(
    cpu=dict(type='KNNTokenizer', num_tokens=64, num_neighbors=64),
    cuda=dict(type='KNNTokenizer', num_tokens=256, num_neighbors=128))
MATMUL_SIZE = dict(cpu=1024, cuda=8192)
# Asked of the full size on a GPU.
MOST_MEMORY_GB, MOST_WAITING = 24., 0.05
FULL_BATCH = 64
# Frames of a step at full size on a CPU.
CPU_BATCH = 4


class Setting(NamedTuple):
    """What is trained, and on how much.

    Attributes:
        name (str): Of the config's file.
        cfg (Config): A pre-training config.
        points (int): Of a frame.
        frames (int): Of a batch.
    """
    name: str
    cfg: Config
    points: int
    frames: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this part."""
    parser.set_defaults(device='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument(
        '--config', nargs='+', help='instead of the two stages')
    parser.add_argument('--data', default='data/synthrooms')
    parser.add_argument(
        '--dtype',
        nargs='+',
        choices=tuple(steps.DTYPES),
        default=list(steps.DTYPES))
    parser.add_argument('--batch-size', type=int)
    parser.add_argument('--points', type=int, help='of a frame')
    parser.add_argument('--workers', type=int, help='default: the config')


def measure(args: argparse.Namespace) -> Dict[str, Any]:
    """Figures of the steps, of both comparisons, and the targets."""
    register_all_modules(init_default_scope=False)
    MMLogger.get_instance('mmengine', log_level='WARNING')
    with DefaultScope.overwrite_default_scope('mmdet3d'):
        matmul = {
            dtype:
            steps.measure_matmul(args.device, dtype, MATMUL_SIZE[args.device],
                                 10)
            for dtype in args.dtype
        }
        rows = [
            row for setting in settings_of(args)
            for row in measure_setting(setting, args, matmul)
        ]
        compared = measure_ratios(args)
    targets = full_size_verdicts(rows) if args.device == 'cuda' else []
    if args.device == 'cpu':
        compared['contrast'] = contrast.measure_contrast(args.rounds)
        targets += contrast.verdicts(compared['contrast'], rows)
    if compared['masking'] is not None:
        targets += ratios.verdicts(compared['padding'], compared['masking'])
    return dict(
        rows=rows,
        matmul_tflops={
            dtype: rate / 1e12
            for dtype, rate in matmul.items()
        },
        **compared,
        targets=targets)


def load_settings(args: argparse.Namespace, suffix: str) -> List[Setting]:
    """The configs of the command line, or both stages of a size."""
    names = args.config or [
        str(CONFIGS / f'stage{stage}_synthrooms{suffix}.py')
        for stage in (1, 2)
    ]
    options = dict(data_root=args.data.rstrip('/') + '/')
    return [
        Setting(
            Path(name).stem, cfg, args.points or steps.points_of(cfg),
            args.batch_size or cfg.train_dataloader.batch_size)
        for name, cfg in ((name, read_config(name, options)) for name in names)
    ]


def settings_of(args: argparse.Namespace) -> Iterator[Setting]:
    """What is measured: each config, those with SAM tokens also with kNN."""
    is_cpu = args.device == 'cpu'
    for setting in load_settings(args, '_mini' if is_cpu else ''):
        yield setting
        cfg = Config(setting.cfg.to_dict())
        if cfg.model.backbone.tokenizer.type == 'SAMTokenizer':
            cfg.model.backbone.tokenizer = KNN[args.device]
            yield setting._replace(cfg=cfg)
    if is_cpu and not args.config:
        for setting in load_settings(args, ''):
            yield setting._replace(frames=CPU_BATCH)


def measure_setting(setting: Setting, args: argparse.Namespace,
                    matmul: Dict[str, float]) -> Iterator[Dict[str, Any]]:
    """Train some steps in every type; a row for each."""
    cfg, points, frames = setting.cfg, setting.points, setting.frames
    workers = args.workers
    if workers is None:
        workers = min(cfg.train_dataloader.num_workers, os.cpu_count() or 1)
        workers = workers if args.device == 'cuda' else 0
    loader = build_loader(cfg, points, frames, workers)
    batches = iter(loader)
    for dtype in args.dtype:
        case = steps.build_case(cfg, args.device, dtype,
                                loader.dataset.metainfo)
        row = dict(
            config=setting.name,
            stage=steps.stage_of(cfg),
            tokenizer=case.model.backbone.tokenizer.summary(),
            dtype=dtype,
            batch_size=frames,
            workers=workers,
            **steps.measure_steps(case, batches, args.rounds, matmul[dtype]))
        print(row, flush=True)
        yield row


def measure_ratios(args: argparse.Namespace) -> Dict[str, Any]:
    """``padding`` per stage: its cost; ``masking`` of stage 2: its gain."""
    result: Dict[str, Any] = dict(padding=[], masking=None)
    suffix = '_mini' if args.device == 'cpu' else ''
    for _, cfg, points, frames in load_settings(args, suffix):
        # Batches of made-up frames are what both stages of the paper read.
        if cfg.model.type not in steps.STAGES or cfg.model.get('region_head'):
            continue
        # Every region keeps the points that a token needs at least.
        most = max(min(ratios.MOST, points // 16), 2)
        counts = ratios.mixed_counts(
            args.batch_size or max(frames, ratios.FRAMES),
            min(ratios.FEWEST, most // 2), most)
        options = (cfg, counts, points, args.device, args.dtype[0],
                   args.rounds * 2)
        result['padding'].append(ratios.measure_padding(*options))
        if 'mask_ratio' in cfg.model:
            result['masking'] = ratios.measure_masking(*options)
    return result


def full_size_verdicts(rows: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Compare stage 1 at full size on a GPU with what is asked of it."""
    found = []
    for row in rows:
        if row['stage'] == 'stage 1' and row['batch_size'] >= FULL_BATCH:
            name = f'stage 1, {row["tokenizer"]}, {row["dtype"]}'
            waiting = row['parts_ms']['data'] / row['step_ms']
            found += [
                ratios.verdict(f'{name}: GB', row['peak_memory_gb'],
                               MOST_MEMORY_GB),
                ratios.verdict(
                    f'{name}: share of the step that waits for data', waiting,
                    MOST_WAITING)
            ]
    return found
