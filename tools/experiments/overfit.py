"""Overfit real scans with every model, one after the other, for docs/results.

    python tools/experiments/overfit.py --source ../shared/data

A room of ScanNet and its rescan, three frames of SUN RGB-D, and a part of a
room of S3DIS, each with a ``_mini`` config that two CPU cores train in under
30 minutes. Every training is evaluated on what it has seen; those on the room
also on the rescan, which has no SAM regions, with kNN and with superpoint
tokens instead. Every step is a plain command, printed before it runs. Finished
steps are skipped; rerun the command to resume. The JSON file gets the complete
runs.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import sam3d_plugin.engine.options as engine_options
from sam3d_plugin.cli.arguments import SettingAction, ToolParser
from sam3d_plugin.experiments import records, steps
from sam3d_plugin.store import provenance

PREPARE = 'tools/preparation'
SCAN, RESCAN = 'scene0000_00', 'scene0000_01'
KNN = dict(
    _delete_=True, type='KNNTokenizer', num_tokens=512, num_neighbors=32)
ANN_FILE = 'test_dataloader.dataset.ann_file'
DETECTION = ('mAP_0.25', 'mAP_0.50')
SEGMENTATION = ('miou', 'acc')


class Run(NamedTuple):
    """One training.

    Attributes:
        config (str): Its name in configs/sam3d.
        data (str): Name of its data, see :func:`data_roots`.
        metrics (Sequence[str]): What is reported.
        options (Dict[str, Any]): For training and evaluation.
        knn_options (Dict[str, Any]): For kNN tokens in place of SAM's.
    """

    config: str
    data: str
    metrics: Sequence[str] = DETECTION
    options: Dict[str, Any] = {}
    knn_options: Dict[str, Any] = {}

    @property
    def path(self) -> str:
        """str: The config file."""
        return f'configs/sam3d/{self.config}.py'


# The frames are of SUN RGB-D's validation part, which is all there is here.
_FRAMES = {
    'train_dataloader.dataset.dataset.ann_file': 'sunrgbd_v1_infos_val.pkl'
}
RUNS = {
    run.config: run
    for run in (
        Run('votenet_scannet_mini', 'room'),
        Run('groupfree3d_scannet_mini', 'room'),
        Run('three_detr_scannet_mini', 'room'),
        Run('segmentor_scannet_mini',
            'room',
            SEGMENTATION,
            knn_options={'model.decode_head.propagation': 'three_nn'}),
        Run('groupfree3d_sunrgbd_mini', 'sunrgbd', options=_FRAMES),
        Run('three_detr_sunrgbd_mini', 'sunrgbd', options=_FRAMES),
        Run('segmentor_s3dis_mini', 's3dis', SEGMENTATION),
    )
}


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        '--source', default='../shared/data', help='folder of the recordings')
    parser.add_argument(
        '--data', default='data', help='where the imported scans go')
    parser.add_argument('--work-dir', type=Path, default='work_dirs/overfit')
    parser.add_argument('--runs', nargs='+', choices=list(RUNS), default=RUNS)
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=SettingAction,
        default={},
        help='further settings of every training and evaluation')
    parser.add_argument(
        '--json', type=Path, default='docs/results/overfit.json')
    return parser.parse_args(argv)


def data_roots(data: str) -> Dict[str, str]:
    """Data root by name.

    Returns the room with SAM regions, its rescan with superpoints, frames of
    SUN RGB-D, and a room of S3DIS.
    """
    return dict(
        room=f'{data}/room_sam',
        superpoints=f'{data}/room_superpoints',
        sunrgbd=f'{data}/chain/sunrgbd',
        s3dis=f'{data}/chain/s3dis')


def preparation(source: str, data: str, name: str) -> List[steps.Step]:
    """Steps that make the data of a run.

    Args:
        source (str): Folder of the recordings.
        data (str): Where data roots are.
        name (str): 'room', 'sunrgbd' or 's3dis'.

    Returns:
        List[steps.Step]: Import and regions.
    """
    roots = data_roots(data)
    if name != 'room':
        return [
            steps.Step([
                'python', 'tools/experiments/preparation_chain.py', '--source',
                source, '--data', f'{data}/chain', '--only', name, '--json',
                f'{data}/chain/{name}.json'
            ], f'{roots[name]}/manifest.json')
        ]
    importing = [
        'python', f'{PREPARE}/import_scans.py', '--source',
        f'{source}/scannet_scene0000', '--split', f'rescan={RESCAN}'
    ]
    infos = 'scannet_infos_rescan.pkl'
    return [
        steps.Step(
            importing +
            ['--out', roots['room'], '--train', SCAN, '--val', SCAN],
            f'{roots["room"]}/{infos}'),
        steps.Step(importing + ['--out', roots['superpoints']],
                   f'{roots["superpoints"]}/{infos}'),
        steps.Step([
            'python', f'{PREPARE}/make_superpoints.py', '--data',
            roots['superpoints']
        ], f'{roots["superpoints"]}/regions/{RESCAN}.npz'),
    ]


def evaluations(run: Run, roots: Dict[str, str]) -> Dict[str, Dict[str, Any]]:
    """Options of every evaluation of a run, by its name.

    Returns 'trained_on', and for the room 'rescan_knn' and
    'rescan_superpoints'.
    """
    own = dict(run.options, data_root=roots[run.data])
    found = dict(trained_on=own)
    if run.data == 'room':
        rescan = {**own, ANN_FILE: 'scannet_infos_rescan.pkl'}
        found['rescan_knn'] = {
            **rescan, 'model.backbone.tokenizer': KNN,
            **run.knn_options
        }
        found['rescan_superpoints'] = dict(
            rescan, data_root=roots['superpoints'])
    return found


def execute(run: Run, args: argparse.Namespace) -> None:
    """Prepare, train, evaluate, and write the run's record."""
    roots, work = data_roots(args.data), args.work_dir / run.config
    steps.run_steps(preparation(args.source, args.data, run.data))
    run = run._replace(options={**run.options, **args.cfg_options})
    cases = evaluations(run, roots)
    training = steps.training(run.path, str(work), cases['trained_on'])
    cfg = engine_options.read_config(run.path, cases['trained_on'])
    costs = steps.Record(
        str(work), dict(config_hash=records.config_hash(cfg)),
        dict(
            provenance.hardware(),
            commit=provenance.commit(),
            threads=os.environ.get('OMP_NUM_THREADS', 'all')))
    steps.run_steps([training], costs)
    scores = {}
    for name, options in cases.items():
        output = work / f'{name}.json'
        steps.run_steps([
            steps.Step([
                'python', steps.TEST, run.path, training.output, '--json',
                str(output), '--work-dir',
                str(work / name), *steps.option_list(options)
            ], str(output))
        ])
        metrics = json.loads(output.read_text())
        scores[name] = {key: metrics[key] for key in run.metrics}
    records.write_record(
        work / 'record.json',
        dict(
            config=run.config,
            steps=cfg.train_cfg.max_iters,
            **costs.settings,
            data=records.data_marks(cfg),
            training=dataclasses.asdict(costs.of(training)),
            scores=scores,
            # Where it was trained, which may be long ago.
            hardware=json.loads(costs.path.read_text())['machine']))


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run what is asked for and collect the complete runs."""
    args = parse_args(argv)
    for name in args.runs:
        execute(RUNS[name], args)
    paths = [args.work_dir / name / 'record.json' for name in RUNS]
    found = [json.loads(p.read_text()) for p in paths if p.is_file()]
    args.json.parent.mkdir(parents=True, exist_ok=True)
    records.write_record(args.json, dict(runs={r['config']: r for r in found}))
    for record in found:
        print(record['config'], record['training'], record['scores'])
    return 0


if __name__ == '__main__':
    sys.exit(main())
