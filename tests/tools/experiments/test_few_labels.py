"""Fine-tunings from the ladder's encoders, seed by seed, and their table."""
import json

import pytest

from sam3d_plugin.engine.options import read_config
from sam3d_plugin.experiments import (evaluation_runs, few_labels, records,
                                      result_tables, steps)
from tests.tools.conftest import call, load_tool


def make_ladder(folder, seeds):
    for arm in few_labels.ENCODERS:
        for seed in seeds:
            records.write_record(folder / arm / f'seed_{seed}' / 'result.json',
                                 dict(checkpoint=f'{arm}_{seed}.pth'))


@pytest.fixture
def command(tmp_path):
    return [
        '--ladder',
        str(tmp_path / 'ladder'), '--work-dir',
        str(tmp_path / 'work'), '--out',
        str(tmp_path / 'records'), '--json',
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
                cfg = read_config(task.config,
                                  evaluation_runs.seed_settings(parsed, seed))
                if name.startswith('detection'):
                    origin = task.options.get('model.backbone.center', 'floor')
                    assert cfg.model.backbone.center == origin
                init = cfg.model.backbone.get('init_cfg')
                used.append(init and init.checkpoint)
        assert used == [None, None] + [s.output for s in exported]


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
    monkeypatch.setattr(
        few_labels, 'compare_task',
        lambda args, task: dict(cells=[], baseline='fresh', metrics=[]))
    call('experiments/few_labels', command + ['--tasks', 'detection'])
    call('experiments/few_labels', command + ['--tasks', 'segmentation'])
    assert ran.count('tools/experiments/evaluate.py') == 8
    assert list(json.loads(
        (tmp_path / 'few.json').read_text())) == ['detection', 'segmentation']


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
        for task in ('segmentation', 'detection')
    }
    few_labels.judge(results)
    text = result_tables.few_labels_table(results)
    assert '| segmentation, mIoU | 20.0 ± 1.0 |' in text
    # Twice 0.02, since the table has two differences.
    assert '25.0 ± 1.0 (+5.0 [+3.0, +7.0], p 0.040: gain)' in text
    assert 'segmentation: Two commits.' in text
