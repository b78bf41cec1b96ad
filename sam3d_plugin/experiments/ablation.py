"""The rows of the paper's Tables 3 and 4, as commands and as a table."""
import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from mmengine.config import Config

from ..store import provenance
from . import comparison, steps
from .arms import BUDGETS
from .few_labels import NEIGHBORS, knn_tokens
from .records import read_json, write_record
from .tables import machine_line, table

ROOT = Path(__file__).resolve().parents[2]
FOLDER = 'configs/sam3d'
METRICS = {
    'detection': {
        'AP25': 'mAP_0.25',
        'AP50': 'mAP_0.50'
    },
    'segmentation': {
        'mIoU': 'miou',
        'mAcc': 'acc_cls'
    }
}

# Whose differences from the first row of a table are tested.
TESTED = ('AP25', 'mIoU')


class Row(NamedTuple):
    """One row of a table."""

    text: str  # What it adds, in words
    stage: str  # Pre-training whose encoder is fine-tuned; a config
    # The paper's AP25, AP50 (3DETR, ScanNet), mIoU and mAcc (S3DIS), in per
    # cent
    reported: List[float]


# table4_stage1.py and table4_two_stage.py say the same as the configs that
# stand here for them, so that one training serves both tables.
SAME = dict(table4_stage1='stage1_scannet', table4_two_stage='table3_full')
TABLES: Dict[int, Dict[str, Row]] = {
    3: {
        'table3_none':
        Row('no pre-training', 'table3_none', [61.1, 38.6, 61.1, 67.2]),
        'table3_distill':
        Row('dense distillation', 'table3_distill', [62.4, 41.7, 66.2, 71.3]),
        'table3_distill_mtp':
        Row('+ masked token prediction', 'table3_distill_mtp',
            [64.5, 44.3, 68.7, 74.1]),
        'table3_distill_mtp_balance':
        Row('+ balanced re-weighting', 'table3_distill_mtp_balance',
            [66.0, 46.1, 69.7, 75.9]),
        'table3_distill_mtp_sam':
        Row('distillation, prediction and SAM tokens',
            'table3_distill_mtp_sam', [67.1, 47.0, 70.9, 77.0]),
        'table3_full':
        Row('all', 'table3_full', [68.2, 48.4, 71.8, 78.2]),
    },
    4: {
        'table4_stage1':
        Row('stage 1', SAME['table4_stage1'], [65.2, 45.1, 69.1, 75.3]),
        'table4_stage1_mtp_joint':
        Row('+ prediction in the same stage', 'table4_stage1_mtp_joint',
            [66.0, 46.3, 69.9, 76.1]),
        'table4_two_stage':
        Row('two stages', SAME['table4_two_stage'], [68.2, 48.4, 71.8, 78.2]),
    }
}
DOWNSTREAM = {
    'scannet':
    dict(detection='three_detr_scannet', segmentation='segmentor_s3dis'),
    'synthrooms':
    dict(
        detection='three_detr_synthrooms_mini',
        segmentation='segmentor_synthrooms_mini'),
}
# Data that is not moved by --data-root.
OWN_DATA = ('segmentor_s3dis', )
TOKENIZER = 'model.backbone.tokenizer'


def config_of(stage: str) -> str:
    """The config file of a pre-training."""
    path = f'{FOLDER}/ablations/{stage}.py'
    return path if Path(path).is_file() else f'{FOLDER}/{stage}.py'


def read(path: str) -> Config:
    """Read a config without importing the plugin."""
    return Config.fromfile(path, import_custom_modules=False)


def teacher_of(stage: str) -> Optional[str]:
    """The stage whose checkpoint a config names as its teacher."""
    teacher = read(config_of(stage)).get('teacher')
    if teacher is None:
        return None
    name = Path(teacher).parent.name
    return SAME.get(name, name)


def difference(base: Dict[str, Any],
               other: Dict[str, Any],
               prefix: str = '') -> Dict[str, Any]:
    """What turns one config into another, as options.

    Returns values by dotted key. A dict of another type, or that lacks keys
    of the base, is replaced as a whole.
    """
    changes: Dict[str, Any] = {}
    for key, value in other.items():
        old, name = base.get(key), f'{prefix}{key}'
        if key not in base:  # the type that takes it may be an option, too
            name = f'+{name}'
        if isinstance(value, dict) and isinstance(old, dict):
            is_same = old.get('type') == value.get('type')
            if is_same and set(old) <= set(value):
                changes.update(difference(old, value, f'{name}.'))
            else:
                changes[name] = dict(_delete_=True, **value)
        elif value != old:
            changes[name] = value
    return changes


