"""A loader that training waits for is named, a fast one is not."""
import logging
from types import SimpleNamespace

import pytest
from mmengine.logging import MessageHub

from sam3d_plugin.engine.hooks import DataWaitHook


def make_run(waiting, steps=10):
    """A run after some steps of a second; the first one waited for long."""
    hub = MessageHub(f'data_wait_{waiting}')
    for i in range(steps):
        hub.update_scalar('train/data_time', .9 if i == 0 else waiting)
        hub.update_scalar('train/time', 1.)
    return SimpleNamespace(
        iter=steps - 1,
        message_hub=hub,
        logger=logging.getLogger('data_wait'),
        train_dataloader=SimpleNamespace(num_workers=3))


@pytest.mark.parametrize('waiting, interval, is_named', [
    (.3, 5, True),
    (.1, 5, False),
    (.3, 4, False),
])
def test_slow_loader_is_named(caplog, waiting, interval, is_named):
    """Only every few steps, from the mean of the last ones."""
    hook = DataWaitHook(interval=interval, max_share=.2)
    hook.after_train_iter(make_run(waiting), 0)
    assert len(caplog.records) == is_named
    if is_named:
        assert 'waits for data: 300 of 1000 ms' in caplog.text
        assert 'num_workers (3)' in caplog.text
