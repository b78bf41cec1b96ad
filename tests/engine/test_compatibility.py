"""Checkpoints of other models, and models whose parts do not fit."""
import itertools
from pathlib import Path

import pytest
import torch

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


def model_of(name, **options):
    return read_config(str(FOLDER / f'{name}.py'), options).model


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


def test_settings_are_read_from_the_file(tmp_path):
    config = read_config(str(FOLDER / 'segmentor_scannet_mini.py'), {})
    path = tmp_path / 'segmentor.pth'
    torch.save(
        dict(
            state_dict=dict(x=torch.ones(1)),
            meta=dict(cfg=config.pretty_text)), path)
    check_checkpoint(str(path), config.model)
    with pytest.raises(ValueError, match='holds a model with PointTokenSeg'):
        check_checkpoint(str(path), model_of('three_detr_scannet_mini'))
    with pytest.raises(FileNotFoundError, match='none.pth'):
        check_checkpoint(str(tmp_path / 'none.pth'), config.model)


def test_an_encoder_is_not_a_detector(tmp_path):
    state = {'backbone.encoder.x': torch.ones(1), 'head.x': torch.ones(1)}
    cfg = read_config(str(FOLDER / 'stage1_scannet_mini.py'), {})
    torch.save(
        dict(state_dict=state, meta=dict(cfg=cfg.pretty_text)),
        tmp_path / 'stage1.pth')
    with pytest.raises(ValueError, match='stage1.pth is a pre-trained encod'):
        check_checkpoint(
            str(tmp_path / 'stage1.pth'), model_of('votenet_scannet_mini'))


def test_other_tokens_are_said(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(base, 'print_log', lambda text, **_: said.append(text))
    cfg = read_config(str(FOLDER / 'votenet_scannet_mini.py'), {})
    path = tmp_path / 'votenet.pth'
    torch.save(
        dict(
            state_dict={'bbox_head.x': torch.ones(1)},
            meta=dict(cfg=cfg.pretty_text)), path)
    check_checkpoint(str(path), cfg.model)
    assert not said
    tokens = {'model.backbone.tokenizer.num_tokens': 99}
    check_checkpoint(str(path), model_of('votenet_scannet_mini', **tokens))
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
