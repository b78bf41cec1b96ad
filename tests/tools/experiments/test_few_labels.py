"""Fine-tunings from the ladder's encoders, seed by seed, and their table."""
import json

import mmengine
import numpy as np
import pytest

from sam3d_plugin.engine.options import read_config
from sam3d_plugin.experiments import (evaluation_runs, few_labels, records,
                                      result_tables, steps)
from tests.tools.conftest import call, load_tool


def make_ladder(folder, seeds):
    for arm in few_labels.DEFAULT_ARMS[1:]:
        for seed in seeds:
            records.write_record(folder / arm / f'seed_{seed}' / 'result.json',
                                 dict(checkpoint=f'{arm}_{seed}.pth'))


@pytest.fixture
def command(tmp_path):
    return [
        '--ladder',
        str(tmp_path / 'ladder'), '--work-dir',
        str(tmp_path / 'work'), '--json',
        str(tmp_path / 'few.json')
    ]


def test_every_seed_starts_from_its_own_pretraining(tmp_path, command):
    make_ladder(tmp_path / 'ladder', (0, 1))
    args = load_tool('experiments/few_labels').parse_args(
        command + ['--seeds', '0', '1'])
    exported = few_labels.export_steps(args)
    sources = {(s.command[2], s.output) for s in exported}
    assert len(sources) == len(exported) == 6
    for name, task in few_labels.TASKS.items():
        arms = few_labels.evaluate_steps(args, name)
        assert len({s.output for s in arms}) == 4
        used = []
        for step in arms:
            parsed = load_tool('experiments/evaluate').parse_args(
                step.command[2:])
            for seed in args.seeds:
                cfg = read_config(
                    task.config(args),
                    evaluation_runs.seed_settings(parsed, seed))
                data = cfg.train_dataloader.dataset
                if name.startswith('detection'):
                    data = data.dataset
                share = name.split('_')[1]
                assert data.ann_file == f'scannet_infos_train_{share}.pkl'
                init = cfg.model.backbone.get('init_cfg')
                used.append(init and init.checkpoint)
        assert used == [None, None] + [s.output for s in exported]


def test_every_arm_has_its_tokens_and_a_baseline(tmp_path, command,
                                                 monkeypatch):
    records.write_record(
        tmp_path / 'ladder/stage1_knn_balanced/seed_0/result.json',
        dict(checkpoint='a.pth'))
    ran = []
    monkeypatch.setattr(steps, 'run_steps', ran.extend)
    monkeypatch.setattr(few_labels, 'compare_task',
                        lambda args, task: dict(cells=[]))
    call(
        'experiments/few_labels', command + [
            '--arms', 'stage1_knn_balanced', '--tasks', 'segmentation_5',
            '--seeds', '0', '--cfg-options', 'train_cfg.max_iters=7'
        ])
    found = {}
    for step in ran[1:]:
        parsed = load_tool('experiments/evaluate').parse_args(step.command[2:])
        found[parsed.arm] = read_config(
            few_labels.CONFIGS['mini']['segmentation'],
            evaluation_runs.seed_settings(parsed, 0))
    assert list(found) == ['random_knn', 'stage1_knn_balanced']
    for cfg in found.values():
        assert cfg.train_cfg.max_iters == 7
        assert_knn_segmentor(cfg)


def assert_knn_segmentor(cfg):
    """As the config that other tests train."""
    known = read_config('configs/sam3d/segmentor_scannet_mini_knn.py', {})
    tokenizer = dict(known.model.backbone.tokenizer, num_tokens=256)
    assert cfg.model.backbone.tokenizer == tokenizer
    assert cfg.model.decode_head.propagation == (
        known.model.decode_head.propagation)


def test_unfinished_ladder_is_named(tmp_path, command):
    make_ladder(tmp_path / 'ladder', (0, ))
    with pytest.raises(SystemExit, match='stage1_sam_balanced --seeds 1 '):
        call('experiments/few_labels', command + ['--seeds', '0', '1'])


