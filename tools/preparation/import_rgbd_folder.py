"""Turn a recording of an RGB-D camera with poses into posed_images.

    python tools/preparation/import_rgbd_folder.py --source DIR \\
        --out data/NAME --scan NAME

Layouts (--layout; detected by default):
  7scenes  frame-000000.{color.png,depth.png,pose.txt}; depth in mm, pose of
           the depth camera; camera-intrinsics.txt is the depth camera's, and
           the color camera has to be given. 3RScan and BundleFusion, with
           .depth.pgm or .png, say both in _info.txt or info.txt
  tum      rgb.txt, depth.txt, groundtruth.txt, paired by time within 0.02 s;
           depth in 1/5000 m, registered to color
  icl      rgb/0.png, depth/0.png, *.gt.freiburg; depth in 1/5000 m;
           left-handed with a negative fy, turned into a right-handed world
  scannet  0.{jpg,png,txt}, or color/ depth/ pose/; depth in mm
  replica  traj.txt, results/frame000000.jpg and depth000000.png,
           cam_params.json there or above

Frames must agree with each other, and the floor must be at the low end of
z: see docs/checks.md.

Cameras are numbers or files: intrinsics fx,fy,cx,cy or a 3x3 or 4x4 matrix;
--depth-to-color a translation x,y,z or a 4x4 matrix, meters, from the depth
camera's frame to the color camera's. Write a leading minus as
--depth-to-color=-0.025,0,0.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from typing import Optional, Sequence, Tuple

import numpy as np
from rich.console import Console

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.tool import PREPARATION, run_tool
from sam3d_plugin.preparation.running.cli import (add_check_argument,
                                                  add_run_arguments,
                                                  run_options)
from sam3d_plugin.preparation.running.runs import run_step
from sam3d_plugin.preparation.sources.rgbd_folder.conventions import (
    CAMERA_AXES, POSES)
from sam3d_plugin.preparation.sources.rgbd_folder.layouts import LAYOUTS
from sam3d_plugin.preparation.sources.rgbd_folder.matrices import read_numbers
from sam3d_plugin.preparation.sources.rgbd_folder.step import (FolderOptions,
                                                               RGBDFolderStep)
from sam3d_plugin.preparation.sources.scans.source_files import check_unclaimed
from sam3d_plugin.store.files import join
from sam3d_plugin.store.manifest import Store

_AXES = {'x': (1, 0, 0), 'y': (0, 1, 0), 'z': (0, 0, 1)}


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line; ``out`` is the folder of the frames."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        '--source', required=True, help='folder of the recording')
    parser.add_argument('--out', required=True, help='folder of the data set')
    parser.add_argument('--scan', required=True, help='name of the scan')
    parser.add_argument('--layout', choices=('auto', *LAYOUTS), default='auto')
    parser.add_argument(
        '--stride',
        type=int,
        default=1,
        metavar='N',
        help='take every N-th frame (default: 1)')
    _add_camera_arguments(parser)
    add_check_argument(parser)
    add_run_arguments(parser)
    args = parser.parse_args(argv)
    args.out = join(args.out, 'posed_images')
    return args


def _add_camera_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('cameras',
                                      'Defaults come from the layout.')
    group.add_argument('--color-intrinsics', metavar='F|NUMBERS')
    group.add_argument(
        '--depth-intrinsics',
        metavar='F|NUMBERS',
        help='only if the depth camera is another than the color camera')
    group.add_argument('--depth-to-color', metavar='F|NUMBERS')
    group.add_argument(
        '--depth-scale',
        type=float,
        metavar='X',
        help='units of the depth images per meter')
    group.add_argument(
        '--pose-scale',
        type=float,
        default=1.0,
        metavar='X',
        help='meters per unit of the poses, e.g. 0.001 for millimeters')
    group.add_argument(
        '--camera-axes',
        default='opencv',
        metavar='AXES',
        help=f'{", ".join(CAMERA_AXES)}, or where x, y and z of the camera '
        'point, as in right,up,backward (default: opencv)')
    group.add_argument(
        '--poses',
        choices=POSES,
        default='camera-to-world',
        help='pose convention (default: camera-to-world)')
    group.add_argument(
        '--depth-along',
        choices=('axis', 'ray'),
        default='axis',
        help='whether depth is z, or the distance from the camera')
    group.add_argument(
        '--no-depth',
        type=float,
        metavar='X',
        help='value of missing depth (besides 0 and 65535)')
    vertical = group.add_mutually_exclusive_group()
    vertical.add_argument(
        '--up',
        metavar='AXIS|F|NUMBERS',
        help="axis or vector of the recording's world that points up; the "
        'world is turned so that it becomes z (default: left as it is)')
    vertical.add_argument(
        '--down',
        metavar='AXIS|F|NUMBERS',
        help='the same for one that points down, such as gravity')


def _direction(args: argparse.Namespace) -> Optional[Tuple[float, ...]]:
    """The vector that points up, if there is one on the command line."""
    text = args.up or args.down
    if not text:
        return None
    if text.lstrip('-') in _AXES:
        vector = np.array(_AXES[text.lstrip('-')], dtype=float)
        vector *= -1 if text[0] == '-' else 1
    else:
        vector = np.array(read_numbers(text, args.backend_args))
    return tuple((vector if args.up else -vector).tolist())


def build_step(args: argparse.Namespace) -> RGBDFolderStep:
    """The step of a command line."""
    options = FolderOptions(args.layout, args.color_intrinsics,
                            args.depth_intrinsics, args.depth_to_color,
                            args.depth_scale, args.pose_scale,
                            args.camera_axes, args.poses,
                            args.depth_along, args.no_depth, args.stride,
                            _direction(args), not args.unchecked)
    return RGBDFolderStep(args.source, args.scan, options, args.backend_args)


def import_folder(args: argparse.Namespace) -> None:
    """Import the recording."""
    console = Console(soft_wrap=True, markup=False, highlight=False)
    step = build_step(args)
    options = run_options(args)
    store = Store(args.out, options.backend_args)
    check_unclaimed(store, step.scans())
    step.check_store(store)
    checks = step.check()
    for note in (f'layout {step.layout}', *step.notes, *checks.notes):
        console.print(note)
    run_step(step, args.out, options, console)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Import a recording; 0, or 1 after one sentence on what is wrong."""
    args = parse_args(argv)
    return run_tool(import_folder, args, PREPARATION)


if __name__ == '__main__':
    sys.exit(main())
