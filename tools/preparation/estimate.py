"""Estimate the frames, hours and bytes of a step before it starts.

    python tools/preparation/estimate.py --step regions --data data/NAME
    python tools/preparation/estimate.py --step regions --data data/NAME \\
        --generator sam -O checkpoint=sam_vit_h_4b8939.pth model_type=vit_h
    python tools/preparation/estimate.py --step frames --source SCANNET

Everything after --step goes to the step's own tool, with the same options.
All items are counted; a few are made by the step itself in a temporary
folder, timed and measured, and the rest is extrapolated and compared with the
free space. Features can be estimated before there are id maps: the sample
then gets superpixels. SAM without its checkpoint cannot be run; its published
cost is used then, and reported as such.

Steps, and the tools that make them:
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import importlib.util
import json
import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, List, Optional, Sequence, Tuple

from rich.console import Console
from rich.table import Table

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.tool import PREPARATION, run_tool
from sam3d_plugin.preparation.checking import estimates
from sam3d_plugin.preparation.regions.generators import build_generator
from sam3d_plugin.preparation.regions.region_maps_step import RegionMapStep
from sam3d_plugin.preparation.running.cli import run_options
from sam3d_plugin.preparation.running.frame_steps import FrameStep
from sam3d_plugin.preparation.running.runs import RunOptions, run_step
from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.files import join, read_bytes
from sam3d_plugin.store.manifest import Store
from sam3d_plugin.store.posed_images import PosedImages

STEPS = dict(
    frames='extract_scannet_frames',
    scannet='prepare_scannet',
    sunrgbd='prepare_sunrgbd',
    s3dis='prepare_s3dis',
    folder='import_rgbd_folder',
    synthrooms='make_synthrooms',
    fuse='fuse_frames',
    superpoints='make_superpoints',
    regions='generate_regions',
    features='extract_features',
    lift='lift_regions')
_STAND_IN = 'superpixel'


def parse_args(
    argv: Optional[Sequence[str]] = None
) -> Tuple[argparse.Namespace, List[str]]:
    """Read the command line."""
    tools = '\n'.join(f'    {step:12}{tool}.py'
                      for step, tool in STEPS.items())
    parser = ToolParser(f'{__doc__}\n{tools}', allow_abbrev=False)
    parser.add_argument('--step', required=True, choices=list(STEPS))
    parser.add_argument(
        '--sample',
        type=int,
        default=3,
        metavar='N',
        help='items to make, spread over the scans (default: %(default)s)')
    parser.add_argument(
        '--limit',
        type=float,
        default=120.0,
        metavar='SECONDS',
        help='start no item of the sample after it (default: %(default)s)')
    parser.add_argument(
        '--json', action='store_true', help='print JSON instead of a table')
    return parser.parse_known_args(argv)


def load_tool(step: str) -> ModuleType:
    """Import the tool of a step from its file beside this one."""
    path = Path(__file__).with_name(f'{STEPS[step]}.py')
    spec = importlib.util.spec_from_file_location(f'{STEPS[step]}_tool', path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def estimate_step(args: argparse.Namespace, tool: ModuleType,
                  own: argparse.Namespace) -> estimates.Estimate:
    """Estimate the step that a command line asks for.

    Args:
        args (argparse.Namespace): Of this tool.
        tool (ModuleType): The step's tool.
        own (argparse.Namespace): Arguments of the step's tool.

    Returns:
        estimates.Estimate: For all items that are not done.

    Raises:
        StoreError: When the step cannot be built or no item can be made.
    """
    if args.sample < 1:
        raise StoreError('--sample must be positive')
    options = run_options(own)
    if args.step == 'regions' and _is_sam_missing(own):
        return _estimate_sam(args, own, options)
    if args.step == 'features' and not Store(own.regions,
                                             own.backend_args).exists():
        return _estimate_features(args, tool, own, options)
    step: FrameStep = tool.build_step(own)
    items = estimates.list_items(step, options)
    return estimates.estimate(step, out_folder(own), options, items,
                              _measure(step, items, args))


def out_folder(own: argparse.Namespace) -> str:
    """Folder that a step's tool would write."""
    return own.out if own.out is not None else own.data


def _measure(step: FrameStep, items: estimates.Items,
             args: argparse.Namespace) -> estimates.Sample:
    batches = estimates.choose_batches(items, args.sample, step.batch_size)
    return estimates.measure(step, batches, args.limit)


def _is_sam_missing(own: argparse.Namespace) -> bool:
    """Whether SAM is requested and its checkpoint is missing."""
    checkpoint = own.options.get('checkpoint')
    return own.generator == 'sam' and (checkpoint is None
                                       or not Path(checkpoint).is_file())


def _estimate_sam(args: argparse.Namespace, own: argparse.Namespace,
                  options: RunOptions) -> estimates.Estimate:
    """SAM's published cost; bytes as those of superpixels."""
    step = RegionMapStep(
        join(own.data, 'posed_images'), build_generator(_STAND_IN, {}),
        own.backend_args)
    items = estimates.list_items(step, options)
    size = _measure(step, items, args).size
    alone = RunOptions(options.shard, 1, options.backend_args)
    return estimates.estimate(step, own.out, alone, items,
                              estimates.published_sam(size), 'GPU')


def _estimate_features(args: argparse.Namespace, tool: ModuleType,
                       own: argparse.Namespace,
                       options: RunOptions) -> estimates.Estimate:
    """Features of frames that get superpixels for the sample only."""
    images = PosedImages(join(own.data, 'posed_images'), own.backend_args)
    generator = build_generator(_STAND_IN, {})
    maps_step = RegionMapStep(images.root, generator, own.backend_args)
    items = estimates.list_items(maps_step, options)
    with tempfile.TemporaryDirectory(prefix='sam3d_estimate_') as folder:
        for scan, names in estimates.choose_batches(items, args.sample,
                                                    args.sample):
            _copy_frames(images, scan, names, Path(folder))
        regions = join(folder, 'region_maps')
        run_step(
            RegionMapStep(join(folder, 'posed_images'), generator), regions,
            RunOptions(workers=0), Console(quiet=True))
        copy = argparse.Namespace(**vars(own))
        copy.data, copy.regions, copy.backend_args = folder, regions, None
        step: FrameStep = tool.build_step(copy)
        sample = _measure(step, estimates.list_items(step, RunOptions()), args)
    source = (f'{sample.source}, with {_STAND_IN} regions since there are no '
              'id maps yet')
    sample = estimates.Sample(**dict(vars(sample), source=source))
    return estimates.estimate(step, own.out, options, items, sample)


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


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Estimate; 0, or 1 when it cannot be done or will not fit."""
    args, rest = parse_args(argv)
    tool = load_tool(args.step)
    own = tool.parse_args(rest)

    def estimate(args: argparse.Namespace) -> int:
        result = estimate_step(args, tool, own)
        if args.json:
            print(json.dumps(result.to_json(), indent=1))
        else:
            console = Console(
                highlight=False,
                markup=False,
                width=max(shutil.get_terminal_size().columns, 100))
            print_table(result, console)
        return int(result.free is not None and result.size > result.free)

    return run_tool(estimate, args, PREPARATION)


if __name__ == '__main__':
    sys.exit(main())
