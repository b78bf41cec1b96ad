"""Draw a detector's boxes and the true ones into a scan's points.

    python tools/visualize/detections.py CONFIG CHECKPOINT --out DIR

For each scan, ``DIR/<scan>.png`` shows it from above and in perspective, and
``DIR/<scan>.html`` opens in any browser, offline, and rotates. No display and
no open3d are needed; CONFIG may be one of ours or mmdet3d's.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Optional, Sequence

from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.model_arguments import (add_model_arguments,
                                              add_view_arguments)
from sam3d_plugin.engine.options import read_config
from sam3d_plugin.inference import AnnotatedScans, Predictor
from sam3d_plugin.visualization.boxes import NO_BOXES, match_boxes
from sam3d_plugin.visualization.html import write_scene_html
from sam3d_plugin.visualization.render import render_scene
from sam3d_plugin.visualization.scene import Scene, ViewOptions


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('config', help='config of the model')
    parser.add_argument('checkpoint', help='its weights')
    add_model_arguments(parser)
    parser.add_argument(
        '--split',
        choices=('test', 'val', 'train'),
        default='test',
        help='whose scans; the test pipeline reads them (default: test)')
    parser.add_argument(
        '--scan', nargs='+', metavar='NAME', help='only these scans')
    parser.add_argument(
        '--color',
        choices=('rgb', 'height', 'region'),
        default='rgb',
        help='what colors the points (default: rgb; height where the scan '
        'has no colors)')
    parser.add_argument(
        '--seed', type=int, default=0, help='of random point sampling')
    add_view_arguments(parser)
    return parser.parse_args(argv)


def draw(scene: Scene, args: argparse.Namespace) -> str:
    """Write the files of a scan."""
    options = ViewOptions(
        azimuth=args.azimuth, max_height=args.max_height, seed=args.seed)
    stem = Path(args.out, scene.name)
    found, true = scene.predicted, scene.true or NO_BOXES
    drawn = replace(scene, predicted=found.select(slice(args.max_boxes)))
    render_scene(f'{stem}.png', drawn, options)
    write_scene_html(f'{stem}.html', drawn, args.score_thr, options)
    matches = match_boxes(found, true, options.iou_thr)
    limit = (f' (the best {args.max_boxes} drawn)'
             if len(found) > args.max_boxes else '')
    return (f'{scene.name}: {len(true)} true boxes, {len(found)} predicted '
            f'with score >= {args.score_thr:g}{limit}, {(matches >= 0).sum()} '
            f'matched at IoU {options.iou_thr:g} -> {stem}.png {stem}.html')


def run(args: argparse.Namespace) -> None:
    """Draw the scans that the command line asks for."""
    # mmdet3d prints tables of its datasets to the current logger.
    MMLogger.get_instance('detections').setLevel('WARNING')
    cfg = read_config(args.config, args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmdet3d'))
    scans = AnnotatedScans(cfg, args.split)
    wanted = scans.find(args.scan)
    predict = Predictor(args.config, args.checkpoint, args.device,
                        args.cfg_options)
    for index in wanted.values():
        found = predict.detect_sample(scans.dataset, index, args.score_thr,
                                      args.seed)
        scene = replace(scans.scene(index, args.color), predicted=found)
        print(draw(scene, args), flush=True)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Run the tool; a user's mistake ends in one sentence."""
    args = parse_args(argv)
    try:
        run(args)
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
