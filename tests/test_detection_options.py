"""Arms of a detector differ in one option; what data cannot give is named."""
import argparse
import pickle

import pytest
import torch
from mmdet3d.registry import MODELS
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

from sam3d_plugin.cli.arguments import SettingAction
from sam3d_plugin.cli.training import scene_limits
from sam3d_plugin.datasets.preflight import check_datasets
from sam3d_plugin.engine.options import read_config
from sam3d_plugin.store.checkpoint import CheckpointError
from tests import test_configs
from tests.conftest import (CLASSES, SUN_CLASSES, write_infos, write_scannet,
                            write_sunrgbd)
from tests.test_configs import FOLDER, KNN, TOKENIZER

DETECTORS = [
    'votenet_scannet', 'votenet_sunrgbd', 'groupfree3d_scannet',
    'groupfree3d_sunrgbd', 'three_detr_scannet', 'vdetr_scannet'
]
RATE = 'optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult'


def read(name, **options):
    init_default_scope('mmdet3d')
    return read_config(str(FOLDER / f'{name}.py'), options)


def rates(name, **options):
    """Learning rates of a detector's parameters, by name."""
    cfg = read(name, **options)
    model = MODELS.build(cfg.model)
    names = {id(p): key for key, p in model.named_parameters()}
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    return {
        names[id(parameter)]: group['lr']
        for group in wrapper.optimizer.param_groups
        for parameter in group['params']
    }


@pytest.mark.parametrize('name', DETECTORS)
def test_encoder_learns_at_a_rate_of_its_own(name):
    plain, slow = rates(name), rates(name, **{RATE: .1})
    assert plain.keys() == slow.keys()
    for key, rate in plain.items():
        factor = .1 if key.startswith('backbone.') else 1
        assert slow[key] == pytest.approx(factor * rate), key


def test_rates_layer_by_layer():
    keys = 'optim_wrapper.paramwise_cfg.custom_keys'
    text = "{'encoder.blocks.0': dict(lr_mult=.3)}"
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=SettingAction)
    options = parser.parse_args(['--cfg-options', f'{keys}={text}'])
    slow = rates('groupfree3d_scannet', **options.cfg_options)
    first = slow['backbone.encoder.blocks.0.norm1.weight']
    assert first == pytest.approx(
        .3 * slow['backbone.encoder.blocks.1.norm1.weight'])
    # the schedule's own factors stay
    layer = next(
        key for key in slow if key.startswith('bbox_head.decoder_layers.'))
    assert slow[layer] == pytest.approx(
        .1 * slow['backbone.encoder.blocks.1.norm1.weight'])


def test_layer_decay_is_two_options():
    """As the heads of the configs say; the schedule's factors stay."""
    plain = rates('groupfree3d_scannet')
    decayed = rates(
        'groupfree3d_scannet', **{
            'optim_wrapper.constructor': 'LayerDecayOptimWrapperConstructor',
            'optim_wrapper.paramwise_cfg.layer_decay': .65
        })
    for key, rate in plain.items():
        power = 0
        if key.startswith(('backbone.embedding', 'backbone.encoder.pos')):
            power = 4
        elif key.startswith('backbone.encoder.blocks'):
            power = 3 - int(key.split('.')[3])
        assert decayed[key] == pytest.approx(.65**power * rate), key


@pytest.mark.parametrize('name', DETECTORS)
def test_encoder_weights_and_freezing_are_one_option_each(name, tmp_path):
    torch.manual_seed(1)
    donor = MODELS.build(read(name).model).backbone
    state = {
        key: value + 1
        for key, value in donor.state_dict().items()
        if key.startswith(('embedding.', 'encoder.'))
    }
    path = tmp_path / 'encoder.pth'
    torch.save(dict(state_dict=state), path)
    init = {
        'model.backbone.init_cfg':
        dict(type='Pretrained', checkpoint=str(path)),
        'model.backbone.frozen': True
    }
    backbone = MODELS.build(read(name, **init).model).backbone
    backbone.init_weights()
    for key, value in backbone.state_dict().items():
        if key in state:
            assert torch.equal(value, state[key])
    assert backbone.load_report.summary() == (
        f'{len(state)}/{len(state)} tensors')
    learns = {
        key.split('.')[0]
        for key, p in backbone.named_parameters() if p.requires_grad
    }
    assert learns == {'out_proj'}
    del state['encoder.blocks.1.norm1.weight']
    torch.save(dict(state_dict=state), path)
    backbone = MODELS.build(read(name, **init).model).backbone
    with pytest.raises(CheckpointError, match=r'lacks .*blocks.1.norm1'):
        backbone.init_weights()


