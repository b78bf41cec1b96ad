"""Find the objects, or segment the points, of a scan without annotations.

    python tools/predict.py CONFIG CHECKPOINT SCAN.ply --out DIR

SCAN is a .ply (vertices x y z, red green blue) or .npz file (arrays xyz, rgb)
of a room; region ids per point (region) are used where the model was trained
on regions, and kNN tokens where there are none. Labels are not read. Models of
rooms that their data set aligned (ScanNet) find the same wherever the scan's
origin is. DIR gets, named like the scan, the boxes as JSON, points and boxes
as PLY, a PNG from above and in perspective, and an HTML page that rotates in
any browser, offline. With the config of a segmentor they hold the class of
every point instead.

In Python: from sam3d_plugin import Predictor
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, List, Optional, Sequence

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.model_arguments import (add_model_arguments,
                                              add_view_arguments)
from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.preparation.sources.scans import up_axis
from sam3d_plugin.store.errors import UserError

if TYPE_CHECKING:
    from sam3d_plugin.inference import Predictor
    from sam3d_plugin.preparation.sources.scans.scan import Scan
    from sam3d_plugin.visualization.scene import ViewOptions


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    add_model_arguments(parser)
    parser.add_argument(
        'scans', nargs='+', metavar='SCAN', help='.ply or .npz files')
    _add_scan_arguments(parser)
    add_view_arguments(parser)
    return parser.parse_args(argv)


def _add_scan_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('scans')
    group.add_argument(
        '--scale',
        type=float,
        help='meters per unit, e.g. 0.001 for millimeters; without it the '
        'scan must look like a room in meters')
    group.add_argument(
        '--up',
        type=up_axis,
        metavar='AXIS',
        help='axis that points up, or a vector along it; without it z must '
        'look like it (write a negative axis as --up=-y)')
    group.add_argument(
        '--region-key',
        metavar='NAME',
        help='array or vertex property of the region ids')
    group.add_argument(
        '--drop-invalid',
        action='store_true',
        help='leave out points that are NaN or infinite')


def main(args: argparse.Namespace) -> None:
    """Predict and write, one scan after the other."""
    from sam3d_plugin.inference import Predictor, SceneOptions, read_scene
    from sam3d_plugin.visualization.scene import ViewOptions
    options = SceneOptions(args.scale, args.up, args.region_key,
                           args.drop_invalid)
    # A file that cannot be read is known before the model is built.
    scans = [read_scene(path, options) for path in args.scans]
    _check_names([scan.name for scan in scans])
    predict = Predictor(args.config, args.checkpoint, args.device,
                        args.cfg_options)
    view = ViewOptions(azimuth=args.azimuth, max_height=args.max_height)
    for scan in scans:
        if predict.is_segmentor:
            _segment(predict, scan, Path(args.out), view)
        else:
            _detect(predict, scan, args, view)


def _detect(predict: 'Predictor', scan: 'Scan', args: argparse.Namespace,
            view: 'ViewOptions') -> None:
    """Find the boxes of a scan and write them."""
    from sam3d_plugin.inference import write_detections
    detections = predict(scan, score_thr=args.score_thr)
    paths = write_detections(detections, Path(args.out), view, args.max_boxes)
    for note in detections.notes:
        print(f'{scan.name}: {note}')
    print(f'{scan.name}: {len(detections)} boxes with score >= '
          f'{args.score_thr:g} · tokens: {detections.tokens} -> '
          f'{" ".join(str(path) for path in paths.values())}')


def _segment(predict: 'Predictor', scan: 'Scan', out: Path,
             view: 'ViewOptions') -> None:
    """Find the classes of a scan's points and write them."""
    from sam3d_plugin.inference import write_segmentation
    segmentation = predict.segment(scan)
    paths = write_segmentation(segmentation, out, view)
    for note in segmentation.notes:
        print(f'{scan.name}: {note}')
    print(f'{scan.name}: {len(segmentation)} points of '
          f'{len(segmentation.counts)} classes · tokens: '
          f'{segmentation.tokens} -> '
          f'{" ".join(str(path) for path in paths.values())}')


def _check_names(names: List[str]) -> None:
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise UserError(f'two scans are named {", ".join(sorted(twice))}, '
                        'and their results would be too; rename one file')


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_args()))
