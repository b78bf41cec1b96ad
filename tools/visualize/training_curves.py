"""Draw the loss of trainings, beside what was measured before.

    python tools/visualize/training_curves.py work_dirs/mine --out mine.png \\
        --reference docs/results/curves/votenet_scannet_mini.json

    python tools/visualize/training_curves.py work_dirs/seed_* \\
        --arm fresh --keep docs/results/curves/NAME.json

A work directory is one of ``tools/train.py``; trainings of one configuration
share a panel. ``--keep`` writes them as a reference: several directories are
the seeds of one arm.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import json
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from mmengine.config import Config
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.experiments import records
from sam3d_plugin.store import atomic_write
from sam3d_plugin.visualization import training_curves
from tools.visualize import report_inputs

_DIGITS = 5


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        'work_dirs', nargs='*', metavar='WORK_DIR', help='of tools/train.py')
    parser.add_argument(
        '--arm',
        default='this training',
        help='what the trainings are called (default: %(default)s)')
    parser.add_argument(
        '--reference',
        nargs='+',
        default=[],
        metavar='FILE',
        help='curves of docs/results/curves')
    parser.add_argument('--out', type=Path, help='PNG file')
    parser.add_argument('--keep', type=Path, help='JSON file')
    args = parser.parse_args(argv)
    if not args.work_dirs + args.reference:
        parser.error('name a WORK_DIR or a --reference')
    if not args.out and not args.keep:
        parser.error('name a file: --out draws, --keep writes a reference')
    if args.keep and not args.work_dirs:
        parser.error('--keep needs the WORK_DIR of a training')
    return args


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
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, 'w') as file:
        json.dump(dict(config=names[0], arm=arm, runs=runs), file)
        file.write('\n')


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


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Read, keep and draw."""
    args = parse_args(argv)
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
    return 0


if __name__ == '__main__':
    sys.exit(main())
