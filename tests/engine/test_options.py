"""Tests of what command line options do to a config."""
import argparse

import pytest
from mmengine.config import Config

from sam3d_plugin.cli.arguments import SettingAction
from sam3d_plugin.engine.options import (apply_train_options, enable_tta,
                                         load_config, move_data_root,
                                         read_config)


def test_data_root_moves_everywhere_and_nothing_else_does():
    dataset = dict(data_root='data/scannet/', ann_file='data.pkl')
    cfg = Config(
        dict(
            data_root='data/scannet/',
            train=dict(dataset=dict(dataset=dict(dataset))),
            val=[dict(dataset, data_root='data/scannet')],
            other=dict(data_root='data/scannet_b', kind='data'),
            ann_file='data/scannet/val.pkl'))
    move_data_root(cfg, 'data/scannet/', '/disk/rooms')
    assert cfg.data_root == '/disk/rooms'
    assert cfg.train.dataset.dataset.data_root == '/disk/rooms'
    assert cfg.val[0].data_root == '/disk/rooms'
    assert cfg.val[0].ann_file == 'data.pkl'
    assert cfg.ann_file == '/disk/rooms/val.pkl'
    assert cfg.other == dict(data_root='data/scannet_b', kind='data')


def test_config_without_data_root_is_refused(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text('a = 1\n')
    with pytest.raises(ValueError, match='no data_root'):
        read_config(str(path), dict(data_root='data'))


def test_data_root_of_a_child_config_moves_too(tmp_path):
    """Where a child names other data than the variable of its base."""
    path = tmp_path / 'config.py'
    path.write_text("data_root = 'data/scannet/'\n"
                    'train_dataloader = dict(dataset=dict('
                    "data_root='data/rooms/', ann_file='data/rooms/a.txt'))\n"
                    "other = 'data/scannet/a'\n")
    cfg = read_config(str(path), dict(data_root='/disk'))
    assert cfg.train_dataloader.dataset.data_root == '/disk'
    assert cfg.train_dataloader.dataset.ann_file == '/disk/a.txt'
    assert (cfg.data_root, cfg.other) == ('/disk', '/disk/a')


def make_args(config, **changes):
    """Options of tools/train.py as its parser gives them."""
    return argparse.Namespace(
        **{
            **dict(
                config=str(config),
                cfg_options={},
                launcher='none',
                work_dir=None,
                local_rank=0,
                amp=False,
                sync_bn='none',
                auto_scale_lr=False,
                resume=None),
            **changes
        })


def test_torchrun_needs_no_launcher_option(tmp_path, monkeypatch):
    """Else each of its processes would train alone in one work directory."""
    config = tmp_path / 'small.py'
    config.write_text('model = dict(type="VoteNet")')
    monkeypatch.setenv('LOCAL_RANK', '0')
    assert load_config(make_args(config)).launcher == 'none'
    monkeypatch.setenv('TORCHELASTIC_RUN_ID', 'none')
    assert load_config(make_args(config)).launcher == 'pytorch'
    assert load_config(make_args(config, launcher='slurm')).launcher == 'slurm'


def test_automatic_resume_keeps_where_the_run_starts():
    cfg = Config(dict(load_from='pretrained.pth'))
    apply_train_options(cfg, make_args('a.py', resume='auto'))
    assert cfg.resume and cfg.load_from is None
    assert cfg.start_from == 'pretrained.pth'
    apply_train_options(cfg, make_args('a.py', resume='epoch_3.pth'))
    assert cfg.load_from == 'epoch_3.pth'


def test_test_time_augmentation_wraps_the_model():
    cfg = Config(
        dict(
            model=dict(type='EncoderDecoder3D'),
            tta_model=dict(type='Seg3DTTAModel'),
            test_dataloader=dict(dataset=dict(pipeline=[]))))
    with pytest.raises(ValueError, match='tta_pipeline'):
        enable_tta(cfg)
    cfg.tta_pipeline = [dict(type='TestTimeAug')]
    enable_tta(cfg)
    assert cfg.model.type == 'Seg3DTTAModel'
    assert cfg.model.module.type == 'EncoderDecoder3D'
    assert cfg.test_dataloader.dataset.pipeline == cfg.tta_pipeline


def parse_options(*options):
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument('--cfg-options', nargs='+', action=SettingAction)
    return parser.parse_args(['--cfg-options', *options]).cfg_options


def test_dicts_are_options_as_a_config_writes_them():
    """The README's init_cfg, on which mmengine's own action breaks down."""
    options = parse_options(
        "a.init_cfg=dict(type='Pretrained', checkpoint='work dirs/e.pth')",
        "b={'_delete_': True, 'sizes': (1, 2)}", "c=[dict(type='LN'), 3]",
        'd=1,2', 'e=text')
    assert options == {
        'a.init_cfg': dict(type='Pretrained', checkpoint='work dirs/e.pth'),
        'b': dict(_delete_=True, sizes=[1, 2]),
        'c': [dict(type='LN'), 3],
        'd': [1, 2],
        'e': 'text'
    }


def test_braces_around_a_name_are_no_dict():
    """{seed}, which tools/experiments/evaluate.py fills in."""
    values = dict(
        load_from='a_{seed}.pth',
        data_root='{seed}/rooms',
        seed='{seed}',
        files='predict(1).pkl')
    assert parse_options(*(f'{k}={v}' for k, v in values.items())) == values
    options = parse_options('a=[x_{seed},y_{seed}]', "b=dict(c='{seed}')",
                            "d=[1, {'e': '{seed}'}]", 'f={}')
    assert options == dict(
        a=['x_{seed}', 'y_{seed}'],
        b=dict(c='{seed}'),
        d=[1, dict(e='{seed}')],
        f={})


@pytest.mark.parametrize('option', [
    'a=dict(type=LN)', 'a=dict(1)', "a=dict(f=__import__('os'))",
    'a=dict(type=', 'no_value'
])
def test_other_options_are_refused(option):
    with pytest.raises(argparse.ArgumentError, match='as in a config'):
        parse_options(option)


def test_blanks_commas_and_home_stay_in_a_path(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', '/home/me')
    folder = tmp_path / 'a, b'
    folder.mkdir()
    assert parse_options('a=my data/x', 'b=~/rooms', f'c={folder}', "d='1,2'",
                         'e=None', 'f=1e-3') == {
                             'a': 'my data/x',
                             'b': '/home/me/rooms',
                             'c': str(folder),
                             'd': '1,2',
                             'e': None,
                             'f': 1e-3
                         }
