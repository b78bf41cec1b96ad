"""Saving survives the failure of any file operation on checkpoints."""
import errno
import shutil
from pathlib import Path

import pytest
import torch

from sam3d_plugin.cli.errors import explain
from sam3d_plugin.engine.checkpoint import find_newest_checkpoint
from sam3d_plugin.store.checkpoint import CheckpointError
from tests.file_faults import Faults, failing

KEEPS_ONE = dict(
    checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=1))


@pytest.fixture
def train(build, tmp_path):
    """Trains up to an epoch from the newest checkpoint on."""

    def train(work_dir, epochs, faults=None):
        runner = build(
            work_dir=str(work_dir),
            resume=True,
            default_hooks=KEEPS_ONE,
            train_cfg=dict(by_epoch=True, max_epochs=epochs))
        if faults is None:
            runner.train()
            return runner.model.state_dict()
        with failing(faults):
            try:
                runner.train()
            except (OSError, CheckpointError) as error:
                return error
        return None

    return train


@pytest.mark.parametrize('is_persistent', [False, True])
def test_a_failed_operation_loses_no_checkpoint(train, tmp_path,
                                                is_persistent):
    train(tmp_path / 'begun', 1)
    expected = train(tmp_path / 'whole', 3)
    work_dir, first = tmp_path / 'work', 1
    while True:
        shutil.rmtree(work_dir, ignore_errors=True)
        shutil.copytree(tmp_path / 'begun', work_dir)
        faults = Faults(work_dir, first, is_persistent,
                        ('.pth', 'last_checkpoint'), errno.ENOSPC)
        error = train(work_dir, 2, faults)
        if faults.count < first:
            break
        # Removing the temporary file may fail without harm.
        assert error is None or 'written' in explain(error), error
        newest = find_newest_checkpoint(work_dir)
        assert newest is not None, first
        found = train(work_dir, 3)
        for name, value in expected.items():
            assert torch.equal(found[name], value), (first, name)
        names = {path.name for path in work_dir.iterdir() if path.is_file()}
        assert 'epoch_3.pth' in names and 'epoch_2.pth' not in names
        assert not [name for name in names if name.endswith('.tmp')]
        first += 1
    assert first > 8
    assert Path(find_newest_checkpoint(work_dir)).name == 'epoch_2.pth'