def stage_options(stage: str, data: str) -> Dict[str, Any]:
    """What a stage adds to the config that its command names.

    Returns options, empty where the config says all.
    """
    if data == 'scannet':
        return {}
    number = 1 if teacher_of(stage) is None else 2
    base = read(f'{FOLDER}/stage{number}_scannet.py').to_dict()
    own = read(config_of(stage)).to_dict()
    for settings in (base, own):
        settings['model']['target_generator'].pop('checkpoint', None)
    # What an unweighted loss leaves unread does no harm, and the number of
    # points of a frame is the mini config's.
    options = difference(base['model'], own['model'], 'model.')
    if TOKENIZER in options:
        options[TOKENIZER] = BUDGETS['mini'].tokens['knn']
    return options


def pretraining(stage: str, args: argparse.Namespace) -> List[steps.Command]:
    """The trainings that a stage needs, its own last."""
    teacher = teacher_of(stage)
    before = [] if teacher is None else pretraining(teacher, args)
    config = config_of(stage)
    if args.data == 'synthrooms':
        config = f'{FOLDER}/stage{1 if teacher is None else 2}_synthrooms_mini'
        config += '.py'
    options = common_options(args)
    options.update(stage_options(stage, args.data))
    if before:
        options['teacher'] = before[-1].output
    options.update(args.pretrain_options)
    work_dir = f'{args.work_dir}/{stage}'
    return [*before, steps.training(config, work_dir, options)]


def common_options(args: argparse.Namespace) -> Dict[str, Any]:
    """Options of every training."""
    options: Dict[str, Any] = {}
    if args.data_root:
        options['data_root'] = args.data_root
    if args.seed:
        options['randomness.seed'] = args.seed
    return options


def row_steps(row: Row, args: argparse.Namespace) -> List[steps.Command]:
    """All commands of a row.

    Returns them in order.
    """
    trainings, source = [], config_of(row.stage)
    if row.stage != 'table3_none':
        trainings = pretraining(row.stage, args)
        source = trainings[-1].output
    encoder = f'{args.work_dir}/{row.stage}/encoder.pth'
    command = ['python', 'tools/export_backbone.py', source, '--out', encoder]
    if source.endswith('.py') and args.seed:
        command += ['--seed', str(args.seed)]
    result = [*trainings, steps.Command(command, encoder)]
    for task, name in DOWNSTREAM[args.data].items():
        result += finetuning(row, task, name, encoder, args)
    return result


def finetuning(row: Row, task: str, name: str, encoder: str,
               args: argparse.Namespace) -> List[steps.Command]:
    """Fine-tuning and evaluation of one task."""
    config = f'{FOLDER}/{name}.py'
    options = common_options(args)
    if name in OWN_DATA:
        options.pop('data_root', None)
    options.update(tokenizer_options(row, args.data, read(config)))
    test_options = dict(options)
    options['model.backbone.init_cfg'] = dict(
        type='Pretrained', checkpoint=encoder)
    options.update(args.finetune_options)
    test_options.update(args.finetune_options)
    work_dir = f'{args.work_dir}/{row.stage}/{task}'
    training = steps.training(config, work_dir, options)
    result = f'{work_dir}/metrics.json'
    command = ['python', steps.TEST, config, training.output]
    command += ['--work-dir', f'{work_dir}/test', '--json', result]
    return [
        training,
        steps.Command(command + steps.option_list(test_options), result)
    ]


def tokenizer_options(row: Row, data: str, downstream: Config) -> dict:
    """Give a fine-tuning the kind of tokens of the pre-training.

    Returns options, empty where the kind is the same.
    """
    own: Any = downstream.model.backbone.tokenizer
    trained = read(config_of(row.stage)).model.backbone.tokenizer
    if own.type == trained.type:
        return {}
    if trained.type == 'KNNTokenizer':
        neighbors = NEIGHBORS if data == 'synthrooms' \
            else trained.num_neighbors
        return knn_tokens(downstream, neighbors)
    return {
        TOKENIZER:
        dict(
            _delete_=True,
            type=trained.type,
            split=True,
            num_tokens=own.num_tokens)
    }


