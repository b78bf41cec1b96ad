"""The loss must balance the groups that the data set has."""
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sam3d_plugin.engine.hooks.group_weights_check_hook import (compare_groups,
                                                                group_stores)
from sam3d_plugin.models import GroupBalancedDistillLoss
from sam3d_plugin.store.region_groups import (GROUPS_FILE, Groups,
                                              balanced_weights, encode_groups)
from tests.models.pretraining_cases import STAGE1
from .hook_cases import HookFrames, build_run

HOOK = dict(type='GroupWeightsCheckHook')
COUNTS = [5, 0, 9, 2]


def write_groups(folder, counts=COUNTS):
    folder.mkdir(exist_ok=True)
    counts = np.asarray(counts)
    (folder / GROUPS_FILE).write_bytes(
        encode_groups(
            Groups(
                np.zeros((len(counts), 3), np.float32), counts,
                balanced_weights(counts))))
    return str(folder)


def model_of(counts):
    loss = dict(type='GroupBalancedDistillLoss', counts=counts)
    return dict(STAGE1, head=dict(STAGE1['head'], loss=loss))


def test_equal_groups_pass_and_are_logged(tmp_path, capsys):
    root = write_groups(tmp_path / 'groups')
    build_run(tmp_path / 'work', HOOK, model_of(COUNTS),
              dict(region_groups=root)).train()
    shown = capsys.readouterr().out
    assert f'4 groups of {root}, 1 empty, paper, from ' in shown


@pytest.mark.parametrize('counts, message', [
    ([5, 0, 9, 2, 1], 'loss has 5 groups, .* has 4'),
    ([5, 0, 8, 2], 'group 2 has 8 regions in the loss and 9 in'),
])
def test_other_groups_are_refused_before_training(tmp_path, counts, message):
    root = write_groups(tmp_path / 'groups')
    run = build_run(tmp_path / 'work', HOOK, model_of(counts),
                    dict(region_groups=root))
    with pytest.raises(ValueError, match=message):
        run.train()
    assert run.iter == 0


def test_resuming_with_groups_made_anew_is_refused(tmp_path):
    """The checkpoint's counts replace those of the config."""
    root = write_groups(tmp_path / 'groups')
    options = (tmp_path / 'work', HOOK, model_of(COUNTS),
               dict(region_groups=root))
    build_run(*options, train_cfg=dict(by_epoch=True, max_epochs=1)).train()
    changed = [5, 1, 8, 2]
    write_groups(tmp_path / 'groups', changed)
    again = build_run(
        options[0], HOOK, model_of(changed), options[3], resume=True)
    with pytest.raises(ValueError, match='group 1 has 0 regions in the loss'):
        again.train()


def test_dataset_without_groups_is_refused(tmp_path):
    with pytest.raises(ValueError, match='set region_groups'):
        build_run(tmp_path, HOOK, model_of(COUNTS)).train()


def test_wrapped_datasets_are_all_looked_at():
    parts = [HookFrames(region_groups=name) for name in ('a', 'b')]
    concatenated = SimpleNamespace(datasets=parts)
    repeated = SimpleNamespace(dataset=concatenated)
    assert list(group_stores(repeated)) == [('a', None), ('b', None)]


def test_a_loss_that_balances_nothing_passes(tmp_path):
    run = build_run(tmp_path, HOOK)
    run.train()
    assert run.iter == 4


@pytest.mark.parametrize('normalize', ['paper', 'mean_one'])
def test_weights_must_follow_from_counts(normalize):
    loss = GroupBalancedDistillLoss(counts=COUNTS, normalize=normalize)
    assert normalize in compare_groups(loss, np.array(COUNTS), 'store')
    with torch.no_grad():
        loss.weights[0] *= 1.01
    with pytest.raises(ValueError, match='do not follow'):
        compare_groups(loss, np.array(COUNTS), 'store')
