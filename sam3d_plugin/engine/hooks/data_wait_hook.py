"""Warning when training waits for its data."""
from typing import Optional

from mmdet3d.registry import HOOKS
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner


@HOOKS.register_module()
class DataWaitHook(Hook):
    """Say so when the loader is what a step waits for.

    It reads ``data_time`` and ``time``, which mmengine's IterTimerHook logs,
    and keeps no state.

    Args:
        interval (int): Steps between looks, and steps that are looked at.
        max_share (float): Warn when waiting takes more than this share of a
            step.
    """

    def __init__(self, interval: int = 200, max_share: float = 0.2) -> None:
        self.interval = interval
        self.max_share = max_share

    @master_only
    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        """Compare the time spent waiting with that of the steps."""
        if not self.every_n_train_iters(runner, self.interval):
            return
        waiting, step = (
            runner.message_hub.get_scalar(f'train/{name}').mean(self.interval)
            for name in ('data_time', 'time'))
        if waiting > self.max_share * step:
            runner.logger.warning(
                f'training waits for data: {waiting * 1000:.0f} of '
                f'{step * 1000:.0f} ms of a step, the mean of the last '
                f'{self.interval} steps; raise train_dataloader.num_workers '
                f'({runner.train_dataloader.num_workers}), put the data on a '
                'faster disk, or see tools/benchmark.py loader')
