"""Summary of a run in its log."""
from typing import Any, List

import torch
from mmdet3d.registry import HOOKS
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from ...datasets.rgbd_frame_dataset import RGBDFrameDataset
from ...models.pretrainers import BasePretrainer
from .feature_view import unwrapped


@HOOKS.register_module()
class RunSummaryHook(Hook):
    """Log device, data, model and weights before the first step.

    After every epoch, log how many samples were unusable, in all workers and
    processes: without depth, or with too few pairs of points.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Log the summary of a training."""
        loaders = {'train': runner.train_dataloader}
        if runner.val_loop is not None:
            loaders['val'] = runner.val_dataloader
        self._log(runner, loaders)

    def before_test(self, runner: Runner) -> None:
        """Log the summary of an evaluation."""
        self._log(runner, {'test': runner.test_dataloader})

    def after_train_epoch(self, runner: Runner) -> None:
        """Log the number of samples that others replaced."""
        dataset: Any = runner.train_dataloader.dataset
        if not hasattr(dataset, 'num_replaced'):
            return
        total = torch.tensor(dataset.num_replaced)
        all_reduce(total)
        if total:
            runner.logger.warning(
                f'{total:,} unusable samples were replaced by others so far; '
                'the lines above name them')

    def _log(self, runner: Runner, loaders: dict) -> None:
        sizes = ' · '.join(
            f'{name} {len(loader.dataset)} {_unit(loader.dataset)}'
            for name, loader in loaders.items())
        for line in (f'{describe_device(runner.world_size)} · {sizes} · '
                     f'work dir {runner.work_dir}',
                     *describe_model(runner.model),
                     f'weights: {describe_weights(runner)}'):
            runner.logger.info(line)


def describe_device(world_size: int) -> str:
    """Device and processes, such as ``'device: cpu, 2 threads'``."""
    if torch.cuda.is_available():
        text = f'device: {torch.cuda.get_device_name()}'
    else:
        text = f'device: cpu, {torch.get_num_threads()} threads'
    return text if world_size == 1 else f'{text} × {world_size} processes'


def describe_model(model: Any) -> List[str]:
    """Lines on the model and its encoder.

    The model's class and size; then what its backbone says of itself
    (``backbone.summary()``), or its class, size and pre-trained weights; of a
    pre-trainer its tokens and targets.
    """
    model = unwrapped(model)
    lines = [f'model: {type(model).__name__}, {_size(model)}']
    if isinstance(model, BasePretrainer):
        return [*lines, describe_pretrainer(model)]
    backbone = getattr(model, 'backbone', None)
    if backbone is None:
        return lines
    if hasattr(backbone, 'summary'):
        return lines + [backbone.summary()]
    line = f'backbone: {type(backbone).__name__}, {_size(backbone)}'
    report = getattr(backbone, 'load_report', None)
    if report is not None:
        line += f' · encoder: pretrained {report.source}, {report.summary()}'
    return lines + [line]


def describe_pretrainer(model: BasePretrainer) -> str:
    """Say in a line what a pre-training method sees and predicts."""
    line = model.backbone.summary() if hasattr(model.backbone, 'summary') \
        else f'backbone: {type(model.backbone).__name__}'
    if hasattr(model, 'mask_ratio'):
        line += f' · masked: {model.mask_ratio:g}'
    targets = getattr(model, 'target_generator', None)
    if targets is not None:
        line += f' · targets: {type(targets).__name__}'
    report = getattr(targets, 'load_report', None)
    if report is not None:
        line += f' · teacher: {report.source}, {report.summary()}'
    for name, value in model.checkpoint_meta.items():
        line += f' · {name.replace("_", " ")}: {value}'
    return line


def _unit(dataset: Any) -> str:
    """What a dataset is counted in."""
    return 'frames' if isinstance(dataset, RGBDFrameDataset) else 'scenes'


def _size(module: nn.Module) -> str:
    """Number of parameters in words."""
    return f'{sum(p.numel() for p in module.parameters()):,} parameters'


def describe_weights(runner: Runner) -> str:
    """Where weights come from: the loaded file, or :func:`describe_start`."""
    report = getattr(runner, 'load_report', None)
    if report is None:
        return describe_start(runner.model)
    verb = 'loaded from'
    if runner._resume:
        verb = f'resumed at step {runner.iter} from'
    return f'{verb} {report.source}, {report.summary()}'


def describe_start(model: Any) -> str:
    """Where weights come from when no checkpoint of a run was loaded.

    Which parts ``init_cfg`` or a teacher gave, and that the rest is fresh.
    """
    model = unwrapped(model)
    parts = []
    for name, module in model.named_modules():
        report = getattr(module, 'load_report', None)
        if report is None:
            continue
        if name != 'target_generator':
            name = 'encoder' if name == 'backbone' else name or 'model'
            parts.append(f'{name} from {report.source}, {report.summary()}')
        elif getattr(model, 'parts_of_teacher', ''):
            parts.append(f'{model.parts_of_teacher} from {report.source}')
    return ', '.join([*parts, 'the rest fresh']) if parts \
        else 'from initialization'
