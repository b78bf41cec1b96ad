"""Every method of a metafile trains, resumes, exports and is loaded.

Several processes train as one, gradients reach what learns and nothing else,
padding and the order of points change nothing. A rotation does: encoders see
xyz.
"""
import argparse
import copy
import importlib
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmcv.cnn.bricks import DropPath
from mmdet3d.registry import DATASETS, MODELS, RUNNERS
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import distributed as dist
from torch import nn

from sam3d_plugin.datasets.frame_batch import collate_frames
from sam3d_plugin.engine.export import export_backbone
from sam3d_plugin.engine.options import load_config
from sam3d_plugin.engine.runner import hand_over_metainfo
from sam3d_plugin.experiments.methods import (clouds_per_frame, pipeline_of,
                                              stage_configs)
from sam3d_plugin.store.checkpoint import read_checkpoint
from sam3d_plugin.store.errors import UserError
from tests import processes
from tests.datasets.frame_store import write_data_set
from tests.evaluation.labelled_store import write_labels
from tests.segmentation_stores import write_s3dis, write_scannet_seg
from tests.short_runs import forget_runs, short_start
from tests.test_golden import shrink_data, shrink_model
from .test_folders import METHODS, ROOT, SIZES, STAGES, read

# Methods that compare the frames of a process, and why: two processes of one
# frame are not one of two frames.
PER_PROCESS = dict(
    point_bert='mixes and contrasts the scenes of a batch',
    point_contrast='contrasts the scenes of a process, as published',
    seal='contrasts the segments of a process, as published')
# Stages whose graph network or Chamfer distance needs tokens of equal size.
WITHOUT_PADDING = ('point_mae', 'bridge3d', 'point_bert_dvae', 'point_bert',
                   'act_vae', 'act', 'pimae')


@pytest.fixture(scope='module')
def frames(tmp_path_factory):
    folder = tmp_path_factory.mktemp('frames')
    write_data_set(folder)
    write_labels(folder)
    write_scannet_seg(folder)
    write_s3dis(folder)
    return folder


def load(config, frames, work_dir, steps, teacher=''):
    """A config of a stage, on a few frames and in a few steps."""
    options = dict(data_root=f'{frames}/')
    if teacher:
        options['teacher'] = teacher
    cfg = load_config(
        argparse.Namespace(
            config=str(ROOT / config),
            cfg_options=options,
            launcher='none',
            work_dir=str(work_dir),
            local_rank=0))
    loader = cfg.train_dataloader
    loader.dataset.ann_file = ''
    shrink_data(loader.dataset)
    loader.update(
        batch_size=2 // clouds_per_frame(pipeline_of(loader)),
        num_workers=0,
        persistent_workers=False)
    if 'batch_size' in loader.sampler:
        loader.sampler.batch_size = loader.batch_size
    shrink_model(cfg.model)
    cfg.train_cfg = dict(type='ResumableTrainLoop', max_iters=steps)
    cfg.param_scheduler = []
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=2)
    cfg.default_hooks.logger.interval = 1
    cfg.visualizer.vis_backends = []
    cfg.custom_hooks = [h for h in cfg.custom_hooks if 'Picture' not in h.type]
    return cfg


def train(cfg):
    """Losses and model of a run."""
    forget_runs()
    with short_start():
        runner = RUNNERS.build(cfg)
        runner.train()
    losses = runner.message_hub.get_scalar('train/loss').data[0]
    clouds = runner.model.total_frames * runner.model.views
    assert clouds == 2 * cfg.train_cfg.max_iters
    assert runner.model.progress == 1
    return losses, runner.model


@pytest.mark.parametrize('key, size', SIZES)
def test_method(key, size, frames, tmp_path):
    checkpoints = {}
    for stage in METHODS[key].stages:
        config, folder = stage.configs[size], tmp_path / stage.name
        teacher = checkpoints.get(stage.teacher, '')
        expected, model = train(
            load(config, frames, folder / 'unbroken', 4, teacher))
        # As if stopped there: a schedule depends on the length of the run.
        resumed = load(config, frames, folder / 'parts', 4, teacher)
        resumed.update(
            load_from=str(folder / 'unbroken' / 'iter_2.pth'), resume=True)
        losses, _ = train(resumed)
        assert len(losses) == 4 and np.isfinite(losses).all()
        # A queue is empty in the first step.
        assert min(losses[1:]) > 0
        np.testing.assert_array_equal(losses, expected)
        checkpoint = str(folder / 'unbroken' / 'iter_4.pth')
        checkpoints[stage.name] = checkpoint
        meta = read_checkpoint(checkpoint)['meta']
        assert model.checkpoint_meta.items() <= meta.items()
    check_export(checkpoint, model.state_dict(), resumed.model,
                 tmp_path / 'encoder.pth')


