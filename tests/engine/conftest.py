"""A model and a data set that train in milliseconds."""
import itertools

import pytest
import torch
from mmdet3d.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.model import BaseModel
from torch import nn
from torch.utils.data import Dataset

import sam3d_plugin.engine  # noqa: F401  registers the runner
from sam3d_plugin.engine import PointRunner

_names = itertools.count()


@DATASETS.register_module()
class ToyDataset(Dataset):
    """Four samples of two numbers."""

    metainfo = dict(classes=('chair', ))

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return dict(x=torch.tensor([1., float(index)]))


@MODELS.register_module()
class ToyModel(BaseModel):
    """One linear layer as backbone and one as head."""

    def __init__(self, width=3, norm='BatchNorm1d', **kwargs):
        super().__init__(**kwargs)
        self.backbone = nn.Linear(2, width)
        self.norm = getattr(nn, norm)(width)
        self.head = nn.Linear(width, 1)

    def forward(self, x, mode='loss'):
        features = self.backbone(torch.stack(list(x)))
        self.dtype_seen = features.dtype
        return dict(loss=self.head(self.norm(features)).square().mean())


@pytest.fixture
def toy_config(tmp_path):
    """Function that makes the config of a toy run."""

    def make(**changes):
        cfg = dict(
            model=dict(type='ToyModel'),
            work_dir=str(tmp_path / 'work'),
            train_dataloader=dict(
                batch_size=2,
                num_workers=0,
                sampler=dict(type='DefaultSampler', shuffle=True),
                dataset=dict(type='ToyDataset')),
            train_cfg=dict(by_epoch=True, max_epochs=2),
            optim_wrapper=dict(
                type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.01)),
            default_scope='mmdet3d',
            # Loggers are shared by name within a process.
            experiment_name=f'toy{next(_names)}',
            randomness=dict(seed=0))
        cfg.update(changes)
        return Config(cfg)

    return make


@pytest.fixture
def build(toy_config):
    """Function that builds a toy run's runner."""
    return lambda **changes: PointRunner.from_cfg(toy_config(**changes))
