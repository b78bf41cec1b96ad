"""Tests of what command line options do to a config."""
import pytest
from mmengine.config import Config

from sam3d_plugin.engine.options import enable_tta, move_data_root


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


def test_config_without_data_root_is_refused():
    with pytest.raises(ValueError, match='no data_root'):
        move_data_root(Config(dict(a=1)), None, 'data')


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
