"""Predictions of scan files, written as files."""
import argparse
from pathlib import Path
from typing import List, Sequence

from ..preparation.sources.scans.scan import Scan
from ..preparation.sources.scans.scan_readers import list_scans
from ..store.errors import UserError
from ..store.files import check_not_input
from ..visualization.scene import ViewOptions
from .predictor import Predictor
from .scenes import SceneOptions, read_scene
from .writers import write_detections, write_segmentation


def predict_files(args: argparse.Namespace, options: SceneOptions) -> None:
    """Predict scans and write what was found, one after the other.

    Args:
        args (argparse.Namespace): Model, ``scans``, ``out`` and the view.
        options (SceneOptions): How to read the scans.
    """
    # A file that cannot be read is known before the model is built.
    files = _files(args.scans)
    scans = [read_scene(path, options) for path in files]
    _check_names([scan.name for scan in scans])
    for scan in scans:
        check_not_input(Path(args.out, f'{scan.name}.ply'), files)
    predict = Predictor(args.config, args.checkpoint, args.device,
                        args.cfg_options)
    view = ViewOptions(azimuth=args.azimuth, max_height=args.max_height)
    for scan in scans:
        if predict.is_segmentor:
            _segment(predict, scan, Path(args.out), view)
        else:
            _detect(predict, scan, args, view)


def _files(paths: Sequence[str]) -> List[Path]:
    """Files of scans, also those in folders."""
    files: List[Path] = []
    for path in map(Path, paths):
        files += list_scans(path).values() if path.is_dir() else [path]
    return files


def _detect(predict: Predictor, scan: Scan, args: argparse.Namespace,
            view: ViewOptions) -> None:
    """Find the boxes of a scan and write them."""
    detections = predict(scan, score_thr=args.score_thr)
    paths = write_detections(detections, Path(args.out), view, args.max_boxes)
    for note in detections.notes:
        print(f'{scan.name}: {note}')
    print(f'{scan.name}: {len(detections)} boxes with score >= '
          f'{args.score_thr:g} · tokens: {detections.tokens} -> '
          f'{" ".join(str(path) for path in paths.values())}')


def _segment(predict: Predictor, scan: Scan, out: Path,
             view: ViewOptions) -> None:
    """Find the classes of a scan's points and write them."""
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