def test_comparison_of_both_tasks_is_collected(tmp_path, command, monkeypatch):
    make_ladder(tmp_path / 'ladder', (0, 1, 2))
    ran = []

    def leave_record(some):
        for step in some:
            ran.append(step.command[1])

    monkeypatch.setattr(steps, 'run_steps', leave_record)
    monkeypatch.setattr(few_labels, 'compare_task',
                        lambda args, task: dict(cells=[], metrics=[]))
    call('experiments/few_labels', command + ['--tasks', 'detection_5'])
    call('experiments/few_labels', command + ['--tasks', 'segmentation_10'])
    assert ran.count('tools/experiments/evaluate.py') == 8
    assert list(json.loads(
        (tmp_path /
         'few.json').read_text())) == ['detection_5', 'segmentation_10']


def test_arms_of_earlier_runs_stay_in_the_table(tmp_path, command,
                                                monkeypatch):
    args = load_tool('experiments/few_labels').parse_args(
        command + ['--arms', 'random_knn', 'stage1_knn_balanced'])
    earlier = ('random_sam', 'stage1_sam_balanced')
    for name in earlier:
        few_labels.records_folder(args, 'detection_10',
                                  name).mkdir(parents=True)
    read = []

    def read_arms(folders):
        read.append({folder.name for folder in folders})
        return {}

    monkeypatch.setattr(few_labels, 'class_counts', lambda *_: {})
    monkeypatch.setattr(few_labels.arm_tables, 'read_arms', read_arms)
    monkeypatch.setattr(few_labels.arm_tables, 'compare_arms', lambda *_: [])
    few_labels.compare_task(args, 'detection_10')
    assert {*earlier} in read and {*args.arms} in read and len(read) == 2


def test_the_rarest_third_has_a_score_of_its_own(tmp_path):
    """By boxes and by labeled points of all training rooms."""
    names = ['chair', 'bed', 'sink', 'desk', 'door', 'toilet']
    boxes = [4, 1, 2, 5, 6, 7]
    infos = dict(
        metainfo=dict(categories={
            n: i
            for i, n in enumerate(names)
        }),
        data_list=[
            dict(instances=[dict(bbox_label_3d=i)] * count)
            for i, count in enumerate(boxes)
        ])
    mmengine.dump(infos, tmp_path / 'scannet_infos_train.pkl')
    counts = few_labels.class_counts(tmp_path, 'detection', '')
    assert counts == dict(zip(names, boxes))
    scores = {f'{n}_AP_0.25': 0.1 * i for i, n in enumerate(names)}
    run = dict(scores=dict(last=[scores]))
    assert few_labels.add_rare_score(run, counts,
                                     'detection') == ['bed', 'sink']
    assert scores['mAP_0.25_rare'] == pytest.approx(0.15)

    (tmp_path / 'seg_info').mkdir()
    weights = np.linspace(5, 2, 20)  # the first is the rarest
    np.save(tmp_path / 'seg_info' / 'train_label_weight.npy', weights)
    counts = few_labels.class_counts(
        tmp_path, 'segmentation', few_labels.CONFIGS['mini']['segmentation'])
    scores = dict(floor=0.9, bed=0.3, wall=0.5, miou=0.6)
    run = dict(scores=dict(last=[scores]))
    assert few_labels.add_rare_score(run, counts, 'segmentation') == ['wall']
    assert scores['miou_rare'] == 0.5


def test_table_says_what_was_gained():
    cell = dict(
        arm='fresh',
        checkpoint='last',
        metric='miou',
        trainings=3,
        mean=20.,
        std=1.)
    better = dict(
        cell,
        arm='stage 1',
        mean=25.,
        difference=dict(mean=5., test='paired', low=3., high=7., p_value=.02))
    results = {
        task: dict(cells=[dict(cell), dict(better)], notes=['Two commits.'])
        for task in ('segmentation_10', 'detection_5')
    }
    few_labels.judge(results)
    text = result_tables.few_labels_table(results)
    assert '| segmentation, 10 %, mIoU | 20.0 ± 1.0 |' in text
    # Twice 0.02, since the table has two differences.
    assert '25.0 ± 1.0 (+5.0 [+3.0, +7.0], p 0.040: gain)' in text
    assert 'segmentation, 10 %: Two commits.' in text
