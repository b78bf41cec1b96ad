"""Checkpoints of other models, and models whose parts do not fit."""
import itertools
from pathlib import Path

import pytest
import torch

from sam3d_plugin.engine import compatibility
from sam3d_plugin.engine.compatibility import (check_checkpoint,
                                               check_class_count,
                                               check_query_count,
                                               check_same_detector)
from sam3d_plugin.engine.options import read_config
from sam3d_plugin.models.tokenizers import base

FOLDER = Path(__file__).resolve().parents[2] / 'configs' / 'sam3d'
MODELS = {
    'votenet_scannet_mini': 'VoteNet',
    'groupfree3d_scannet_mini': 'GroupFree3DNet',
    'three_detr_scannet_mini': 'ThreeDETR',
    'vdetr_scannet_mini': 'VDETR',
    'segmentor_scannet_mini': 'PointTokenSegmentor',
}


def config_of(name, **options):
    return read_config(str(FOLDER / f'{name}.py'), options)


def model_of(name, **options):
    return config_of(name, **options).model


@pytest.mark.parametrize('trained, asked',
                         list(itertools.product(MODELS, MODELS)))
def test_each_model_takes_its_own_checkpoints_only(trained, asked):
    pair = model_of(trained), model_of(asked)
    if trained == asked:
        check_same_detector(*pair, 'it.pth')
        return
    message = (f'it.pth holds a model with {MODELS[trained]}, and the config '
               f'describes one with {MODELS[asked]}: give the config')
    with pytest.raises(ValueError, match=message):
        check_same_detector(*pair, 'it.pth')


def test_other_classes_are_another_model():
    pair = model_of('votenet_scannet_mini'), model_of('votenet_sunrgbd_mini')
    with pytest.raises(ValueError, match='18 classes.*10 classes'):
        check_same_detector(*pair, 'it.pth')


def _save(path, config):
    torch.save(
        dict(
            state_dict=dict(x=torch.ones(1)),
            meta=dict(cfg=config.pretty_text)), path)
    return str(path)


def test_settings_are_read_from_the_file(tmp_path):
    config = config_of('segmentor_scannet_mini')
    path = _save(tmp_path / 'segmentor.pth', config)
    check_checkpoint(path, config)
    with pytest.raises(ValueError, match='holds a model with PointTokenSeg'):
        check_checkpoint(path, config_of('three_detr_scannet_mini'))
    with pytest.raises(FileNotFoundError, match='none.pth'):
        check_checkpoint(str(tmp_path / 'none.pth'), config)


def test_a_label_that_meant_another_class_is_refused(tmp_path):
    """As many classes in another order fit the weights."""
    config = config_of('three_detr_scannet_mini')
    path = _save(tmp_path / 'detector.pth', config)
    classes = config.test_dataloader.dataset.metainfo.classes
    config.test_dataloader.dataset.metainfo.classes = classes[:16] + (
        classes[17], classes[16])
    with pytest.raises(
            ValueError, match='label 16 as bathtub, which is garbagebin'):
        check_checkpoint(path, config)


def test_train_and_val_name_the_same_classes():
    config = config_of('three_detr_scannet_mini')
    datasets = [config[f'{n}_dataloader'].dataset for n in ('train', 'val')]
    compatibility.check_same_labels(config.model, datasets)
    datasets[0].dataset.metainfo = dict(classes=('table', 'chair'))
    with pytest.raises(ValueError, match='label 0 as table, which is cabinet'):
        compatibility.check_same_labels(config.model, datasets)
    compatibility.check_same_labels({},
                                    datasets)  # a pre-training has no labels


@pytest.mark.parametrize('name', ['scannet', 'sunrgbd'])
def test_group_free_tests_one_scene_at_a_time(name):
    model = model_of(f'groupfree3d_{name}')
    compatibility.check_test_batch(model, dict(batch_size=1))
    compatibility.check_test_batch(
        model_of('votenet_scannet'), dict(batch_size=2))
    with pytest.raises(ValueError, match='GroupFree3DHead.*batch_size=1'):
        compatibility.check_test_batch(model, dict(batch_size=2))


def test_an_encoder_is_not_a_detector(tmp_path):
    state = {'backbone.encoder.x': torch.ones(1), 'head.x': torch.ones(1)}
    cfg = read_config(str(FOLDER / 'stage1_scannet_mini.py'), {})
    torch.save(
        dict(state_dict=state, meta=dict(cfg=cfg.pretty_text)),
        tmp_path / 'stage1.pth')
    with pytest.raises(ValueError, match='stage1.pth is a pre-trained encod'):
        check_checkpoint(
            str(tmp_path / 'stage1.pth'), config_of('votenet_scannet_mini'))


def test_other_tokens_are_said(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(base, 'print_log', lambda text, **_: said.append(text))
    cfg = read_config(str(FOLDER / 'votenet_scannet_mini.py'), {})
    path = tmp_path / 'votenet.pth'
    torch.save(
        dict(
            state_dict={'bbox_head.x': torch.ones(1)},
            meta=dict(cfg=cfg.pretty_text)), path)
    check_checkpoint(str(path), cfg)
    assert not said
    tokens = {'model.backbone.tokenizer.num_tokens': 99}
    check_checkpoint(str(path), config_of('votenet_scannet_mini', **tokens))
    assert len(said) == 1 and 'sam 512 ' in said[0] and 'sam 99 ' in said[0]


@pytest.mark.parametrize('name, setting, queries', [
    ('groupfree3d_scannet_mini', 'num_proposal', 256),
    ('groupfree3d_sunrgbd_mini', 'num_proposal', 256),
    ('three_detr_scannet_mini', 'num_queries', 64),
    ('vdetr_scannet_mini', 'num_queries', 160),
])
def test_fewer_tokens_than_queries_are_refused(name, setting, queries):
    tokens = 'model.backbone.tokenizer.num_tokens'
    check_query_count(model_of(name, **{tokens: queries}))
    message = (f'{queries - 1} tokens cannot give {queries} queries.*'
               f'{tokens}.*model.bbox_head.{setting}')
    with pytest.raises(ValueError, match=message):
        check_query_count(model_of(name, **{tokens: queries - 1}))


@pytest.mark.parametrize('name', [
    'votenet_scannet', 'three_detr_scannet', 'three_detr_scannet_vanilla',
    'groupfree3d_scannet_pointnet2', 'segmentor_scannet'
])
def test_other_models_have_no_such_limit(name):
    check_query_count(model_of(name))


@pytest.mark.parametrize('head', ['bbox_head', 'decode_head'])
def test_a_head_with_too_few_classes_is_refused(head):
    dataset = dict(dataset=dict(metainfo=dict(classes=('a', 'b', 'c'))))
    check_class_count({head: dict(num_classes=3)}, dataset)
    check_class_count({head: dict()}, dataset)
    check_class_count({head: dict(num_classes=1)}, dict(type='Other'))
    with pytest.raises(ValueError, match='num_classes=2'):
        check_class_count({head: dict(num_classes=2)}, dataset)
