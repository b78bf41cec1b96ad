"""Tests of tools/export_backbone.py."""
from pathlib import Path

import pytest
import torch
from mmdet3d.registry import MODELS
from mmengine.config import Config

from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.models.tokenizers import base
from sam3d_plugin.store.checkpoint import read_checkpoint
from sam3d_plugin.store.trained_settings import parse_settings
from tests.models.pretraining_cases import (EMBEDDING, ENCODER, KNN, SAM,
                                            STAGE1, build)
from tests.tools.conftest import load_tool

CONFIGS = Path(__file__).parents[2] / 'configs' / 'sam3d'
SETTINGS = dict(
    model=STAGE1,
    train_dataloader=dict(
        dataset=dict(data_root='data/rooms', ann_file='splits/train.txt')))


def export(source, out, *options):
    tool = load_tool('export_backbone')
    args = tool.parse_args([str(source), '--out', str(out), *options])
    return run_tool(tool.main, args)


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint with mmengine's meta, and its model."""
    model = build(STAGE1)
    model.init_weights()
    model.frames_seen += 96
    path = tmp_path / 'epoch_3.pth'
    text = Config(SETTINGS).pretty_text
    torch.save(
        dict(
            state_dict=model.state_dict(),
            meta=dict(cfg=text, epoch=3),
            optimizer=dict()), path)
    return path, model


def backbone(tokenizer, embedding=EMBEDDING, encoder=ENCODER, **init_cfg):
    return MODELS.build(
        dict(
            type='PointTokenBackbone',
            tokenizer=tokenizer,
            embedding=embedding,
            encoder=encoder,
            out_channels=8,
            init_cfg=dict(type='Pretrained', **init_cfg)))


def test_export_holds_the_encoder_alone(checkpoint, tmp_path):
    path, model = checkpoint
    assert export(path, tmp_path / 'encoder.pth') == 0
    content = read_checkpoint(tmp_path / 'encoder.pth')
    assert set(content) == {'state_dict', 'meta'}
    expected = model.backbone.state_dict()
    assert set(content['state_dict']) == set(expected)
    for name, tensor in expected.items():
        assert content['state_dict'][name].equal(tensor)
    meta = content['meta']
    assert meta['method'] == 'RegionDistillPretrainer'
    assert meta['data'] == 'data/rooms splits/train.txt'
    assert meta['tokenizer'] == SAM
    assert meta['frames_seen'] == 96 and len(meta['config_hash']) == 16


def test_files_from_before_the_token_encoder(checkpoint, tmp_path):
    """The encoder's parts and settings stood at the top."""
    path, model = checkpoint
    content = read_checkpoint(path)
    content['state_dict'] = {
        name.removeprefix('backbone.'): tensor
        for name, tensor in content['state_dict'].items()
    }
    former = {**STAGE1, **STAGE1['backbone'], 'type': STAGE1['type']}
    former.pop('backbone')
    content['meta']['cfg'] = Config(dict(SETTINGS, model=former)).pretty_text
    torch.save(content, path)
    assert export(path, tmp_path / 'encoder.pth') == 0
    found = read_checkpoint(tmp_path / 'encoder.pth')
    assert found['meta']['encoder'] == ENCODER
    for name, tensor in model.backbone.state_dict().items():
        assert found['state_dict'][name].equal(tensor)


def test_config_hash_follows_the_settings(checkpoint, tmp_path):
    path, _ = checkpoint
    hashes = []
    for root in ('data/rooms', 'data/rooms', 'data/others'):
        content = read_checkpoint(path)
        changed = Config(SETTINGS).pretty_text.replace('data/rooms', root)
        content['meta']['cfg'] = changed
        torch.save(content, path)
        assert export(path, tmp_path / 'encoder.pth') == 0
        meta = read_checkpoint(tmp_path / 'encoder.pth')['meta']
        hashes.append(meta['config_hash'])
    assert hashes[0] == hashes[1] != hashes[2]


def test_backbone_loads_every_tensor(checkpoint, tmp_path):
    path, model = checkpoint
    out = tmp_path / 'encoder.pth'
    assert export(path, out) == 0
    sam = dict(type='SAMTokenizer', split=True, num_tokens=16)
    loaded = backbone(sam, checkpoint=str(out))
    loaded.init_weights()
    report = loaded.load_report
    assert not report.missing and not report.unexpected
    assert 'pretrained' in loaded.summary()
    for part in ('embedding', 'encoder'):
        mine = getattr(loaded, part).state_dict()
        for name, tensor in getattr(model.backbone, part).state_dict().items():
            assert mine[name].equal(tensor)


