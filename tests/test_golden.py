"""Twenty losses of every mini config, compared with those in the tree.

Where a change of the code must not change any number, this file shows it.
After a change that must, write the losses again and say why in the commit:
``pytest tests/test_golden.py --write-golden``.
"""
import argparse
import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet3d.registry import MODELS, RUNNERS

from sam3d_plugin.datasets.preflight import find_leaf_datasets
from sam3d_plugin.datasets.transforms.base import all_steps
from sam3d_plugin.engine.options import load_config
from sam3d_plugin.experiments.methods import pipeline_of, read_methods
from tests.conftest import write_sunrgbd
from tests.datasets.frame_store import write_data_set
from tests.evaluation.labelled_store import write_labels
from tests.segmentation_stores import write_s3dis, write_scannet_seg
from tests.short_runs import forget_runs

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = Path(__file__).with_name('golden_losses.json')
CONFIGS = {
    path.stem: path
    for pattern in ('configs/sam3d/*_mini*.py',
                    'projects/*/configs/*_mini*.py')
    for path in sorted(ROOT.glob(pattern))
}
STEPS = 20
# Another machine sums in another order, and AdamW, whose first steps are as
# long for small gradients as for large ones, multiplies the difference. With
# all vector instructions switched off, the first losses differed by up to
# 5e-6, the others by up to 3e-3 (3DETR), most by less than 1e-4.
FIRST, LATER = 1e-4, 1e-2
# Detectors choose votes, queries and matches, autoencoders codes. At the rate
# of their configs, one other choice doubles VoteNet's loss within 15 steps. At
# the coarsest level of a small scene, norms of voxels divide by the spread of
# two or three, as do those of DPCo's depth images.
SMALL_RATE = .01
SENSITIVE = ('vae_mini', 'voxels', 'dpco')  # Parts of names
SMALL_ENCODER = dict(embed_dims=64)
SMALL_UNET = dict(
    stem_channels=8,
    encoder_channels=(8, 8, 8, 8),
    decoder_channels=(8, 8, 8, 8))


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    folder = tmp_path_factory.mktemp('golden')
    write_scannet_seg(folder / 'scannet')
    write_sunrgbd(folder / 'sunrgbd')
    write_s3dis(folder / 's3dis')
    write_data_set(folder / 'frames')
    write_labels(folder / 'frames')
    write_scannet_seg(folder / 'frames')
    return folder


def is_pretraining(name):
    return not name.startswith(
        ('groupfree3d', 'votenet', 'three_detr', 'vdetr', 'segmentor'))


def load(name, roots, work_dir):
    """A mini config on the data of the tests, made small."""
    kinds = ['frames'] if is_pretraining(name) else [
        kind for kind in ('sunrgbd', 's3dis', 'scannet')
        if kind in name.replace('synthrooms', 'scannet')
    ]
    cfg = load_config(
        argparse.Namespace(
            config=str(CONFIGS[name]),
            cfg_options=dict(data_root=str(roots / kinds[0])),
            launcher='none',
            work_dir=str(work_dir),
            local_rank=0))
    if is_pretraining(name):
        cfg.train_dataloader.dataset.ann_file = ''
    shrink_data(cfg.train_dataloader.dataset)
    shrink_model(cfg.model)
    if 'bbox_head' in cfg.model or any(part in name for part in SENSITIVE):
        cfg.optim_wrapper.optimizer.lr *= SMALL_RATE
    cfg.train_cfg.max_iters = STEPS
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.default_hooks.checkpoint.update(interval=-1, save_last=False)
    cfg.visualizer.vis_backends = []
    cfg.experiment_name = str(work_dir)
    if 'teacher' in cfg:
        write_teacher(name, cfg, roots, work_dir)
    return cfg


def shrink_data(dataset):
    """Few points of all frames that there are."""
    for leaf in find_leaf_datasets(dataset):
        if leaf.type == 'RGBDFrameDataset':
            leaf.ann_file = ''
    for step in all_steps(pipeline_of(dict(dataset=dataset))):
        if 'num_points' in step and step.type != 'KeepPointLabels':
            step.num_points = 300
        if 'min_pairs' in step:
            step.min_pairs = 8
        if step.type == 'DepthViews':
            step.size = 64
        if 'num_views' in step:
            step.num_views = 2


def shrink_model(model):
    """Fewer and narrower parts; their kinds and settings stay."""
    backbone = model.get('backbone', model)
    shrink_backbone(backbone)
    if 'voxel_backbone' in model:
        model.voxel_backbone.unet.update(SMALL_UNET)
        model.voxel_backbone.out_channels = SMALL_ENCODER['embed_dims']
    if 'decoder' in model and model.decoder is None:
        model.head.update(in_channels=8, out_channels=3)
    elif 'decoder' in model:
        shrink_part(model.decoder)
        model.head.update(
            dict(
                RegionDistillHead=dict(in_channels=64, out_channels=3),
                NeighborhoodHead=dict(in_channels=64, num_neighbors=8),
                OccupancyHead=dict(in_channels=64),
                FoldingHead=dict(in_channels=64,
                                 num_neighbors=8)).get(model.head.type, {}))
    if 'joint_encoder' in model:
        shrink_part(model.image_encoder)
        shrink_part(model.joint_encoder)
        model.decoder.update(in_channels=64, num_heads=4)
        model.image_head.update(in_channels=64)
        model.feature_head.update(in_channels=64, num_points=8)
    teacher = model.get('target_generator', {}).get('modules', {})
    for part in (model.get('codebook', {}), *teacher.values()):
        shrink_part(part)
    if model.get('head', {}).get('proj_channels'):
        model.head.proj_channels = 64
    if model.get('projector'):
        model.projector.update(in_channels=64)
        if 'unet' in backbone:
            backbone.out_channels = 64
    if 'temporal' in model:
        model.num_views = 2
        shrink_part(model.temporal)
    if 'depth_network' in model:
        model.depth_network.update(widths=(8, 8, 16, 16))
    if 'head' in model and 'decoder' not in model:
        model.head.update(in_channels=64)
    if model.get('head', {}).get('type') == 'ClassAgreementHead':
        model.head.out_channels = 3
    if 'image_channels' in model:
        model.image_channels = 3
    for name in ('region_image', 'scene_image'):
        if model.get(name):
            model[name].update(in_channels=64, out_channels=3)
    if model.get('region_head'):
        model.region_head.update(in_channels=64, out_channels=3)
    if model.get('global_head'):
        model.global_head.update(in_channels=64, out_channels=64)
    shrink_task_head(model)


