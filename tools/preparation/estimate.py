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
from pathlib import Path
from types import ModuleType
from typing import List, Optional, Sequence, Tuple

from rich.console import Console

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.run_arguments import run_options
from sam3d_plugin.cli.tool import PREPARATION, run_tool
from sam3d_plugin.preparation.checking.feature_advice import geometry_advice
from sam3d_plugin.preparation.checking.step_estimate import (estimate_step,
                                                             print_table)

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
GEOMETRY = Path(__file__).parents[2] / 'docs/results/feature_geometry.json'


def parse_args(
    argv: Optional[Sequence[str]] = None
) -> Tuple[argparse.Namespace, List[str]]:
    """Read own arguments; the rest is for the step's tool."""
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


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Estimate; 0, or 1 when it cannot be done or will not fit."""
    args, rest = parse_args(argv)
    tool = load_tool(args.step)
    own = tool.parse_args(rest)

    def estimate(args: argparse.Namespace) -> int:
        result = estimate_step(args.step, tool.build_step, own,
                               run_options(own), args.sample, args.limit)
        if args.json:
            print(json.dumps(result.to_json(), indent=1))
        else:
            console = Console(
                highlight=False,
                markup=False,
                width=max(shutil.get_terminal_size().columns, 100))
            print_table(result, console)
            if args.step == 'features':
                console.print(geometry_advice(own.encoder, GEOMETRY))
        return int(result.free is not None and result.size > result.free)

    return run_tool(estimate, args, PREPARATION)


if __name__ == '__main__':
    sys.exit(main())
