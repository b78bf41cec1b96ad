"""Runs that are counted in steps."""
import re
from pathlib import Path

from sam3d_plugin.store.checkpoint import read_checkpoint


def logged_steps(runner):
    log = next(Path(runner.log_dir).glob('*.log')).read_text()
    return [int(step) for step in re.findall(r'Iter\(train\) +\[(\d+)/', log)]


def test_steps_are_logged_across_epochs(build):
    """Two steps an epoch, a log every third."""
    runner = build(
        train_cfg=dict(type='ResumableTrainLoop', max_iters=7),
        default_hooks=dict(
            logger=dict(type='LoggerHook', interval=3),
            checkpoint=dict(type='CheckpointHook', by_epoch=False,
                            interval=7)),
        log_processor=dict(by_epoch=False, window_size=3))
    runner.train()
    # mmengine also logs the end of a first epoch that is shorter.
    assert logged_steps(runner) == [2, 3, 6]
    saved = read_checkpoint(Path(runner.work_dir, 'iter_7.pth'))
    assert (saved['meta']['iter'], saved['meta']['epoch']) == (7, 3)