def test_another_tokenizer_is_refused(checkpoint, tmp_path, monkeypatch):
    path, _ = checkpoint
    out = tmp_path / 'encoder.pth'
    assert export(path, out) == 0
    said = []
    monkeypatch.setattr(base, 'print_log', lambda text, **_: said.append(text))
    for source in (out, path):  # the training's own checkpoint says it too
        with pytest.raises(ValueError, match='SAMTokenizer.*has KNNTokenizer'):
            backbone(KNN, checkpoint=str(source)).init_weights()
        loaded = backbone(KNN, checkpoint=str(source), any_tokenizer=True)
        loaded.init_weights()
        assert not loaded.load_report.missing
        assert 'sam, one per region, at most 256, here knn' in said.pop()
        same_kind = dict(SAM, num_tokens=1024)
        backbone(same_kind, checkpoint=str(source)).init_weights()
        assert 'at most 256, here sam, one per region, at m' in said.pop()
        backbone(SAM, checkpoint=str(source)).init_weights()
        assert not said


@pytest.mark.parametrize('is_exported', [True, False])
def test_tensors_that_would_mean_something_else_are_refused(
        checkpoint, tmp_path, is_exported):
    """Their shapes are the same."""
    path, _ = checkpoint
    if is_exported:
        assert export(path, tmp_path / 'encoder.pth') == 0
        path = tmp_path / 'encoder.pth'
    sam = dict(type='SAMTokenizer', split=True, num_tokens=16)
    for part, key, value, trained in (('encoder', 'num_heads', 8, 4),
                                      ('embedding', 'relative', False, True)):
        parts = dict(embedding=EMBEDDING, encoder=ENCODER)
        parts[part] = {**parts[part], key: value}
        with pytest.raises(
                ValueError, match=f'{part}.{key} {trained}, here {value}'):
            backbone(sam, checkpoint=str(path), **parts).init_weights()
    with pytest.raises(ValueError, match='SAMTokenizer.*has KNNTokenizer'):
        backbone(KNN, checkpoint=str(path)).init_weights()


def test_missing_tensor_is_refused(checkpoint, tmp_path, capsys):
    path, _ = checkpoint
    content = read_checkpoint(path)
    del content['state_dict']['backbone.encoder.norm.weight']
    torch.save(content, path)
    assert export(path, tmp_path / 'encoder.pth') == 2
    assert 'lacks encoder.norm.weight' in capsys.readouterr().err
    assert not (tmp_path / 'encoder.pth').exists()


def test_no_export_is_written_over_its_checkpoint(checkpoint, capsys):
    path, _ = checkpoint
    before = path.read_bytes()
    assert export(path, path) == 2
    assert 'epoch_3.pth would be overwritten' in capsys.readouterr().err
    assert path.read_bytes() == before


def test_other_files_are_refused(checkpoint, tmp_path, capsys):
    path, _ = checkpoint
    content = read_checkpoint(path)
    torch.save(dict(state_dict=content['state_dict']), path)
    assert export(path, tmp_path / 'encoder.pth') == 2
    assert 'tools/train.py wrote' in capsys.readouterr().err
    content['meta']['cfg'] = "model = dict(type='VoteNet')"
    torch.save(content, path)
    assert export(path, tmp_path / 'encoder.pth') == 2
    assert 'is not a pre-training' in capsys.readouterr().err
    assert export(tmp_path / 'none.pth', tmp_path / 'encoder.pth') == 2
    assert 'none.pth is missing' in capsys.readouterr().err


def test_untrained_encoder_comes_from_a_config(tmp_path):
    """Row 1 of Table 3."""
    config = CONFIGS / 'ablations' / 'table3_none.py'
    states = []
    for seed in (0, 0, 1):
        out = tmp_path / 'fresh.pth'
        assert export(config, out, '--seed', str(seed)) == 0
        states.append(read_checkpoint(out))
    weights = [s['state_dict']['encoder.blocks.0.qkv.weight'] for s in states]
    assert weights[0].equal(weights[1]) and not weights[0].equal(weights[2])
    assert states[0]['meta']['tokenizer']['type'] == 'KNNTokenizer'
    assert states[0]['meta']['frames_seen'] == 0


def test_settings_are_read_without_running_them():
    text = ("a = dict(x=[1, (2, dict(y=None))], **{'z.w': -0.5})\n"
            "b = __import__('os').getcwd()\nimport os\n")
    assert parse_settings(text) == dict(a={
        'x': [1, [2, dict(y=None)]],
        'z.w': -0.5
    })
