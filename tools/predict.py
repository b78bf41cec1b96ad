"""Find the objects, or segment the points, of a scan without annotations.

    python tools/predict.py SCAN.ply --out DIR
    python tools/predict.py CONFIG CHECKPOINT SCAN.ply --out DIR

Without a CONFIG (.py) and its weights, the detector that comes with the
package (sam3d_plugin/shipped/README.md) looks for furniture. SCAN is a room as
.ply, .npz (arrays xyz, rgb), .pcd, .las, .laz, .glb or .obj (the surface is
sampled), .bin of ScanNet, or a folder of these; colors are optional. Region
ids per point (region) are used where the model was trained on regions, and kNN
tokens where there are none. Labels are not read. Models of rooms that their
data set aligned (ScanNet) find the same wherever the scan's origin is. DIR
gets, named like the scan, the boxes as JSON, points and boxes as PLY, both in
the units and axes of the scan, a PNG from above and in perspective, and an
HTML page that rotates in any browser, offline; where rerun-sdk is installed,
also a recording (.rrd) for its viewer. With the config of a segmentor they
hold the class of every point instead.

In Python: from sam3d_plugin import Predictor
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from typing import Optional, Sequence

from sam3d_plugin import shipped
from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.model_arguments import (add_model_arguments,
                                              add_view_arguments)
from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.preparation.sources.scans import up_axis


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        'scans',
        nargs='+',
        metavar='[CONFIG CHECKPOINT] SCAN',
        help='files, or folders of them')
    add_model_arguments(parser)
    group = parser.add_argument_group('scans')
    group.add_argument(
        '--scale',
        type=float,
        help='meters per unit, e.g. 0.001 for millimeters; without it that '
        'of the file (.las, .glb), and the scan must look like a room')
    group.add_argument(
        '--up',
        type=up_axis,
        metavar='AXIS',
        help='axis that points up, or a vector along it; without it z (of '
        '.glb: y) must look like it (write a negative axis as --up=-y)')
    group.add_argument(
        '--region-key',
        metavar='NAME',
        help='array or vertex property of the region ids')
    group.add_argument(
        '--drop-invalid',
        action='store_true',
        help='leave out points that are NaN or infinite')
    add_view_arguments(parser)
    # Intermixed: options may stand between the weights and the scans.
    args = parser.parse_intermixed_args(argv)
    args.config, args.checkpoint = shipped.CONFIG, shipped.DETECTOR
    # Swapped ones are told apart later, in a sentence.
    if any(path.endswith(('.py', '.pth')) for path in args.scans[:2]):
        if len(args.scans) < 3:
            parser.error('a CONFIG is followed by its CHECKPOINT and a SCAN')
        args.config, args.checkpoint, *args.scans = args.scans
    return args


def main(args: argparse.Namespace) -> None:
    """Predict and write, one scan after the other."""
    from sam3d_plugin.inference import SceneOptions
    from sam3d_plugin.inference.scan_files import predict_files
    predict_files(
        args,
        SceneOptions(args.scale, args.up, args.region_key, args.drop_invalid))


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_args()))