def check(root, name, **options):
    cfg = read(name, data_root=str(root), **options)
    check_datasets([cfg.train_dataloader.dataset], scene_limits(cfg.model))


def change_infos(root, change):
    """Change the first scan of the v1 train infos."""
    infos = write_sunrgbd(root)
    change(infos[0])
    path = root / 'sunrgbd_v1_infos_train.pkl'
    metainfo = pickle.loads(path.read_bytes())['metainfo']
    write_infos(path, infos, metainfo['categories'], 'sunrgbd')


SUN_ARMS = [('groupfree3d_sunrgbd', 'groupfree3d_sunrgbd_pointnet2'),
            ('votenet_sunrgbd', 'votenet_sunrgbd_pointnet2'),
            ('three_detr_sunrgbd', 'three_detr_sunrgbd_vanilla')]


@pytest.mark.parametrize('name, stock', SUN_ARMS)
def test_scan_without_region_ids_is_named(name, stock, tmp_path):
    change_infos(tmp_path, lambda info: info.pop('pts_region_path'))
    with pytest.raises(
            ValueError, match='no region file for .*000001.bin.*kNN tokens'):
        check(tmp_path, name)
    check(tmp_path, name, **{TOKENIZER: KNN})
    check(tmp_path, stock)


@pytest.mark.parametrize('name', [arms[0] for arms in SUN_ARMS])
def test_box_without_size_is_named(name, tmp_path):

    def flatten(info):
        info['instances'][1]['bbox_3d'][4] = 0.

    change_infos(tmp_path, flatten)
    with pytest.raises(ValueError, match='000001.bin has the box .*no size'):
        check(tmp_path, name, **{TOKENIZER: KNN})


def test_too_many_boxes_are_named(tmp_path):

    def repeat(info):
        info['instances'] *= 40

    change_infos(tmp_path, repeat)
    with pytest.raises(ValueError, match='80 boxes.*at most 64'):
        check(tmp_path, 'groupfree3d_sunrgbd')


def test_scan_with_one_box_or_none_is_fine(tmp_path):
    change_infos(tmp_path, lambda info: info['instances'].clear())
    check(tmp_path, 'groupfree3d_sunrgbd', **{TOKENIZER: KNN})


@pytest.mark.parametrize(
    'name', ['votenet_sunrgbd_mini', 'three_detr_scannet', 'vdetr_sunrgbd'])
def test_scenes_with_no_box_and_one_train(name, tmp_path):
    """Those of GroupFree3D: tests/test_configs.py."""
    write, classes, prefix = write_scannet, CLASSES, 'scannet'
    if 'sunrgbd' in name:
        write, classes, prefix = write_sunrgbd, SUN_CLASSES, 'sunrgbd_v1'
    root = tmp_path / 'data'
    infos = write(root)
    infos[0]['instances'] = []
    infos[1]['instances'] = infos[1]['instances'][:1]
    write_infos(root / f'{prefix}_infos_train.pkl', infos, classes,
                prefix.split('_')[0])
    cfg = test_configs.shrink(
        test_configs.load(
            test_configs.named(name), dict(data_root=str(root)),
            tmp_path / 'work'))
    loss, metrics = test_configs.run(cfg)
    assert 0 < loss < float('inf')
    assert all(0 <= metrics[f'val/mAP_{iou}'] <= 1 for iou in ('0.25', '0.50'))


@pytest.mark.parametrize('name', [
    path.stem for path in sorted(FOLDER.glob('*.py'))
    if path.stem.startswith(test_configs.DETECTORS)
])
def test_positions_are_counted_from_the_origin_of_pretraining(name):
    backbone = read(name).model.backbone
    loader = read('stage1_scannet').train_dataloader.dataset.pipeline[0]
    assert loader.type == 'LoadRGBDPoints'
    if backbone.type == 'PointTokenBackbone':
        assert backbone.center == loader.get('center', 'floor')


def test_unknown_class_is_named(tmp_path):
    write_sunrgbd(tmp_path)
    classes = ('bed', 'lamp')
    with pytest.raises(ValueError, match='class lamp of metainfo.classes'):
        check(tmp_path, 'votenet_sunrgbd',
              **{'train_dataloader.dataset.dataset.metainfo.classes': classes})
