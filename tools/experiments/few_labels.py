"""Does pre-training help where few scans have labels? Measured on SynthRooms.

    python tools/experiments/few_labels.py --ladder work_dirs/ladder \\
        --data-root data/synthrooms_mini

Fine-tunes a detector and a segmentor on a tenth of the training rooms from a
fresh encoder, from those of stage 1, and from those of both stages, and
evaluates them on the validation rooms. The encoders are the ladder's
(tools/experiments/ladder.py --arms stage1_sam full_sam), which has shown both
arms the same number of frames; training SEED starts from pre-training SEED.
Detection is measured a second time with positions of tokens counted from the
data set's own origin, a corner of the room. Every step is a plain command,
printed before it runs, and not run again when it is done;
tools/experiments/compare.py writes the tables.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import json
import sys
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.experiments import steps
from sam3d_plugin.store import atomic_write
from tools.experiments import compare


class Task(NamedTuple):
    """What all arms of a comparison have in common.

    Attributes:
        config (str): Of the fine-tuning.
        options (Dict[str, Any]): What is changed in it.
    """

    config: str
    options: Dict[str, Any] = {}


DETECTION = 'configs/sam3d/votenet_synthrooms_mini_10percent.py'
TASKS = dict(
    detection=Task(DETECTION),
    detection_own_origin=Task(DETECTION, {'model.backbone.center': 'none'}),
    segmentation=Task('configs/sam3d/segmentor_synthrooms_mini_10percent.py'))
# By name: arm of the ladder, and the stage whose encoder is taken.
ENCODERS = {'stage 1': ('stage1_sam', 1), 'stage 1 + 2': ('full_sam', 2)}
FRESH = 'fresh'
OUT = Path('docs', 'results', 'few_labels')


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        '--ladder',
        type=Path,
        default='work_dirs/ladder',
        help="the ladder's work directory (default: %(default)s)")
    parser.add_argument(
        '--data-root',
        default='data/synthrooms_mini',
        help='prepared SynthRooms')
    parser.add_argument(
        '--tasks', nargs='+', choices=list(TASKS), default=list(TASKS))
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument(
        '--work-dir', type=Path, default='work_dirs/few_labels')
    parser.add_argument(
        '--out', type=Path, default=OUT, help='records of all trainings')
    parser.add_argument(
        '--json', type=Path, default='docs/results/few_labels.json')
    return parser.parse_args(argv)


def find_checkpoint(ladder: Path, arm: str, stage: int, seed: int) -> Path:
    """Last checkpoint of a stage of the ladder.

    Args:
        ladder (Path): The ladder's work directory.
        arm (str): Its name there.
        stage (int): 1 or 2.
        seed (int): Of the pre-training.

    Returns:
        Path: The checkpoint.

    Raises:
        SystemExit: When the ladder has not got there.
    """
    folder = ladder / arm / f'seed_{seed}'
    pointer = folder / f'stage{stage}' / 'last_checkpoint'
    if not (folder / 'result.json').is_file() or not pointer.is_file():
        raise SystemExit(
            f'error: {folder} is incomplete; run python tools/experiments/'
            f'ladder.py --arms {arm} --seeds {seed} --work-dir {ladder} first')
    return pointer.parent / Path(pointer.read_text().strip()).name


def export_steps(args: argparse.Namespace) -> List[steps.Step]:
    """Encoders of all pre-trainings, as files of their own."""
    found = []
    for name, (arm, stage) in ENCODERS.items():
        for seed in args.seeds:
            checkpoint = find_checkpoint(args.ladder, arm, stage, seed)
            output = encoder_file(args, name).format(seed=seed)
            found.append(
                steps.Step([
                    'python', 'tools/export_backbone.py',
                    str(checkpoint), '--out', output
                ], output))
    return found


def encoder_file(args: argparse.Namespace, name: str) -> str:
    """Where the encoders of an arm are, with {seed} for their seed."""
    arm, stage = ENCODERS[name]
    return f'{args.work_dir}/encoders/{arm}_stage{stage}_{{seed}}.pth'


def evaluate_steps(args: argparse.Namespace, task: str) -> List[steps.Step]:
    """Fine-tune and evaluate every arm.

    Returns one step for each arm; its output is the last seed's record.
    """
    found = []
    for name in (FRESH, *ENCODERS):
        options = dict(TASKS[task].options, data_root=args.data_root)
        if name != FRESH:
            options['model.backbone.init_cfg'] = dict(
                type='Pretrained', checkpoint=encoder_file(args, name))
        folder = arm_folder(args, task, name)
        found.append(
            steps.Step([
                'python', 'tools/experiments/evaluate.py', TASKS[task].config,
                '--out',
                str(folder), '--arm', name, '--work-dir',
                str(args.work_dir / task / folder.name), '--seeds',
                *map(str, args.seeds), *steps.option_list(options)
            ], f'{folder}/seed_{args.seeds[-1]}.json'))
    return found


def arm_folder(args: argparse.Namespace, task: str, name: str) -> Path:
    """Folder of an arm's records."""
    return Path(args.out, task, name.replace(' ', '').replace('+', '_'))


def compare_step(args: argparse.Namespace, task: str) -> steps.Step:
    """Put the arms of a task side by side."""
    arms = [str(arm_folder(args, task, n)) for n in (FRESH, *ENCODERS)]
    output = str(args.work_dir / f'{task}.json')
    return steps.Step(
        ['python', 'tools/experiments/compare.py', *arms, '--json', output],
        output)


def judge(results: Dict[str, Any]) -> None:
    """Give the verdicts of the table that all tasks stand in.

    Args:
        results (Dict[str, Any]): What compare.py wrote, by task; changed.
    """
    compare.judge([
        cell for task in results.values() for cell in task['cells']
        if cell['checkpoint'] == 'last'
    ])


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run what is asked for and write the comparison."""
    args = parse_args(argv)
    (args.work_dir / 'encoders').mkdir(parents=True, exist_ok=True)
    steps.run_steps(export_steps(args))
    results = json.loads(args.json.read_text()) if args.json.is_file() else {}
    for task in args.tasks:
        steps.run_steps(evaluate_steps(args, task))
        comparison = compare_step(args, task)
        Path(comparison.output).unlink(missing_ok=True)
        steps.run_steps([comparison])
        results[task] = dict(
            json.loads(Path(comparison.output).read_text()),
            config=Path(TASKS[task].config).stem)
    judge(results)
    with atomic_write(args.json, 'w') as file:
        json.dump(results, file, indent=1)
        file.write('\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
