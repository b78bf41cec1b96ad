"""Loss curves of trainings, read, kept as references, and drawn."""
import argparse
from pathlib import Path
from typing import Any, Dict, List

from mmengine.config import Config
from PIL import Image

from ..store.files import check_not_input
from ..visualization import training_curves
from . import records, report_inputs

ROOT = Path(__file__).resolve().parents[2]
_DIGITS = 5


def read_training(work_dir: str) -> Dict[str, Any]:
    """Read a training's curve from what it logged.

    Args:
        work_dir (str): Its work directory.

    Returns:
        Dict[str, Any]: ``config`` (name), ``config_hash``, ``seed`` (None
        where it was drawn), ``steps``, ``loss``, ``step_s`` (seconds).

    Raises:
        SystemExit: When it holds no configuration, or no loss was logged.
    """
    configs = sorted(Path(work_dir).glob('*.py'))
    if len(configs) != 1:
        report_inputs.stop(
            f'{work_dir} holds {len(configs)} configurations, not one; name '
            'the --work-dir of tools/train.py')
    cfg = Config.fromfile(configs[0])
    curves = report_inputs.read_curves(work_dir)
    return dict(
        config=configs[0].stem,
        config_hash=records.config_hash(cfg),
        seed=(cfg.get('randomness') or {}).get('seed'),
        steps=curves.steps,
        loss=[float(f'{loss:.{_DIGITS}g}') for loss in curves.losses['loss']],
        step_s=round(curves.step_s, 3))


def keep_reference(path: Path, arm: str, runs: List[Dict[str, Any]]) -> None:
    """Write trainings as a reference.

    Args:
        path (Path): JSON file.
        arm (str): What they have in common, such as 'fresh'.
        runs (List[Dict[str, Any]]): See :func:`read_training`.

    Raises:
        SystemExit: When they differ in their configuration.
    """
    names = sorted({run['config'] for run in runs})
    if len(names) > 1:
        report_inputs.stop(
            f'--keep takes trainings of one configuration, not {names}')
    records.write_record(path, dict(config=names[0], arm=arm, runs=runs))


def read_reference(path: str) -> Dict[str, Any]:
    """Read a file of :func:`keep_reference`.

    Args:
        path (str): JSON file.

    Returns:
        Dict[str, Any]: ``config``, ``arm``, ``runs``.

    Raises:
        SystemExit: When it is none.
    """
    reference = report_inputs.read_json(path)
    if not {'config', 'arm', 'runs'} <= set(reference):
        report_inputs.stop(f'{path} is not a reference that --keep wrote')
    return reference


def run(args: argparse.Namespace) -> None:
    """Read, keep and draw."""
    for path in filter(None, (args.keep, args.out)):
        check_not_input(path, args.reference)
    runs = [read_training(work_dir) for work_dir in args.work_dirs]
    if args.keep:
        keep_reference(args.keep, args.arm, runs)
    arms = [read_reference(path) for path in args.reference]
    arms += [
        dict(config=run['config'], arm=args.arm, runs=[run]) for run in runs
    ]
    panels: Dict[str, Dict[str, List[training_curves.Line]]] = {}
    for arm in arms:
        lines = panels.setdefault(arm['config'], {}).setdefault(arm['arm'], [])
        lines += [
            training_curves.Line(run['steps'], run['loss'])
            for run in arm['runs']
        ]
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(training_curves.draw_training_curves(panels)).save(
            args.out)
        print(f'{args.out}: {", ".join(panels)}')
