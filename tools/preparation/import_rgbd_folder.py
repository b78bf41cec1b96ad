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
  record3d, stray, polycam, nerfcapture
           a .r3d file of Record3D (or its folder), a folder of Stray Scanner,
           raw data of Polycam, transforms.json with depth of NeRF Capture;
           y up becomes z up unless --up is given (Record3D: give --up=y)

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

from sam3d_plugin.cli.parameters import add_parameters, chosen
from sam3d_plugin.cli.run_arguments import add_check_argument
from sam3d_plugin.cli.step_tool import (add_run_arguments, run_options,
                                        source_parser, tool_main)
from sam3d_plugin.preparation.sources.rgbd_folder.conventions import POSES
from sam3d_plugin.preparation.sources.rgbd_folder.layouts import LAYOUTS
from sam3d_plugin.preparation.sources.rgbd_folder.matrices import read_numbers
from sam3d_plugin.preparation.sources.rgbd_folder.step import (FolderOptions,
                                                               RGBDFolderStep,
                                                               import_frames)
from sam3d_plugin.store.files import join

_AXES = {'x': (1, 0, 0), 'y': (0, 1, 0), 'z': (0, 0, 1)}
# Those of FolderOptions; other cameras come from the layout.
_CHOICES = ('layout', 'stride', 'color_intrinsics', 'depth_intrinsics',
            'depth_to_color', 'depth_scale', 'pose_scale', 'camera_axes',
            'poses', 'depth_along', 'no_depth')


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line; ``out`` is the folder of the frames."""
    parser = source_parser(__doc__)
    parser.add_argument('--scan', required=True, help='name of the scan')
    add_parameters(
        parser,
        FolderOptions,
        _CHOICES,
        layout=('auto', *LAYOUTS),
        poses=tuple(POSES),
        depth_along=('axis', 'ray'))
    vertical = parser.add_mutually_exclusive_group()
    vertical.add_argument(
        '--up',
        metavar='AXIS|F|NUMBERS',
        help="axis or vector of the recording's world that points up; the "
        'world is turned so that it becomes z (default: left as it is)')
    vertical.add_argument(
        '--down',
        metavar='AXIS|F|NUMBERS',
        help='the same for one that points down, such as gravity')
    add_check_argument(parser)
    add_run_arguments(parser)
    args = parser.parse_args(argv)
    args.out = join(args.out, 'posed_images')
    return args


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
    options = FolderOptions(
        **chosen(args, FolderOptions, _CHOICES),
        up=_direction(args),
        is_checked=not args.unchecked)
    return RGBDFolderStep(args.source, args.scan, options, args.backend_args)


def import_folder(args: argparse.Namespace) -> None:
    """Import the recording."""
    import_frames(build_step(args), args.out, run_options(args))


main = tool_main(parse_args, import_folder)

if __name__ == '__main__':
    sys.exit(main())
