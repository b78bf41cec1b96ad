"""Estimates what a step of preparation takes, and shows it."""
import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, Sequence

from rich.console import Console
from rich.table import Table

from ...store.errors import StoreError
from ...store.files import join, read_bytes
from ...store.manifest import Store
from ...store.posed_images import PosedImages
from ..regions.generators import build_generator
from ..regions.region_maps_step import RegionMapStep
from ..running.frame_steps import FrameStep
from ..running.runs import RunOptions, run_step
from . import estimates

BuildStep = Callable[[argparse.Namespace], FrameStep]
_STAND_IN = 'superpixel'


def estimate_step(name: str, build_step: BuildStep, own: argparse.Namespace,
                  options: RunOptions, sample: int,
                  limit: float) -> estimates.Estimate:
    """Estimate the step that a command line asks for.

    Args:
        name (str): Of the step, as ``--step`` takes it.
        build_step (BuildStep): Of the step's tool.
        own (argparse.Namespace): Arguments of the step's tool.
        options (RunOptions): How it would run.
        sample (int): Items to make, spread over the scans.
        limit (float): Seconds after which no item of the sample starts.

    Returns:
        estimates.Estimate: For all items that are not done.

    Raises:
        StoreError: When the step cannot be built or no item can be made.
    """
    if sample < 1:
        raise StoreError('--sample must be positive')
    if name == 'regions' and _is_sam_missing(own):
        return _estimate_sam(own, options, sample, limit)
    if name == 'features' and not Store(own.regions,
                                        own.backend_args).exists():
        return _estimate_features(build_step, own, options, sample, limit)
    step = build_step(own)
    items = estimates.list_items(step, options)
    return estimates.estimate(step, own.out, options, items,
                              _measure(step, items, sample, limit))


def _measure(step: FrameStep, items: estimates.Items, sample: int,
             limit: float) -> estimates.Sample:
    batches = estimates.choose_batches(items, sample, step.batch_size)
    return estimates.measure(step, batches, limit)


def _is_sam_missing(own: argparse.Namespace) -> bool:
    """Whether SAM is requested and its checkpoint is missing."""
    checkpoint = own.options.get('checkpoint')
    return own.generator == 'sam' and (checkpoint is None
                                       or not Path(checkpoint).is_file())


def _estimate_sam(own: argparse.Namespace, options: RunOptions, sample: int,
                  limit: float) -> estimates.Estimate:
    """SAM's published cost; bytes as those of superpixels."""
    step = RegionMapStep(
        join(own.data, 'posed_images'), build_generator(_STAND_IN, {}),
        own.backend_args)
    items = estimates.list_items(step, options)
    size = _measure(step, items, sample, limit).size
    alone = RunOptions(options.shard, 1, options.backend_args)
    return estimates.estimate(step, own.out, alone, items,
                              estimates.published_sam(size), 'GPU')


def _estimate_features(build_step: BuildStep, own: argparse.Namespace,
                       options: RunOptions, sample: int,
                       limit: float) -> estimates.Estimate:
    """Features of frames that get superpixels for the sample only."""
    images = PosedImages(join(own.data, 'posed_images'), own.backend_args)
    generator = build_generator(_STAND_IN, {})
    maps_step = RegionMapStep(images.root, generator, own.backend_args)
    items = estimates.list_items(maps_step, options)
    with tempfile.TemporaryDirectory(prefix='sam3d_estimate_') as folder:
        for scan, names in estimates.choose_batches(items, sample, sample):
            _copy_frames(images, scan, names, Path(folder))
        regions = join(folder, 'region_maps')
        run_step(
            RegionMapStep(join(folder, 'posed_images'), generator), regions,
            RunOptions(workers=0), Console(quiet=True))
        copy = argparse.Namespace(**vars(own))
        copy.data, copy.regions, copy.backend_args = folder, regions, None
        step = build_step(copy)
        found = _measure(step, estimates.list_items(step, RunOptions()),
                         sample, limit)
    source = (f'{found.source}, with {_STAND_IN} regions since there are no '
              'id maps yet')
    found = replace(found, source=source)
    return estimates.estimate(step, own.out, options, items, found)


def _copy_frames(images: PosedImages, scan: str, names: Sequence[str],
                 folder: Path) -> None:
    out = PosedImages(folder / 'posed_images')
    out.write_cameras(scan, images.cameras(scan))
    for name in names:
        for ending in ('.jpg', '.png', '.txt'):
            content = read_bytes(
                images.path(scan, f'{name}{ending}'), images.backend_args)
            Path(out.path(scan, f'{name}{ending}')).write_bytes(content)


def print_table(result: estimates.Estimate, console: Console) -> None:
    """Print an estimate for people."""
    sample = result.sample
    workers = ('1 process' if result.workers == 1 else
               f'{result.workers} processes, if they do not slow each other')
    table = Table(f'estimate of {result.step}', '', show_header=True)
    rows: Dict[str, Any] = {
        result.unit:
        f'{result.items:,} in {result.scans:,} scans',
        'made already':
        f'{result.done:,}',
        'left':
        f'{result.left:,}',
        f'{result.device} time':
        f'{sample.seconds:.3f} s each, {result.device_hours:.2f} '
        f'{result.device}-hours',
        'start of a process':
        f'{sample.start_seconds:.1f} s',
        'duration':
        f'{duration(result.hours)} with {workers}',
        'bytes':
        f'{sample.size:,.0f} each, {result.size / 1e9:.3f} GB',
        'free on the disk':
        'unknown' if result.free is None else f'{result.free / 1e9:.1f} GB',
        'source':
        sample.source
    }
    if sample.skipped:
        rows['skipped in the sample'] = (
            f'{sample.skipped} of {sample.items + sample.skipped}')
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)
    if result.free is not None and result.size > result.free:
        console.print('It will not fit on the disk: free some space, or '
                      'choose another --out.')


def duration(hours: float) -> str:
    """Hours, minutes or seconds, whichever reads best."""
    if hours >= 1:
        return f'{hours:.1f} h'
    if hours * 60 >= 1:
        return f'{hours * 60:.1f} min'
    return f'{hours * 3600:.1f} s'
