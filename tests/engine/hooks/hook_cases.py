"""A run of hooks that lasts milliseconds."""
import itertools

from mmdet3d.registry import DATASETS
from torch.utils.data import Dataset

from sam3d_plugin.engine import PointRunner
from tests.models.pretraining_cases import STAGE1, make_frame

_names = itertools.count()


@DATASETS.register_module()
class HookFrames(Dataset):
    """Four frames; a region feature of ``bad_frame`` is infinite.

    The loss of that frame is not finite, without being refused as a target.
    """

    def __init__(self, bad_frame=None, metainfo={}):
        self.bad_frame = bad_frame
        self.metainfo = metainfo

    def __len__(self):
        return 4

    def __getitem__(self, index):
        points, sample = make_frame(num_points=120, seed=int(index))
        if index == self.bad_frame:
            # finite, but not its square
            sample.regions.features[:] = 3e38
        return dict(inputs=dict(points=points), data_samples=sample)


def build_run(work_dir, hook, model=STAGE1, dataset={}, **changes):
    """Runner of a pre-training with one hook."""
    cfg = dict(
        model=model,
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=2,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(type='HookFrames', **dataset)),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        optim_wrapper=dict(
            type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3)),
        custom_hooks=[hook],
        default_scope='mmdet3d',
        experiment_name=f'hook{next(_names)}',
        randomness=dict(seed=0))
    cfg.update(changes)
    return PointRunner.from_cfg(cfg)
