"""Tests of tools/test.py on a small stock VoteNet."""
import pytest
import torch
from mmdet3d.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from sam3d_plugin.store.checkpoint import read_checkpoint


def test_evaluates_what_was_trained_and_nothing_less(run, capsys, tmp_path):
    assert run('train') == 0
    capsys.readouterr()
    file = tmp_path / 'work_dirs/votenet/epoch_1.pth'
    assert run('test', str(file)) == 0
    shown = capsys.readouterr().out
    assert f'weights: loaded from {file}' in shown
    assert 'AP_0.25' in shown and 'test 2 scenes' in shown
    state = read_checkpoint(file)['state_dict']
    name = next(iter(state))
    torch.save({k: v for k, v in state.items() if k != name}, file)
    # A training may start without a tensor; an evaluation may not.
    run.options = ['allow_missing=["*"]']
    assert run('test', str(file)) == 2
    assert f'epoch_1.pth lacks {name}' in capsys.readouterr().err


def test_missing_checkpoint_is_one_sentence(run, capsys):
    assert run('test', 'none.pth') == 2
    assert 'checkpoint none.pth is missing' in capsys.readouterr().err


def test_checkpoint_of_the_other_detector_is_one_sentence(
        run, capsys, tmp_path):
    settings = "model = dict(type='GroupFree3DNet')\n"
    torch.save(
        dict(state_dict=dict(x=torch.ones(1)), meta=dict(cfg=settings)),
        tmp_path / 'other.pth')
    assert run('test', 'other.pth') == 2
    assert ('other.pth holds a model with GroupFree3DNet, and the config '
            'describes one with VoteNet') in capsys.readouterr().err


def _weights(folder):
    """Weights of the small VoteNet, as initialised."""
    cfg = Config.fromfile(folder / 'votenet.py')
    init_default_scope('mmdet3d')
    return MODELS.build(cfg.model).state_dict()


@pytest.mark.parametrize('wrap', [
    lambda s: dict(state_dict={
        f'_orig_mod.{k}': v
        for k, v in s.items()
    }),
    lambda s: dict(model={
        f'module.module.{k}': v
        for k, v in s.items()
    }),
    lambda s: dict(state_dict={
        'loss.weight': torch.ones(2),
        **{
            f'net.{k}': v
            for k, v in s.items()
        }
    }),
])
def test_checkpoints_of_other_programs_are_evaluated(run, capsys, tmp_path,
                                                     wrap):
    """Saved by torch.compile, DataParallel and Lightning."""
    torch.save(wrap(_weights(tmp_path)), tmp_path / 'other.pth')
    assert run('test', 'other.pth') == 0
    shown = capsys.readouterr().out
    assert 'weights: loaded from other.pth' in shown and 'AP_0.25' in shown


def test_weights_that_are_not_finite_are_not_evaluated(run, capsys, tmp_path):
    state = _weights(tmp_path)
    next(iter(state.values())).fill_(float('nan'))
    torch.save(state, tmp_path / 'nan.pth')
    assert run('test', 'nan.pth') == 2
    assert 'NaN' in capsys.readouterr().err