def check_export(checkpoint, weights, model, path):
    """A detector's backbone takes every trained tensor of the encoder."""
    meta = export_backbone(checkpoint, str(path))
    assert meta['method'] == model.type and meta['frames_seen'] == 8
    settings = {
        name: model.backbone[name]
        for name in ('tokenizer', 'embedding', 'encoder')
    }
    backbone = MODELS.build(
        dict(
            settings,
            type='PointTokenBackbone',
            out_channels=8,
            init_cfg=dict(type='Pretrained', checkpoint=str(path))))
    backbone.init_weights()
    state = backbone.state_dict()
    shared = [
        name for name in weights
        if name.startswith(('backbone.embedding.', 'backbone.encoder.'))
    ]
    assert shared
    for name in shared:
        torch.testing.assert_close(
            state[name.removeprefix('backbone.')],
            weights[name].cpu(),
            rtol=0,
            atol=0)


class Case(NamedTuple):
    """What a stage trains, and on what."""
    model: dict
    metainfo: dict
    samples: list


def make_case(config, frames, folder, teacher=''):
    """What a config trains, and four samples."""
    init_default_scope('mmdet3d')
    cfg = load(config, frames, folder, 1, teacher)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    return Case(cfg.model, dataset.metainfo, [dataset[i] for i in range(4)])


@pytest.fixture(scope='module')
def cases(frames, tmp_path_factory):
    """Each stage in its mini size, with two samples for each of two steps."""
    folder, cases = tmp_path_factory.mktemp('cases'), {}
    for stage in (s for method in METHODS.values() for s in method.stages):
        teacher = ''
        if stage.teacher:
            teacher = str(folder / f'{stage.teacher}.pth')
            state = make(cases[stage.teacher]).state_dict()
            torch.save(dict(state_dict=state), teacher)
        cases[stage.name] = make_case(stage.configs['mini'], frames, folder,
                                      teacher)
    torch.save(cases, folder / 'cases.pth')
    cases['folder'] = folder
    return cases


def make(case):
    """The model of a stage before its first step."""
    torch.manual_seed(0)
    model = MODELS.build(copy.deepcopy(case.model))
    model._dump_init_info = lambda: None  # hundreds of lines
    model.init_weights()
    hand_over_metainfo(model, case.metainfo)
    return model.train()


def without_drop(model):
    for module in model.modules():
        if isinstance(module, DropPath):
            module.drop_prob = 0.
        elif isinstance(module, nn.Dropout):
            module.p = 0.
    return model


def exact(case):
    """A model whose frames do not mix, and which drops nothing."""
    model = without_drop(make(case))
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    return model


def batches(case, rank=None):
    """The batches of both steps, or what one of two processes gets of them."""
    places = slice(None) if rank is None else slice(rank, rank + 1)
    return [
        collate_frames(case.samples[i:i + 2][places]) for i in range(0, 4, 2)
    ]


def train_steps(model, steps):
    """Logs of each step and the weights after the last."""
    # A step is linear in the gradient; Adam's would blow rounding up.
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=.05))
    logs = [model.train_step(batch, optimizer) for batch in steps]
    return logs, getattr(model, 'module', model).state_dict()


