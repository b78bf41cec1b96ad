"""Fine-tuning on few labels, from encoders of the ladder."""
import argparse
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

from . import arm_tables, records, steps

ROOT = Path(__file__).resolve().parents[2]


class Task(NamedTuple):
    """What all arms of a comparison have in common."""

    config: str  # Of the fine-tuning
    options: Dict[str, Any] = {}  # What is changed in it


INFOS = 'scannet_infos_train_10.pkl'
DETECTION = 'configs/sam3d/votenet_synthrooms_mini.py'
TENTH = {'train_dataloader.dataset.dataset.ann_file': INFOS}
TASKS = dict(
    detection=Task(DETECTION, TENTH),
    detection_own_origin=Task(DETECTION,
                              dict(TENTH, **{'model.backbone.center':
                                             'none'})),
    segmentation=Task(
        'configs/sam3d/segmentor_synthrooms_mini.py', {
            'train_dataloader.dataset.ann_file':
            INFOS,
            'train_dataloader.dataset.scene_idxs':
            'seg_info/train_10_resampled_scene_idxs.npy'
        }))
# Arms of the ladder whose encoders are fine-tuned.
ENCODERS = ('stage1_sam_balanced', 'stage1_sam_plain', 'ours_sam')
FRESH = 'fresh'


def find_checkpoint(ladder: Path, arm: str, seed: int) -> Path:
    """Last checkpoint of an arm of the ladder.

    Args:
        ladder (Path): The ladder's work directory.
        arm (str): Its name there.
        seed (int): Of the pre-training.

    Returns:
        Path: The checkpoint.

    Raises:
        SystemExit: When the ladder has not got there.
    """
    folder = ladder / arm / f'seed_{seed}'
    result = records.read_json(folder / 'result.json')
    if not result:
        raise SystemExit(
            f'error: {folder} is incomplete; run python tools/experiments/'
            f'ladder.py --arms {arm} --seeds {seed} --work-dir {ladder} first')
    return ladder / result['checkpoint']


def export_steps(args: argparse.Namespace) -> List[steps.Command]:
    """Encoders of all pre-trainings, as files of their own."""
    found = []
    for arm in ENCODERS:
        for seed in args.seeds:
            checkpoint = find_checkpoint(args.ladder, arm, seed)
            output = encoder_file(args, arm).format(seed=seed)
            found.append(
                steps.Command([
                    'python', 'tools/export_backbone.py',
                    str(checkpoint), '--out', output
                ], output))
    return found


def encoder_file(args: argparse.Namespace, arm: str) -> str:
    """Where the encoders of an arm are, with {seed} for their seed."""
    return f'{args.work_dir}/encoders/{arm}_{{seed}}.pth'


def evaluate_steps(args: argparse.Namespace, task: str) -> List[steps.Command]:
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
            steps.Command([
                'python', 'tools/experiments/evaluate.py', TASKS[task].config,
                '--out',
                str(folder), '--arm', name, '--work-dir',
                str(args.work_dir / task / folder.name), '--seeds',
                *map(str, args.seeds), *steps.option_list(options)
            ], f'{folder}/seed_{args.seeds[-1]}.json'))
    return found


def arm_folder(args: argparse.Namespace, task: str, name: str) -> Path:
    """Folder of an arm's records."""
    return Path(args.out, task, name)


def compare_task(args: argparse.Namespace, task: str) -> Dict[str, Any]:
    """Put the arms of a task side by side."""
    arms = arm_tables.read_arms(
        [arm_folder(args, task, name) for name in (FRESH, *ENCODERS)])
    metrics = arm_tables.shared_metrics(arms)
    return dict(
        baseline=FRESH,
        metrics=metrics,
        cells=arm_tables.compare_arms(arms, FRESH, metrics),
        notes=arm_tables.describe_differences(arms),
        config=Path(TASKS[task].config).stem)


def judge(results: Dict[str, Any]) -> None:
    """Give the verdicts of the table that all tasks stand in."""
    arm_tables.judge([
        cell for task in results.values() for cell in task['cells']
        if cell['checkpoint'] == 'last'
    ])


def run(args: argparse.Namespace) -> None:
    """Run what is asked for and write the comparison."""
    (args.work_dir / 'encoders').mkdir(parents=True, exist_ok=True)
    steps.run_steps(export_steps(args))
    results = records.read_json(args.json)
    for task in args.tasks:
        steps.run_steps(evaluate_steps(args, task))
        results[task] = compare_task(args, task)
    judge(results)
    records.write_record(Path(args.json), results)
