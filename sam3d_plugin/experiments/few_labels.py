"""Fine-tuning on few labels, from encoders of the ladder."""
import argparse
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

import mmengine
import numpy as np
import torch
from mmengine.config import Config

from ..engine.options import read_config
from ..evaluation.linear_probe import rarest_third
from . import arm_tables, records, steps
from .arms import ARMS

ROOT = Path(__file__).resolve().parents[2]

SHARES = (5, 10)  # Of the training rooms, in percent
# Of the fine-tuning, by budget and kind of task.
CONFIGS = dict(
    mini=dict(
        detection='configs/sam3d/votenet_synthrooms_mini.py',
        segmentation='configs/sam3d/segmentor_synthrooms_mini.py'),
    full=dict(
        detection='configs/sam3d/votenet_scannet.py',
        segmentation='configs/sam3d/segmentor_scannet.py'))


class Task(NamedTuple):
    """What all arms of a comparison have in common."""

    kind: str  # ``'detection'`` or ``'segmentation'``
    options: Dict[str, Any]  # What is changed in its config

    def config(self, args: argparse.Namespace) -> str:
        """Return the config for the budget of a run."""
        return CONFIGS[args.budget][self.kind]


def _tasks() -> Dict[str, Task]:
    """Both tasks at every share of the labels."""
    tasks = {}
    for share in SHARES:
        infos = f'scannet_infos_train_{share}.pkl'
        tasks[f'detection_{share}'] = Task(
            'detection', {'train_dataloader.dataset.dataset.ann_file': infos})
        tasks[f'segmentation_{share}'] = Task(
            'segmentation', {
                'train_dataloader.dataset.ann_file':
                infos,
                'train_dataloader.dataset.scene_idxs':
                f'seg_info/train_{share}_resampled_scene_idxs.npy'
            })
    return tasks


TASKS = _tasks()
# Metrics by task; the last is the mean over the rarest third of the classes.
METRICS = dict(
    detection=('mAP_0.25', 'mAP_0.50', 'mAP_0.25_rare'),
    segmentation=('miou', 'miou_rare'))
# Key of a class's score, with its name for {}.
_OF_CLASS = dict(detection='{}_AP_0.25', segmentation='{}')
# Arms of the ladder whose encoders are fine-tuned; those that train nothing
# are the baselines of others with the same tokens.
DEFAULT_ARMS = ('random_sam', 'stage1_sam_balanced', 'stage1_sam_plain',
                'ours_sam')
NEIGHBORS = 32  # Of the kNN tokens of a room


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
    for arm in filter(is_trained, args.arms):
        for seed in args.seeds:
            checkpoint = find_checkpoint(args.ladder, arm, seed)
            output = encoder_file(args, arm).format(seed=seed)
            found.append(
                steps.Command([
                    'python', 'tools/export_backbone.py',
                    str(checkpoint), '--out', output
                ], output))
    return found


def is_trained(arm: str) -> bool:
    """Whether an arm of the ladder has a pre-training."""
    return bool(ARMS[arm].steps)


def encoder_file(args: argparse.Namespace, arm: str) -> str:
    """Where the encoders of an arm are, with {seed} for their seed."""
    return f'{args.work_dir}/encoders/{arm}_{{seed}}.pth'


def baseline_of(arm: str) -> str:
    """The arm with the same tokens and a fresh encoder."""
    return f'random_{ARMS[arm].tokens}'


def evaluate_steps(args: argparse.Namespace, task: str) -> List[steps.Command]:
    """Fine-tune and evaluate every arm.

    Returns one step for each arm; its output is the last seed's record.
    """
    found = []
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    for name in args.arms:
        options = dict(
            TASKS[task].options,
            data_root=args.data_root,
            **_tokenizer(name, TASKS[task].config(args)),
            **args.cfg_options)
        if steps.precision_on(device) == 'bfloat16':
            options.setdefault('optim_wrapper.type', 'CPUAmpOptimWrapper')
        if is_trained(name):
            options['model.backbone.init_cfg'] = dict(
                type='Pretrained', checkpoint=encoder_file(args, name))
        folder = records_folder(args, task, name)
        found.append(
            steps.Command([
                'python', 'tools/experiments/evaluate.py',
                TASKS[task].config(args), '--out',
                str(folder), '--arm', name, '--work-dir',
                str(args.work_dir / task / name), '--seeds',
                *map(str, args.seeds), *steps.option_list(options)
            ], f'{folder}/seed_{args.seeds[-1]}.json'))
    return found


def records_folder(args: argparse.Namespace, task: str, arm: str) -> Path:
    """Where the records of an arm are: beside the table's file."""
    return Path(args.json).with_suffix('') / task / arm


