"""Every model overfits a real scan: data, training, evaluation."""
import argparse
import dataclasses
import os
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence

import sam3d_plugin.engine.options as engine_options
from ..store import provenance
from . import records, steps

ROOT = Path(__file__).resolve().parents[2]
PREPARE = 'tools/preparation'
INFOS = 'scannet_infos_rescan.pkl'
SCAN, RESCAN = 'scene0000_00', 'scene0000_01'
KNN = dict(
    _delete_=True, type='KNNTokenizer', num_tokens=512, num_neighbors=32)
ANN_FILE = 'test_dataloader.dataset.ann_file'
DETECTION = ('mAP_0.25', 'mAP_0.50')
SEGMENTATION = ('miou', 'acc')


class Run(NamedTuple):
    """One training."""

    config: str  # Its name in configs/sam3d
    data: str  # Name of its data, see :func:`data_roots`
    metrics: Sequence[str] = DETECTION  # What is reported
    options: Dict[str, Any] = {}  # For training and evaluation
    knn_options: Dict[str, Any] = {}  # For kNN tokens in place of SAM's

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
        Run('vdetr_scannet_mini', 'room'),
        Run('segmentor_scannet_mini',
            'room',
            SEGMENTATION,
            knn_options={'model.decode_head.propagation': 'three_nn'}),
        Run('groupfree3d_sunrgbd_mini', 'sunrgbd', options=_FRAMES),
        Run('three_detr_sunrgbd_mini', 'sunrgbd', options=_FRAMES),
        Run('segmentor_s3dis_mini', 's3dis', SEGMENTATION),
    )
}


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


def preparation(source: str, data: str, name: str) -> List[steps.Command]:
    """Steps that make the data of a run: import and regions.

    ``name`` is 'room', 'sunrgbd' or 's3dis'; data roots are in ``data``.
    """
    roots = data_roots(data)
    if name == 'room':
        importing = (f'{PREPARE}/import_scans.py --source {source}/'
                     f'scannet_scene0000 --split rescan={RESCAN} --out ')
        commands = {
            f'{roots["room"]}/{INFOS}':
            f'{importing}{roots["room"]} --train {SCAN} --val {SCAN}',
            f'{roots["superpoints"]}/{INFOS}':
            importing + roots['superpoints'],
            f'{roots["superpoints"]}/regions/{RESCAN}.npz':
            f'{PREPARE}/make_superpoints.py --data {roots["superpoints"]}'
        }
    else:
        commands = {
            f'{roots[name]}/manifest.json':
            f'tools/experiments/preparation_chain.py --source {source} '
            f'--data {data}/chain --only {name} --json '
            f'{data}/chain/{name}.json'
        }
    return [
        steps.Command(steps.command(text), output)
        for output, text in commands.items()
    ]


def evaluations(run: Run, roots: Dict[str, str]) -> Dict[str, Dict[str, Any]]:
    """Options of every evaluation of a run, by its name.

    Returns 'trained_on', and for the room 'rescan_knn' and
    'rescan_superpoints'.
    """
    own = dict(run.options, data_root=roots[run.data])
    found = dict(trained_on=own)
    if run.data == 'room':
        rescan = {**own, ANN_FILE: INFOS}
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
            steps.Command([
                'python', steps.TEST, run.path, training.output, '--json',
                str(output), '--work-dir',
                str(work / name), *steps.option_list(options)
            ], str(output))
        ])
        metrics = records.read_json(output)
        scores[name] = {key: metrics[key] for key in run.metrics}
    records.write_record(
        work / 'record.json',
        dict(
            config=run.config,
            steps=cfg.train_cfg.max_iters,
            **costs.settings,
            data=records.data_checksums(cfg),
            training=dataclasses.asdict(costs.of(training)),
            scores=scores,
            # Where it was trained, which may be long ago.
            hardware=records.read_json(costs.path)['machine']))


def run(args: argparse.Namespace) -> None:
    """Run what is asked for and collect the complete runs."""
    for name in args.runs:
        execute(RUNS[name], args)
    found = [
        records.read_json(args.work_dir / name / 'record.json')
        for name in RUNS
    ]
    found = [record for record in found if record]
    records.write_record(
        Path(args.json),
        dict(runs={record['config']: record
                   for record in found}))
    for record in found:
        print(record['config'], record['training'], record['scores'])