def collect(args: argparse.Namespace) -> Dict[str, Any]:
    """Read what was measured.

    Returns by number of the table and row: ``scores`` in per cent by metric
    and seed, and ``differences`` from the first row of the table.
    """
    results: Dict[str, Any] = {}
    for number in args.tables:
        rows = {}
        for name, row in TABLES[number].items():
            scores: Dict[str, Dict[int, float]] = {}
            for seed in args.seeds:
                for metric, value in measured(row, of_seed(args,
                                                           seed)).items():
                    scores.setdefault(metric, {})[seed] = value
            rows[name] = dict(scores=scores, differences={})
        compare_rows(rows)
        results[str(number)] = rows
    return results


def measured(row: Row, args: argparse.Namespace) -> Dict[str, float]:
    """Scores of a row with one seed that are there, in per cent."""
    values = {}
    for task, metrics in METRICS.items():
        found = read_json(Path(args.work_dir, row.stage, task, 'metrics.json'))
        values.update({
            name: 100 * found[key]
            for name, key in metrics.items() if key in found
        })
    return values


def compare_rows(rows: Dict[str, Dict[str, Any]]) -> None:
    """Compare the rows of a table with its first, where both are there."""
    first = next(iter(rows.values()))['scores']
    places, found = [], []
    for row in list(rows.values())[1:]:
        for metric in TESTED:
            if metric in first and metric in row['scores']:
                places.append((row, metric))
                found.append(
                    comparison.compare(row['scores'][metric], first[metric]))
    for (row, metric), difference in zip(places, comparison.judge(found)):
        row['differences'][metric] = asdict(difference)


def render_table(results: Dict[str, Any]) -> str:
    """Both tables in Markdown, what was measured beside what is reported."""
    names = [name for metrics in METRICS.values() for name in metrics]
    text = ''
    for number, rows in results['tables'].items():
        header = [f'Table {number}, {results["data"]}', 'seeds', *names]
        header += [f'{name}, reported' for name in names]
        lines = []
        for key, found in rows.items():
            row = TABLES[int(number)][key]
            seeds = {s for by in found['scores'].values() for s in by}
            lines.append([row.text, str(len(seeds))] +
                         [_cell(found, name) for name in names] +
                         [f'({value:.1f})' for value in row.reported])
        text += table(header, lines) + '\n'
    return (text + f'In brackets the difference from the first row of the '
            f"table, for {' and '.join(TESTED)}, with p after Holm's "
            'correction over the table. Reported: by the authors, of 3DETR on '
            'ScanNet and of segmentation on S3DIS.\n' +
            machine_line(results['machine']))


def _cell(row: Dict[str, Any], metric: str) -> str:
    return comparison.cell_text(
        list(row['scores'].get(metric, {}).values()),
        row['differences'].get(metric))


def of_seed(args: argparse.Namespace, seed: int) -> argparse.Namespace:
    """Arguments of the part of a run that has one seed."""
    return argparse.Namespace(**{
        **vars(args), 'seed': seed,
        'work_dir': f'{args.work_dir}/seed_{seed}'
    })


def run(args: argparse.Namespace) -> None:
    """Print or run the rows seed by seed, then print the tables."""
    wanted = [(name, row) for number in args.tables
              for name, row in TABLES[number].items()
              if args.row in (None, name)]
    for seed in args.seeds:
        for name, row in wanted:
            print(f'\n# {name}, seed {seed}: {row.text}')
            commands = row_steps(row, of_seed(args, seed))
            if args.run:
                steps.run_steps(commands)
                write_record(Path(args.json), summary(args))
                continue
            for step in commands:
                print(f'{"# done: " if step.is_done else ""}{step}')
    print(f'\n{render_table(summary(args))}')


def summary(args: argparse.Namespace) -> Dict[str, Any]:
    """Content of the result file."""
    return dict(
        data=args.data,
        tables=collect(args),
        options=dict(
            pretrain=args.pretrain_options, finetune=args.finetune_options),
        machine=provenance.machine())
