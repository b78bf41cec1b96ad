"""A config of a project, trained for some steps on a small data set."""
import argparse

from mmdet3d.registry import RUNNERS

from sam3d_plugin.engine.options import load_config
from tests.short_runs import forget_runs, short_start
from tests.test_golden import shrink_data, shrink_model


def read_small(config, root, work_dir):
    """The config with a small network, two frames a step."""
    cfg = load_config(
        argparse.Namespace(
            config=config,
            cfg_options=dict(data_root=str(root)),
            launcher='none',
            work_dir=str(work_dir),
            local_rank=0))
    cfg.train_dataloader.update(
        batch_size=2, num_workers=0, persistent_workers=False)
    cfg.train_dataloader.dataset.ann_file = ''
    shrink_data(cfg.train_dataloader.dataset)
    shrink_model(cfg.model)
    cfg.param_scheduler = []
    cfg.default_hooks.logger.interval = 1
    cfg.visualizer.vis_backends = []
    return cfg


def train(cfg, steps):
    """Return the runner after its training."""
    cfg.train_cfg = dict(type='ResumableTrainLoop', max_iters=steps)
    forget_runs()
    with short_start():
        runner = RUNNERS.build(cfg)
        runner.train()
    return runner
