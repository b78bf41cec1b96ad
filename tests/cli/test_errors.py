"""Tests of turning errors into sentences."""
import errno

import pytest
import torch
from mmdet3d.registry import HOOKS, MODELS, OPTIMIZERS, TRANSFORMS
from torch.utils.data import DataLoader

from sam3d_plugin.cli.errors import explain
from sam3d_plugin.datasets.label_checks import check_boxes
from sam3d_plugin.store.checkpoint import read_checkpoint


def _caught(function, *args):
    with pytest.raises(Exception) as error:
        function(*args)
    return error.value


@pytest.mark.parametrize('registry, name, close', [
    (MODELS, 'VoteNett', 'VoteNet'),
    (TRANSFORMS, 'PointSampel', 'PointSample'),
    (MODELS, 'mmdet.ResNett', 'ResNet'),
])
def test_unregistered_type_is_named_with_what_comes_close(
        registry, name, close):
    sentence = explain(_caught(registry.build, dict(type=name)))
    assert name in sentence and f'did you mean {close}' in sentence
    assert 'mmdet' in sentence


def test_unregistered_type_far_from_all_points_to_custom_imports():
    sentence = explain(_caught(MODELS.build, dict(type='Qwxyz')))
    assert 'custom_imports' in sentence and 'mmdet3d::model' in sentence


def test_own_errors_are_sentences_and_bugs_are_not():
    own = _caught(read_checkpoint, '/nonexistent.pth')
    assert explain(own).startswith('checkpoint /nonexistent.pth is missing')
    assert explain(_caught(int, 'x')) is None
    # a lookup that fails inside our code is a bug of ours, not a sentence
    broken = [dict(instances=[dict(bbox_label_3d=0)])]
    assert explain(_caught(check_boxes, broken, None, 'a.pkl')) is None
    assert explain(AssertionError('internal')) is None


def test_system_errors_name_the_file():
    full = OSError(errno.ENOSPC, 'No space left on device', 'work/log.json')
    assert 'work/log.json cannot be written' in explain(full)
    nameless = OSError(errno.ENOSPC, 'No space left on device')
    assert 'cannot be written' in explain(nameless)
    missing = FileNotFoundError(errno.ENOENT, 'No such file', 'a.py')
    assert explain(missing) == 'a.py is missing'


class _Bad:
    """Data set whose samples cannot be read."""

    def __init__(self, own):
        self.own = own

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return read_checkpoint('/nonexistent.pth') if self.own else int('x')


def test_errors_of_loading_workers_are_unwrapped():
    read = [
        _caught(next, iter(DataLoader(_Bad(own), num_workers=1)))
        for own in (True, False)
    ]
    assert explain(read[0]).startswith('checkpoint /nonexistent.pth is')
    assert explain(read[1]) is None


@pytest.mark.parametrize('registry, settings, hints', [
    (OPTIMIZERS, dict(type='AdamW', learning_rate=0.1), ['AdamW', 'lr']),
    (MODELS, dict(type='KNNTokenizer', num_token=8), ['num_tokens']),
    (HOOKS, dict(type='SafeCheckpointHook', intervall=1), ['interval']),
    (MODELS, dict(type='VoteNet', backbone=dict(type='PointNet2SASSG')),
     ['PointNet2SASSG', 'in_channels']),
    (TRANSFORMS, dict(type='PointSample', num_points='a',
                      sample_range='b'), ['PointSample']),
])
def test_settings_that_a_component_does_not_take_are_named(
        registry, settings, hints):
    """Also of a component inside another."""
    if 'sample_range' in settings:
        settings['unknown'] = 1
    if registry is OPTIMIZERS:
        settings['params'] = [torch.nn.Parameter(torch.zeros(1))]
    sentence = explain(_caught(registry.build, settings))
    assert all(hint in sentence for hint in hints), sentence
