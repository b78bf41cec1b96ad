"""Tests of tools/experiments/ablation.py and of the steps it runs."""
import json
from pathlib import Path

import pytest
from mmengine.config import Config

from sam3d_plugin.engine.options import read_config
from sam3d_plugin.experiments import ablation, records, steps
from sam3d_plugin.store.checkpoint import read_checkpoint
from tests.datasets import frame_store
from tests.tools.conftest import call, load_tool

ROOT = Path(__file__).parents[3]
ROWS = {name: row for t in ablation.TABLES.values() for name, row in t.items()}
STAGES = sorted({row.stage for row in ROWS.values()} - {'table3_none'})


@pytest.fixture(autouse=True)
def without_fine_tuning(monkeypatch):
    """In the repository's root; a test that fine-tunes names the config."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(ablation, 'DOWNSTREAM',
                        dict(scannet={}, synthrooms={}))


def commands(row, *options):
    args = load_tool('experiments/ablation').parse_args(
        ['--row', row, '--work-dir', 'w', *options])
    mine = ablation.of_seed(args, 0)
    return [str(step) for step in ablation.row_steps(ROWS[row], mine)]


def without_teacher(path):
    settings = ablation.read(path).to_dict()
    settings['model']['target_generator'].pop('checkpoint', None)
    settings.pop('teacher', None)
    return settings


def test_rows_are_the_configs_of_the_folder():
    files = {p.stem for p in Path(ablation.FOLDER, 'ablations').glob('ta*.py')}
    assert set(ROWS) == files
    for name, same in ablation.SAME.items():
        own = without_teacher(f'{ablation.FOLDER}/ablations/{name}.py')
        assert own == without_teacher(ablation.config_of(same))


@pytest.mark.parametrize('stage', STAGES)
def test_difference_makes_the_row_of_the_base(stage):
    number = 1 if ablation.teacher_of(stage) is None else 2
    base, own = (
        without_teacher(path)['model']
        for path in (f'{ablation.FOLDER}/stage{number}_scannet.py',
                     ablation.config_of(stage)))
    options = ablation.difference(base, own)
    made = Config(base)
    made.merge_from_dict({key.lstrip('+'): v for key, v in options.items()})
    assert made.to_dict() == own
    assert ablation.stage_options(stage, 'scannet') == {}


@pytest.mark.parametrize('stage', STAGES)
def test_mini_rows_are_accepted_and_stay_mini(stage):
    number = 1 if ablation.teacher_of(stage) is None else 2
    config = f'{ablation.FOLDER}/stage{number}_synthrooms_mini.py'
    mini, row = (
        read_config(config, options)
        for options in ({}, ablation.stage_options(stage, 'synthrooms')))
    assert row.train_dataloader == mini.train_dataloader
    wanted = ablation.read(ablation.config_of(stage)).model
    tokens = dict(row.model.backbone.tokenizer)
    if wanted.backbone.tokenizer.type == 'KNNTokenizer':
        assert tokens == dict(
            type='KNNTokenizer', num_tokens=64, num_neighbors=64)
    else:
        assert tokens == mini.model.backbone.tokenizer
    assert row.model.type == wanted.type
    assert row.model.head.get('loss') == wanted.head.get('loss')


def test_teacher_comes_before_its_student():
    first, second, export = commands('table3_distill_mtp_balance', '--data',
                                     'scannet')
    assert 'ablations/teacher_knn_balance.py' in first
    assert 'ablations/table3_distill_mtp_balance.py' in second
    assert 'teacher=w/seed_0/teacher_knn_balance/epoch_120.pth' in second
    assert 'w/seed_0/table3_distill_mtp_balance/epoch_120.pth --out' in export


def test_rows_of_both_tables_share_stages():
    assert commands('table4_stage1')[0] == commands('table3_full')[0]
    assert commands('table4_two_stage') == commands('table3_full')


def test_unknown_row_is_refused(capsys):
    with pytest.raises(SystemExit):
        load_tool('experiments/ablation').parse_args(
            ['--tables', '4', '--row', 'table3_full'])
    assert 'they have table4_stage1, ' in capsys.readouterr().err


def test_options_read_back_as_they_were():
    options = {
        'a': dict(type='LN', b=dict(c=[1, 'x'], d=None)),
        'e': 0.5,
        'f': 'data/rooms/',
    }
    args = load_tool('experiments/ablation').parse_args(
        ['--pretrain-options', *steps.option_list(options)[1:]])
    assert args.pretrain_options == options


SMALL = [
    '--pretrain-options', 'train_dataloader.batch_size=2',
    'train_dataloader.dataset.ann_file=',
    'train_dataloader.dataset.pipeline.0.num_points=200',
    'train_cfg.max_iters=1', 'default_hooks.checkpoint.interval=1',
    'log_processor.window_size=1'
]


def test_row_runs_and_goes_on(tmp_path, run_here, monkeypatch):
    """Two stages of one step each; finished ones are not run again."""
    root = frame_store.write_data_set(tmp_path / 'rooms')
    options = [
        '--row', 'table4_two_stage', '--run', '--seeds', '0', '--data-root',
        str(root), '--work-dir',
        str(tmp_path / 'work'), '--json',
        str(tmp_path / 'ablation.json'), *SMALL
    ]
    monkeypatch.setattr(
        ablation, 'stage_options',
        lambda stage, data: {'model.head.out_channels': 3}
        if stage == 'stage1_scannet' else {})
    call('experiments/ablation', options)
    assert run_here == ['train', 'train', 'export_backbone']
    encoder = tmp_path / 'work' / 'seed_0' / 'table3_full' / 'encoder.pth'
    meta = read_checkpoint(encoder)['meta']
    assert meta['method'] == 'MaskedTokenPretrainer'
    assert meta['frames_seen'] == 2
    encoder.unlink()
    call('experiments/ablation', options)
    assert run_here[3:] == ['export_backbone']


def test_fine_tuning_runs(tmp_path, scannet_root, run_here, monkeypatch):
    """A fresh encoder on kNN tokens in GroupFree3D, two steps."""
    monkeypatch.setattr(
        ablation, 'DOWNSTREAM',
        dict(synthrooms=dict(detection='groupfree3d_scannet_mini')))
    call('experiments/ablation', [
        '--row', 'table3_none', '--run', '--seeds', '3', '--data-root',
        str(scannet_root), '--json',
        str(tmp_path / 'ablation.json'), '--work-dir',
        str(tmp_path / 'work'), '--finetune-options', 'train_cfg.max_iters=2',
        'train_cfg.val_interval=9', 'default_hooks.checkpoint.interval=2',
        'model.test_cfg.per_class_proposal=False',
        'train_dataloader.dataset.dataset.pipeline.6.num_points=2048',
        'test_dataloader.dataset.pipeline.4.num_points=2048'
    ])
    assert run_here == ['export_backbone', 'train', 'test']
    work = tmp_path / 'work' / 'seed_3' / 'table3_none'
    config, = (work / 'detection').glob('*.py')
    trained = ablation.read(str(config))
    assert trained.randomness.seed == 3
    backbone = trained.model.backbone
    tokenizer = backbone.tokenizer
    assert (tokenizer.type, tokenizer.num_tokens,
            tokenizer.num_neighbors) == ('KNNTokenizer', 256, 32)
    assert backbone.init_cfg.checkpoint == str(work / 'encoder.pth')
    scores = json.loads((work / 'detection' / 'metrics.json').read_text())
    values = [100 * scores[f'mAP_{t}'] for t in ('0.25', '0.50')]
    measured = ' | '.join(f'{value:.1f}' for value in values)
    results = json.loads((tmp_path / 'ablation.json').read_text())
    assert f' | 1 | {measured} | – | – | ' in ablation.render_table(results)


def test_segmentor_gets_the_tokens_of_the_row():
    downstream = ablation.read('configs/sam3d/segmentor_synthrooms_mini.py')
    for name, row in ROWS.items():
        options = ablation.tokenizer_options(row, 'synthrooms', downstream)
        assert bool(options) == ('sam' not in name and 'full' not in name
                                 and 'table4' not in name)
        if options:
            assert options['model.decode_head.propagation'] == 'three_nn'


def test_rows_are_compared_with_the_first_of_their_table(tmp_path):
    args = load_tool('experiments/ablation').parse_args(
        ['--tables', '4', '--work-dir',
         str(tmp_path)])
    for i, row in enumerate(ablation.TABLES[4].values()):
        for seed in args.seeds:
            path = tmp_path / f'seed_{seed}' / row.stage
            records.write_record(
                path / 'detection' / 'metrics.json', {
                    'mAP_0.25': .1 + .1 * i + .001 * seed * (1 + i),
                    'mAP_0.50': .1
                })
    results = ablation.summary(args)
    joint = results['tables']['4']['table4_stage1_mtp_joint']
    assert joint['differences']['AP25']['verdict'] == 'gain'
    text = ablation.render_table(results)
    assert '| stage 1 | 3 | 10.1 ± 0.1 | 10.0 ± 0.0 | – | – | (65.2)' in text
    assert '| 20.2 ± 0.2 (+10.1 [' in text