def train_one_of_two(rank, folder):
    """What a process does."""
    for key in METHODS:
        if key != 'sam3d':
            importlib.import_module(f'projects.{key}')
    dist.init_process_group(
        'gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2)
    cases = torch.load(folder / 'cases.pth', weights_only=False)
    results = {}
    for stage, case in cases.items():
        model = MMDistributedDataParallel(exact(case), device_ids=None)
        results[stage] = train_steps(model, batches(case, rank))
    torch.save(results, folder / f'{rank}.pth')
    dist.destroy_process_group()


@pytest.fixture(scope='module')
def of_two(cases):
    folder = cases['folder']
    processes.run_all(train_one_of_two, [(rank, folder) for rank in range(2)])
    return [torch.load(folder / f'{rank}.pth') for rank in range(2)]


@pytest.mark.parametrize('stage', sorted(set(STAGES) - set(PER_PROCESS)))
def test_two_processes_of_one_frame_are_one_of_two(stage, cases, of_two):
    logs, weights = train_steps(exact(cases[stage]), batches(cases[stage]))
    for step, log in enumerate(logs):
        for name, value in log.items():
            mean = sum(result[stage][0][step][name] for result in of_two) / 2
            torch.testing.assert_close(mean, value, atol=1e-5, rtol=1e-4)
    for result in of_two:
        assert result[stage][1].keys() == weights.keys()
        for name, value in weights.items():
            torch.testing.assert_close(
                result[stage][1][name], value, atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize('stage', STAGES)
def test_gradients_reach_what_learns_and_nothing_else(stage, cases):
    # So that every block takes part in the one step that has a queue.
    model, learned = without_drop(make(cases[stage])), set()
    optimizer = torch.optim.SGD(model.parameters(), lr=.05)
    for batch in batches(cases[stage]):
        optimizer.zero_grad()
        losses = model(**model.data_preprocessor(batch, True), mode='loss')
        model.parse_losses(losses)[0].backward()
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                assert parameter.grad is None, name
            elif parameter.grad is not None:
                assert parameter.grad.isfinite().all(), name
                learned |= {name} if parameter.grad.any() else set()
        optimizer.step()
    expected = {n for n, p in model.named_parameters() if p.requires_grad}
    assert expected == learned
    teacher = getattr(getattr(model, 'target_generator', None), 'teacher', [])
    for parameter in getattr(teacher, 'parameters', list)():
        assert parameter.grad is None and not parameter.requires_grad


@pytest.mark.parametrize('stage', STAGES)
def test_learned_tokens_and_embeddings_do_not_decay(stage, cases):
    """Prototypes do: they are the weights of a layer without a bias."""
    model = make(cases[stage])
    for size in ('mini', 'full'):
        settings = copy.deepcopy(
            read(stage_configs(size)[stage]).optim_wrapper)
        groups = build_optim_wrapper(model, settings).optimizer.param_groups
        decay = {id(p): g['weight_decay'] for g in groups for p in g['params']}
        decaying = {
            name.rpartition('.')[2]
            for name, parameter in model.named_parameters()
            if decay.get(id(parameter))
        }
        assert decaying <= {'weight', 'prototypes'}


class WithPadding(nn.Module):
    """A tokenizer whose frames end with places that hold no token."""

    def __init__(self, tokenizer):
        super().__init__()
        self.tokenizer, self.uses_regions = tokenizer, tokenizer.uses_regions

    def forward(self, *arguments):
        tokens = self.tokenizer(*arguments)
        counts = F.pad(tokens.member_counts, (0, 5)).flatten()
        return replace(
            tokens,
            centers=F.pad(tokens.centers, (0, 0, 0, 5)),
            anchor_indices=F.pad(tokens.anchor_indices, (0, 5)),
            region_ids=F.pad(tokens.region_ids, (0, 5)),
            is_padding=F.pad(tokens.is_padding, (0, 5), value=True),
            member_offsets=F.pad(counts.cumsum(0), (1, 0)))


@pytest.mark.parametrize('stage', STAGES)
def test_padding_changes_no_loss(stage, cases):
    """Or it is refused, where all tokens must hold as many points."""
    case, logs, is_refused = cases[stage], [], False
    for is_padded in (False, True):
        model = without_drop(make(case))
        if is_padded:
            model.backbone.tokenizer = WithPadding(model.backbone.tokenizer)
        inputs = model.data_preprocessor(batches(case)[0], True)
        try:
            logs.append(model(**inputs, mode='loss'))
        except UserError as error:
            assert is_padded and 'equal size' in str(error)
            logs, is_refused = logs * 2, True
    assert is_refused == (stage in WITHOUT_PADDING)
    for name, value in logs[0].items():
        torch.testing.assert_close(logs[1][name], value, atol=1e-6, rtol=1e-5)


def of_its_own(batch):
    """The batch with points that are nowhere at equal distances."""
    batch = copy.deepcopy(batch)
    generator = torch.Generator().manual_seed(0)
    for points in batch['inputs']['points']:
        noise = torch.randn(*points.shape[:-1], 3, generator=generator)
        points[..., :3] += .01 * noise
    return batch


def in_another_order(batch):
    """The same points, of which the first stays: sampling starts there."""
    batch = of_its_own(batch)
    names = ('points', 'pairs', 'tracks', 'cells')
    for i, sample in enumerate(batch['data_samples']):
        points, pairs, tracks, cells = (
            batch['inputs'][name][i] if name in batch['inputs'] else None
            for name in names)
        for view, cloud in enumerate(points.view(-1, *points.shape[-2:])):
            order = F.pad(torch.randperm(len(cloud) - 1) + 1, (1, 0))
            place = order.argsort()
            cloud.copy_(cloud[order])
            if pairs is not None:
                pairs[:, view] = place[pairs[:, view]]
            if tracks is not None:
                tracks[view] = place[tracks[view]]
            if cells is not None:
                cells[view] = cells[view, order]
            if 'gt_pts_seg' in sample:
                labels = sample.gt_pts_seg
                labels.pts_semantic_mask = labels.pts_semantic_mask[order]
    return batch


@pytest.mark.parametrize('stage', STAGES)
def test_the_order_of_points_changes_no_loss(stage, cases):
    case, logs = cases[stage], []
    for change in (of_its_own, in_another_order):
        model = exact(case)
        inputs = model.data_preprocessor(change(batches(case)[0]), True)
        logs.append(model(**inputs, mode='loss'))
    for name, value in logs[0].items():
        torch.testing.assert_close(logs[1][name], value, atol=1e-5, rtol=1e-4)