def _tokenizer(arm: str, config: str) -> Dict[str, Any]:
    """Options that give a task the kind of tokens of an arm."""
    if ARMS[arm].tokens == 'sam':
        return {}
    return knn_tokens(read_config(config, {}), NEIGHBORS)


def knn_tokens(config: Config, num_neighbors: int) -> Dict[str, Any]:
    """Options that give a config of fine-tuning kNN tokens.

    Args:
        config (Config): With as many tokens as it will have.
        num_neighbors (int): Points of a token.

    Returns:
        Dict[str, Any]: Values by dotted key.
    """
    options: Dict[str, Any] = {
        'model.backbone.tokenizer':
        dict(
            _delete_=True,
            type='KNNTokenizer',
            num_tokens=config.model.backbone.tokenizer.num_tokens,
            num_neighbors=num_neighbors)
    }
    if 'decode_head' in config.model:
        # Neighborhoods overlap, so no point has a token of its own.
        options['model.decode_head.propagation'] = 'three_nn'
    return options


def compare_task(args: argparse.Namespace, task: str) -> Dict[str, Any]:
    """Put the arms of a task side by side, also those of earlier runs."""
    names = [
        name for name in ARMS
        if name in args.arms or records_folder(args, task, name).is_dir()
    ]
    kind, config = TASKS[task].kind, TASKS[task].config(args)
    counts = class_counts(Path(args.data_root), kind, config)
    cells, notes, rare = [], [], []
    for baseline in dict.fromkeys(map(baseline_of, names)):
        arms = arm_tables.read_arms([
            records_folder(args, task, name) for name in names
            if baseline_of(name) == baseline
        ])
        for run in [run for runs in arms.values() for run in runs]:
            rare = add_rare_score(run, counts, kind)
        cells += arm_tables.compare_arms(arms, baseline, METRICS[kind])
        notes += arm_tables.describe_differences(arms)
    return dict(
        metrics=METRICS[kind],
        rare_classes=rare,
        cells=cells,
        notes=notes,
        config=Path(config).stem)


def class_counts(data_root: Path, kind: str, config: str) -> Dict[str, float]:
    """How often the classes of a task occur in all training rooms.

    Args:
        data_root (Path): The data set.
        kind (str): ``'detection'`` or ``'segmentation'``.
        config (str): Of the task.

    Returns:
        Dict[str, float]: By class: boxes; or a value that rises with the
        number of labeled points.
    """
    if kind == 'segmentation':
        classes = read_config(config,
                              {}).train_dataloader.dataset.metainfo.classes
        weights = np.load(data_root / 'seg_info' / 'train_label_weight.npy')
        return {name: -float(w) for name, w in zip(classes, weights)}
    infos = mmengine.load(data_root / 'scannet_infos_train.pkl')
    labels = [
        instance['bbox_label_3d'] for scan in infos['data_list']
        for instance in scan['instances']
    ]
    names: Dict[str, int] = infos['metainfo']['categories']
    return {name: labels.count(label) for name, label in names.items()}


def add_rare_score(run: Dict[str, Any], counts: Dict[str, float],
                   kind: str) -> List[str]:
    """Add the mean score of the rarest third of the classes with a score.

    Args:
        run (Dict[str, Any]): A record; its scores receive the last of
            ``METRICS``.
        counts (Dict[str, float]): See :func:`class_counts`.
        kind (str): ``'detection'`` or ``'segmentation'``.

    Returns:
        List[str]: These classes, the rarest first.
    """
    rare: List[str] = []
    for scores in [s for found in run['scores'].values() for s in found]:
        known = {
            name: scores[_OF_CLASS[kind].format(name)]
            for name in counts if _OF_CLASS[kind].format(name) in scores
        }
        rare = rarest_third({name: counts[name] for name in known})
        scores[METRICS[kind][-1]] = sum(known[n] for n in rare) / len(rare)
    return rare


def judge(results: Dict[str, Any]) -> None:
    """Give the verdicts of the table that all tasks stand in."""
    arm_tables.judge([
        cell for task in results.values() for cell in task['cells']
        if cell['checkpoint'] == 'last'
    ])


def run(args: argparse.Namespace) -> None:
    """Run what is asked for and write the comparison."""
    baselines = dict.fromkeys(map(baseline_of, args.arms))
    args.arms = list(dict.fromkeys([*baselines, *args.arms]))
    (args.work_dir / 'encoders').mkdir(parents=True, exist_ok=True)
    steps.run_steps(export_steps(args))
    results = records.read_json(args.json)
    for task in args.tasks:
        steps.run_steps(evaluate_steps(args, task))
        results[task] = compare_task(args, task)
    judge(results)
    records.write_record(Path(args.json), results)
