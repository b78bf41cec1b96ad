"""Stop training on NaN or Inf."""
from typing import Any, Dict, List, Optional

import torch
from mmdet3d.registry import HOOKS
from mmengine.dist import all_gather_object, all_reduce, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from ...models.target_generators.region_feature_targets import name_frame
from ...store.errors import UserError
from ..checkpoint import find_newest_checkpoint


@HOOKS.register_module()
class StopOnInvalidLossHook(Hook):
    """Stop when the loss or a weight to be saved is NaN or infinite.

    The loss is looked at in every step, before any hook saves, so that the
    newest checkpoint stays a good one and the error names the very frames.
    All processes stop together. A step can spoil the weights with a finite
    loss; they are looked at when they are saved, before the file is written.
    """

    priority = 'VERY_HIGH'

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Any = None,
                         outputs: Optional[Dict[str, Tensor]] = None) -> None:
        """Refuse a loss that is not finite in any process.

        Raises ValueError when the loss of a process is not finite.
        """
        assert outputs is not None
        is_bad = ~torch.isfinite(outputs['loss'].detach()).all()
        is_bad_anywhere = is_bad.to(torch.uint8)
        all_reduce(is_bad_anywhere, 'max')
        if not is_bad_anywhere:
            return
        mine = _name_frames(data_batch) if is_bad else []
        frames = [
            f for of_process in all_gather_object(mine) for f in of_process
        ]
        losses = ', '.join(f'{name} {value.item():g}'
                           for name, value in outputs.items())
        where = ' in this process' if get_world_size() > 1 else ''
        raise UserError(
            f'the loss is not finite at step {runner.iter + 1} ({losses}'
            f'{where}); frames of the batch: '
            f'{", ".join(frames) or "without names"}; '
            f'{_describe_newest(runner.work_dir)}; look at the frames with '
            'tools/preparation/verify.py, or lower the learning rate')

    def before_save_checkpoint(self, runner: Runner,
                               checkpoint: Dict[str, Any]) -> None:
        """Refuse to save a tensor that is not finite.

        Raises ValueError when a tensor of the model is not finite.
        """
        for name, tensor in checkpoint['state_dict'].items():
            if not torch.isfinite(tensor).all():
                step = checkpoint['meta']['iter']
                raise UserError(
                    f'{name} is not finite at step {step}, so no checkpoint '
                    f'is written; {_describe_newest(runner.work_dir)}; lower '
                    'the learning rate or set clip_grad in optim_wrapper')


def _name_frames(data_batch: Any) -> List[str]:
    """The frames of a batch; none when it has no data samples."""
    samples = data_batch.get('data_samples') if isinstance(data_batch,
                                                           dict) else None
    return [name_frame(sample) for sample in samples or []]


def _describe_newest(work_dir: str) -> str:
    """Say what the run can be continued from."""
    newest = find_newest_checkpoint(work_dir)
    if newest is None:
        return 'there is no checkpoint yet'
    return f'the last complete checkpoint is {newest} (--resume)'
