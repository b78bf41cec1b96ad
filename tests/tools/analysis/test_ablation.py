"""Tests of tools/analysis/ablation.py and of the steps it runs."""
from pathlib import Path
from unittest.mock import Mock

import pytest

from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.store.checkpoint import read_checkpoint
from tests.datasets import frame_store
from tests.short_runs import forget_runs
from tests.tools.conftest import load_tool
from tools import steps
from tools.analysis import ablation

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
    args = ablation.parse_args(
        ['--table', row[5], '--row', row, '--work-dir', 'w', *options])
    return [str(step) for step in ablation.row_steps(ROWS[row], args)]


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
    """Before the mini budget changes the number of neighbours."""
    number = 1 if ablation.teacher_of(stage) is None else 2
    cfg = ablation.read(f'{ablation.FOLDER}/stage{number}_scannet.py')
    options = ablation.stage_options(stage, 'synthrooms')
    if 'model.tokenizer.num_neighbors' in options:
        assert options['model.tokenizer.num_neighbors'] == 32
        options['model.tokenizer.num_neighbors'] = 128
    cfg.merge_from_dict(options)
    wanted = ablation.read(ablation.config_of(stage))
    for part in ('model', 'train_dataloader'):
        made, own = cfg[part].to_dict(), wanted[part].to_dict()
        made.get('target_generator', {}).pop('checkpoint', None)
        own.get('target_generator', {}).pop('checkpoint', None)
        assert made == own
    assert ablation.stage_options(stage, 'scannet') == {}


def test_teacher_comes_before_its_student():
    first, second, export = commands('table3_distill_mtp_balance', '--data',
                                     'scannet')
    assert 'ablations/teacher_knn_balance.py' in first
    assert 'ablations/table3_distill_mtp_balance.py' in second
    assert 'teacher=w/teacher_knn_balance/epoch_120.pth' in second
    assert 'w/table3_distill_mtp_balance/epoch_120.pth --out' in export


def test_rows_of_both_tables_share_stages():
    assert commands('table4_stage1')[0] == commands('table3_full')[0]
    assert commands('table4_two_stage') == commands('table3_full')


def test_fresh_encoder_is_exported_from_the_config():
    export = commands('table3_none', '--seed', '3')[0]
    assert export == (
        'python tools/export_backbone.py configs/sam3d/ablations/'
        'table3_none.py --out w/table3_none/encoder.pth --seed 3')


def test_fine_tuning_takes_encoder_and_tokens(monkeypatch):
    monkeypatch.setattr(ablation, 'DOWNSTREAM',
                        dict(synthrooms=dict(detection='votenet_scannet')))
    *_, train, test = commands('table3_distill', '--data-root', 'rooms')
    for part in ('data_root=rooms', 'KNNTokenizer', 'num_tokens=1024',
                 'num_neighbors=32', 'w/table3_distill/encoder.pth'):
        assert part in train
    assert 'KNNTokenizer' in test and 'init_cfg' not in test
    *_, train, test = commands('table4_stage1')
    assert 'tokenizer' not in train and 'encoder.pth' in train


def test_rows_without_fine_tuning_say_so(monkeypatch, capsys):
    monkeypatch.setattr(ablation, 'DOWNSTREAM',
                        dict(synthrooms=dict(detection='none_such')))
    ablation.main(['--row', 'table3_none', '--work-dir', 'w'])
    printed = capsys.readouterr().out
    assert 'configs/sam3d/none_such.py is not there' in printed
    assert 'tools/train.py' not in printed
    assert '| all | – | – | – | – | 68.2 | 48.4 | 71.8 | 78.2 |' in printed


def test_unknown_row_is_refused(capsys):
    with pytest.raises(SystemExit):
        ablation.parse_args(['--table', '4', '--row', 'table3_full'])
    assert 'it has table4_stage1, ' in capsys.readouterr().err


def test_measured_figures_stand_beside_reported_ones(tmp_path):
    folder = tmp_path / 'table3_full' / 'detection'
    folder.mkdir(parents=True)
    (folder / 'metrics.json').write_text('{"mAP_0.25": 0.5, "mAP_0.50": 0.25}')
    args = ablation.parse_args(['--work-dir', str(tmp_path)])
    assert '| all | 50.0 | 25.0 | – | – | 68.2 |' in ablation.table(args)


def test_options_read_back_as_they_were():
    options = {
        'a': dict(type='LN', b=dict(c=[1, 'x'], d=None)),
        'e': 0.5,
        'f': 'data/rooms/',
    }
    action = ablation.SettingAction(['--cfg-options'], 'cfg_options')
    namespace = Mock(cfg_options=None)
    action(None, namespace, steps.option_list(options)[1:])
    assert namespace.cfg_options == options


@pytest.fixture
def run_here(monkeypatch):
    """Run tools in this process; return the tools that were run."""
    monkeypatch.setenv('LOCAL_RANK', '0')
    called = []

    def call(command, environment):
        forget_runs()
        tool = load_tool(Path(command[1]).stem)
        called.append(Path(command[1]).stem)
        status = run_tool(tool.main, tool.parse_args(command[2:]))
        return status, None

    monkeypatch.setattr(steps, 'run_command', call)
    return called


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
        '--table', '4', '--row', 'table4_two_stage', '--run', '--data-root',
        str(root), '--work-dir',
        str(tmp_path / 'work'), *SMALL
    ]
    monkeypatch.setattr(
        ablation, 'stage_options',
        lambda stage, data: {'model.head.out_channels': 3}
        if stage == 'stage1_scannet' else {})
    ablation.main(options)
    assert run_here == ['train', 'train', 'export_backbone']
    encoder = tmp_path / 'work' / 'table3_full' / 'encoder.pth'
    meta = read_checkpoint(encoder)['meta']
    assert meta['method'] == 'MaskedTokenPretrainer'
    assert meta['frames_seen'] == 2
    encoder.unlink()
    ablation.main(options)
    assert run_here[3:] == ['export_backbone']


def test_fine_tuning_runs(tmp_path, scannet_root, run_here, monkeypatch):
    """A fresh encoder on kNN tokens in GroupFree3D, two steps."""
    monkeypatch.setattr(
        ablation, 'DOWNSTREAM',
        dict(synthrooms=dict(detection='groupfree3d_scannet_mini')))
    ablation.main([
        '--row', 'table3_none', '--run', '--data-root',
        str(scannet_root), '--work-dir',
        str(tmp_path / 'work'), '--finetune-options', 'train_cfg.max_iters=2',
        'train_cfg.val_interval=9', 'default_hooks.checkpoint.interval=2',
        'model.test_cfg.per_class_proposal=False',
        'train_dataloader.dataset.dataset.pipeline.6.num_points=2048',
        'test_dataloader.dataset.pipeline.4.num_points=2048'
    ])
    assert run_here == ['export_backbone', 'train', 'test']
    values = ablation.measured(
        ROWS['table3_none'],
        ablation.parse_args(['--work-dir',
                             str(tmp_path / 'work')]))
    assert values[0] is not None and values[2] is None