def shrink_backbone(backbone):
    """Fewer tokens of fewer points, and narrower layers."""
    if backbone.get('type') == 'PViTBackbone':
        backbone.embedding.ratio = 2  # its mini size is small
    elif 'unet' in backbone:
        backbone.unet.update(SMALL_UNET)
        if 'num_seeds' in backbone:
            backbone.num_seeds = 48
    elif 'tokenizer' in backbone:
        backbone.tokenizer.num_tokens = 48
        if 'embedding' in backbone:
            backbone.embedding.update(SMALL_ENCODER, hidden_dims=(16, 32, 64))
            shrink_part(backbone.encoder)
    else:
        backbone.backbone.update(
            num_points=(128, 64, 32, 32), num_samples=(8, 8, 8, 8))
    if backbone.get('tokenizer', {}).get('type') == 'KNNTokenizer':
        backbone.tokenizer.num_neighbors = 8


def shrink_task_head(model):
    """The same of the head of a detector or segmentor."""
    head = model.get('bbox_head', {})
    kind = model.get('decode_head', {}).get('type')
    if kind == 'PointSegHead':
        model.decode_head.update(in_channels=8)
    elif kind == 'PointTokenSegHead':
        model.decode_head.update(in_channels=64, hidden_channels=(32, 32))
    if 'num_proposal' in head:
        head.update(num_proposal=32, num_decoder_layers=2)
    if 'vote_aggregation_cfg' in head:
        head.vote_aggregation_cfg.num_point = 32
    if 'num_queries' in head:
        head.num_queries = 32
        head.decoder.num_layers = 2


def shrink_part(part):
    """An encoder or decoder, or a part of a teacher."""
    if 'image' in part:
        part.image.update(SMALL_ENCODER)
        part.image.transformer.update(embed_dims=64, depth=2, num_heads=4)
        part = part.graph
    part.get('transformer', part).update(SMALL_ENCODER)
    for key in ('num_codes', 'out_channels'):
        if key in part:
            part[key] = 64


def stage_before(name):
    """The mini config of the stage that another one predicts."""
    for method in read_methods().values():
        names = {s.name: Path(s.configs['mini']).stem for s in method.stages}
        for stage in method.stages:
            if stage.teacher and names[stage.name] == name:
                return names[stage.teacher]
    return 'stage1_synthrooms_mini'


def write_teacher(name, cfg, roots, work_dir):
    """The checkpoint of the stage before, before its first step."""
    model = load(stage_before(name), roots, work_dir).model
    torch.manual_seed(0)
    teacher = MODELS.build(model)
    teacher.init_weights()
    work_dir.mkdir(exist_ok=True)
    cfg.model.target_generator.checkpoint = str(work_dir / 'teacher.pth')
    torch.save(
        dict(state_dict=teacher.state_dict()),
        cfg.model.target_generator.checkpoint)


def losses_of(name, roots, work_dir):
    """The loss of each step."""
    cfg = load(name, roots, work_dir)
    forget_runs()
    with contextlib.redirect_stdout(io.StringIO()):
        runner = RUNNERS.build(cfg)
        runner.train()
    history, _ = runner.message_hub.get_scalar('train/loss').data
    return history.tolist()


@pytest.fixture(scope='module')
def golden(request):
    """Losses by config; what the tests put in is written with the option."""
    losses = json.loads(GOLDEN.read_text()) if GOLDEN.is_file() else {}
    yield losses
    if request.config.getoption('--write-golden'):
        lines = (f'"{name}": {json.dumps(losses[name])}'
                 for name in sorted(set(CONFIGS) & set(losses)))
        GOLDEN.write_text('{\n' + ',\n'.join(lines) + '\n}\n')


@pytest.mark.parametrize('name', CONFIGS)
def test_losses_are_those_in_the_tree(name, roots, golden, tmp_path, request):
    losses = losses_of(name, roots, tmp_path)
    if request.config.getoption('--write-golden'):
        golden[name] = [float(f'{loss:.9g}') for loss in losses]
    assert len(losses) == STEPS
    # A loss may be 0 but for rounding: a queue is empty in the first step.
    np.testing.assert_allclose(
        losses[0], golden[name][0], rtol=FIRST, atol=1e-5)
    np.testing.assert_allclose(losses, golden[name], rtol=LATER, atol=1e-5)


@pytest.mark.parametrize('name', [
    'stage2_scannet_mini', 'groupfree3d_sunrgbd_mini', 'segmentor_s3dis_mini'
])
def test_a_second_run_is_bitwise_the_first(name, roots, tmp_path):
    runs = [losses_of(name, roots, tmp_path / part) for part in ('a', 'b')]
    assert runs[0] == runs[1]


def test_configs_that_are_gone_have_no_losses(golden):
    assert set(golden) == set(CONFIGS)
