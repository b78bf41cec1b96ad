"""Tests of reading checkpoints safely and loading them strictly."""
import fractions
import os
import pickle

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from safetensors.torch import save_file
from torch import nn

from sam3d_plugin.libraries import prepare_libraries
from sam3d_plugin.store.checkpoint import CheckpointError, read_checkpoint
from sam3d_plugin.store.loading import load_encoder, load_pretrained
from sam3d_plugin.store.state_names import extract_state_dict


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
    with pytest.raises(CheckpointError, match='cut.pth is (truncated|empty)'):
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
    assert report.summary() == ('6/7 tensors, 1 left at their initialization '
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


WRAPPED = ('module.', 'module.module.', '_orig_mod.', 'module._orig_mod.',
           'model.', 'model._orig_mod.module.')


@pytest.mark.parametrize('prefix', WRAPPED)
def test_names_of_wrappers_are_removed(tmp_path, prefix):
    """torch.compile, DataParallel and Lightning, also inside each other."""
    torch.manual_seed(0)
    trained, fresh = (
        nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)) for _ in range(2))
    state = {prefix + k: v for k, v in trained.state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / 'a.pth')
    report = load_pretrained(
        fresh, dict(type='Pretrained', checkpoint=str(tmp_path / 'a.pth')))
    assert report.summary() == '7/7 tensors'
    assert torch.equal(fresh[0].weight, trained[0].weight)


def test_compiled_part_of_a_model_is_found():
    model = nn.Sequential(nn.Linear(3, 4))
    state = {'0._orig_mod.weight': torch.ones(4, 3)}
    assert list(extract_state_dict(dict(state_dict=state),
                                   'a')) == ['0.weight']
    assert load_encoder(model, extract_state_dict(state, 'a'), '', ['0.bias'])


@pytest.mark.parametrize('key', ['model', 'model_state_dict', 'net'])
def test_tensors_under_the_names_of_other_libraries(key):
    state = dict(weight=torch.ones(1))
    assert extract_state_dict({key: state, 'epoch': 3}, 'a') == state


def test_safetensors_are_read_and_damaged_ones_named(tmp_path):
    path = tmp_path / 'encoder.safetensors'
    save_file(dict(weight=torch.ones(2, 3)), path, dict(method='stage1'))
    content = read_checkpoint(path)
    assert content['meta'] == dict(method='stage1')
    assert torch.equal(
        extract_state_dict(content, 'a')['weight'], torch.ones(2, 3))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(CheckpointError, match='encoder.safetensors'):
        read_checkpoint(path)


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_weights_that_are_not_finite_are_refused(value):
    model = nn.Linear(3, 4)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    state['bias'][1] = value
    with pytest.raises(CheckpointError, match='bias'):
        load_encoder(model, state)


def test_foreign_names_are_said_even_with_batch_norm():
    """Its counters, which may be missing, do not count as loaded."""
    state = {
        'other.' + k: v
        for k, v in nn.BatchNorm1d(4).state_dict().items()
    }
    with pytest.raises(CheckpointError, match=r'other \(5\)'):
        load_encoder(nn.Sequential(nn.BatchNorm1d(4)), state)


def test_the_loader_of_mmengine_reads_its_own_classes_and_no_others(tmp_path):
    """As mmdet3d's tools and ``init_model`` read a file."""
    prepare_libraries()
    history = HistoryBuffer([2.], [1])
    read = CheckpointLoader.load_checkpoint
    content = read(_save(tmp_path / 'a.pth', history=history))
    assert content['history'].mean() == 2
    foreign = _save(tmp_path / 'b.pth', extra=fractions.Fraction(1, 2))
    with pytest.raises(pickle.UnpicklingError, match='fractions.Fraction'):
        read(foreign)


@pytest.mark.parametrize('others', [{}, {'criterion.weight': torch.ones(3)}])
@pytest.mark.parametrize('holder', ['net.', 'model.', 'module.detector.'])
def test_a_model_inside_another_is_found(holder, others):
    """Trainers hold it under a name of their own, with a loss beside it."""
    torch.manual_seed(0)
    trained, fresh = (
        nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)) for _ in range(2))
    state = {holder + k: v for k, v in trained.state_dict().items()}
    report = load_encoder(fresh, extract_state_dict({**state, **others}, 'a'))
    assert report.summary() == '7/7 tensors'
    assert len(report.unexpected) == len(others)
    assert torch.equal(fresh[0].weight, trained[0].weight)


def test_a_model_that_is_there_twice_is_not_chosen():
    model = nn.Linear(3, 4)
    state = {
        f'{name}.{k}': v
        for name in ('student', 'teacher')
        for k, v in model.state_dict().items()
    }
    with pytest.raises(CheckpointError, match=r'student \(2\), teacher'):
        load_encoder(model, state)


@pytest.mark.parametrize('wrap', [
    lambda state: dict(model=dict(state_dict=state), epoch=1),
    lambda state: dict(state_dict=dict(model=state)),
    lambda state: dict(ema_state_dict=state, meta={}),
    lambda state: dict(model_ema=state),
    lambda state: dict(weights=state),
])
def test_tensors_in_nested_dictionaries_are_found(wrap):
    state = dict(weight=torch.ones(1))
    assert extract_state_dict(wrap(state), 'a') == state


@pytest.mark.parametrize('name', ['a.SAFETENSORS', 'a.pth', 'a'])
def test_safetensors_are_known_by_their_content(tmp_path, name):
    save_file(dict(weight=torch.ones(2)), tmp_path / name)
    content = read_checkpoint(tmp_path / name)
    assert torch.equal(content['state_dict']['weight'], torch.ones(2))
    file = _save(tmp_path / 'b.safetensors', epoch=3)
    assert read_checkpoint(file) == dict(epoch=3)


@pytest.mark.parametrize('name, content, what', [
    ('a.pth', b'', 'empty'),
    ('a.pth', b'version https://git-lfs.github.com/spec/v1\noid', 'git-lfs'),
    ('a.pth', b'<!DOCTYPE html>\n<html></html>', 'web page'),
    ('a.index.json', b'{"weight_map": {"a": "b"}}', 'several files'),
    ('a.pth.gz', b'\x1f\x8b\x08\x00', 'gzip'),
    ('a.py', b"model = dict(type='VoteNet')\n", 'swapped'),
    ('a.pth', b'{"message": "Not Found"}', 'text file'),
])
def test_other_files_are_named(tmp_path, name, content, what):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=what) as error:
        read_checkpoint(tmp_path / name)
    assert len(str(error.value)) < 200 + len(str(tmp_path))


def test_a_folder_is_not_called_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match='folder'):
        read_checkpoint(tmp_path)


def test_whole_numbers_are_no_weights():
    """Quantized weights would be loaded as numbers up to 127."""
    model = nn.BatchNorm1d(4)
    state = {k: v.to(torch.int8) for k, v in model.state_dict().items()}
    with pytest.raises(CheckpointError, match='integers'):
        load_encoder(model, state)
    half = {
        k: v.half() if v.is_floating_point() else v
        for k, v in model.state_dict().items()
    }
    assert load_encoder(model, half).summary() == '5/5 tensors'
