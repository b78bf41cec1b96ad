"""Tests of reading checkpoints safely and loading them strictly."""
import fractions
import os

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from torch import nn

from sam3d_plugin.store.checkpoint import (CheckpointError, extract_state_dict,
                                           load_encoder, load_pretrained,
                                           read_checkpoint)


def _encoder(width=3):
    return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width))


def _save(path, **content):
    torch.save(content, path)
    return str(path)


def test_mmengine_content_survives_the_weights_only_reader(tmp_path):
    history = HistoryBuffer([1., 3.], [1, 1])
    file = _save(
        tmp_path / 'a.pth',
        history=history,
        best=np.float64(0.5),
        array=np.arange(3),
        names=np.array(['chair']),
        dataset_meta=ConfigDict(classes=('chair', ), palette=[[1, 2, 3]]))
    content = read_checkpoint(file)
    assert content['history'].mean() == 2
    assert content['best'] == 0.5
    assert content['array'].tolist() == [0, 1, 2]
    assert content['names'].tolist() == ['chair']
    assert content['dataset_meta'].palette == [[1, 2, 3]]


class _Runs:
    """Would run a command when unpickled."""

    def __reduce__(self):
        return os.mkdir, ('/nonexistent/ran', )


class _TakesAttribute:
    """Would use the allow-listed getattr for something else."""

    def __reduce__(self):
        return getattr, (HistoryBuffer, '__init__')


@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('value, name', [
    (fractions.Fraction(1, 2), 'fractions.Fraction'),
    (_Runs(), 'posix.mkdir'),
    (_TakesAttribute(), 'builtins.getattr'),
])
def test_foreign_class_is_named_and_never_built(tmp_path, value, name, zipped):
    file = tmp_path / 'foreign.pth'
    torch.save(
        dict(state_dict={}, extra=value),
        file,
        _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=f'foreign.pth.*{name}'):
        read_checkpoint(file)


@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('part', [0, 0.01, 0.5, 0.99])
def test_truncated_checkpoint_is_named(tmp_path, part, zipped):
    file = tmp_path / 'cut.pth'
    torch.save(
        _encoder(64).state_dict(), file, _use_new_zipfile_serialization=zipped)
    whole = file.read_bytes()
    file.write_bytes(whole[:int(part * len(whole))])
    with pytest.raises(CheckpointError, match='cut.pth is truncated'):
        read_checkpoint(file)


def test_missing_file_and_content_without_tensors(tmp_path):
    with pytest.raises(FileNotFoundError, match='none.pth is missing'):
        read_checkpoint(tmp_path / 'none.pth')
    with pytest.raises(CheckpointError, match='no model tensors.*epoch'):
        extract_state_dict(dict(epoch=3), 'a.pth')
    torch.save([1, 2], tmp_path / 'list.pth')
    with pytest.raises(CheckpointError, match='holds a list'):
        read_checkpoint(tmp_path / 'list.pth')


def test_wrapped_model_names_are_unwrapped():
    state = {f'module.{k}': v for k, v in _encoder().state_dict().items()}
    assert '0.weight' in extract_state_dict(dict(model=state), 'a.pth')


@pytest.mark.parametrize('holder', ['backbone', None])
def test_pretrained_finds_whole_models_and_bare_encoders(tmp_path, holder):
    source = _encoder()
    whole = nn.ModuleDict(dict(backbone=source, head=nn.Linear(1, 1)))
    file = _save(
        tmp_path / 'a.pth',
        state_dict=(whole if holder else source).state_dict())
    target = _encoder()
    report = load_pretrained(target, dict(type='Pretrained', checkpoint=file))
    assert torch.equal(target[0].weight, source[0].weight)
    assert report.summary() == '7/7 tensors'
    assert report.unexpected_summary() == ('head (2)' if holder else '')


def test_missing_and_misshaped_tensors_are_listed():
    state = _encoder().state_dict()
    state.pop('1.running_mean')
    with pytest.raises(CheckpointError) as error:
        load_encoder(_encoder(4), state, source='a.pth')
    for part in ('a.pth', '1.running_mean',
                 '0.weight (file (3, 2), model (4, 2))'):
        assert part in str(error.value)


def test_allow_missing_covers_only_what_it_names():
    state = _encoder().state_dict()
    state.pop('1.running_mean')
    report = load_encoder(_encoder(), state, allow_missing=['1.running_*'])
    assert report.allowed == ('1.running_mean', )
    assert report.summary() == ('6/7 tensors, 1 left as initialised '
                                '(allow_missing)')
    report = load_encoder(_encoder(4), state, allow_missing=['0', '1'])
    assert report.matched == ('1.num_batches_tracked', )
    with pytest.raises(CheckpointError, match='1.running_mean'):
        load_encoder(_encoder(), state, allow_missing=['1.running_var', '0'])


def test_nothing_fitting_is_an_error_even_when_all_may_be_missing():
    with pytest.raises(CheckpointError, match='no tensor of a.pth'):
        load_encoder(
            nn.Linear(2, 2),
            dict(decoder=torch.ones(1)),
            allow_missing=['*'],
            source='a.pth')


def test_prefix_must_be_unambiguous(tmp_path):
    state = _encoder().state_dict()
    both = {**state, **{f'backbone.{k}': v for k, v in state.items()}}
    file = _save(tmp_path / 'a.pth', state_dict=both)
    cfg = dict(type='Pretrained', checkpoint=file)
    with pytest.raises(CheckpointError, match='with and without'):
        load_pretrained(_encoder(), cfg)
    report = load_pretrained(_encoder(), dict(cfg, prefix='backbone'))
    assert len(report.unexpected) == len(state)
    with pytest.raises(CheckpointError, match='file holds 0, 1, backbone'):
        load_pretrained(nn.Bilinear(1, 1, 1), cfg)
    with pytest.raises(CheckpointError, match='unknown keys.*strict'):
        load_pretrained(_encoder(), dict(cfg, strict=False))
