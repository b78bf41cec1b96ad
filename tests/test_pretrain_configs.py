"""Every pre-training config of ours builds and trains a few steps."""
import argparse
import contextlib
import io
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet3d.registry import MODELS
from mmengine.config import Config

from sam3d_plugin.cli.training import build_runner, check_teacher
from sam3d_plugin.engine.hooks.run_summary_hook import describe_model
from sam3d_plugin.engine.options import load_config
from sam3d_plugin.store.region_groups import decode_groups, encode_groups
from tests.datasets import frame_store
from tests.short_runs import forget_runs
from tests.test_golden import SMALL_UNET

FOLDER = Path(__file__).resolve().parents[1] / 'configs' / 'sam3d'
CONFIGS = sorted([*FOLDER.glob('stage*.py'), *FOLDER.glob('ablations/*.py')])
STEPS = 2


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return frame_store.write_data_set(tmp_path_factory.mktemp('frames'))


@pytest.fixture(scope='module')
def teacher(tmp_path_factory):
    """Checkpoint of stage 1, before its first step."""
    model = Config.fromfile(FOLDER / 'stage1_scannet.py').model
    model.head.out_channels = 3
    model.head.loss = dict(type='DistillLoss')
    model = MODELS.build(model)
    model.init_weights()
    path = tmp_path_factory.mktemp('stage1') / 'epoch_120.pth'
    torch.save(dict(state_dict=model.state_dict()), path)
    return path


def load(name, work_dir, **options):
    """Read a config as tools/train.py does."""
    return load_config(
        argparse.Namespace(
            config=str(FOLDER / f'{name}.py'),
            cfg_options=options,
            launcher='none',
            work_dir=str(work_dir),
            local_rank=0))


def has_teacher(name):
    return 'teacher' in Config.fromfile(
        FOLDER / f'{name}.py', import_custom_modules=False)


def load_small(name, work_dir, root, teacher, **options):
    """A config on the six frames, with 500 points and two frames a step."""
    if has_teacher(name):
        options['teacher'] = str(teacher)
    cfg = load(name, work_dir, data_root=str(root), **options)
    cfg.train_dataloader.update(
        batch_size=2, num_workers=0, persistent_workers=False)
    cfg.train_dataloader.dataset.ann_file = ''
    cfg.train_dataloader.dataset.pipeline[0].num_points = 500
    if 'out_channels' in cfg.model.head:
        cfg.model.head.out_channels = 3
    if 'unet' in cfg.model.backbone:
        cfg.model.backbone.unet.update(SMALL_UNET)
        cfg.model.head.in_channels = 8
    if cfg.model.get('region_head'):
        cfg.model.region_head.out_channels = 3
    if cfg.model.backbone.tokenizer.type == 'KNNTokenizer':
        cfg.model.backbone.tokenizer.update(num_tokens=16, num_neighbors=8)
    cfg.train_cfg = dict(type='ResumableTrainLoop', max_iters=STEPS)
    cfg.log_processor.by_epoch = False
    cfg.default_hooks.checkpoint.update(interval=-1, save_last=False)
    cfg.default_hooks.logger.interval = 1
    cfg.visualizer.vis_backends = []
    # Loggers and scopes are shared by name within a process.
    cfg.experiment_name = '_'.join(work_dir.parts[-2:])
    return cfg


def run(cfg):
    """Train; return the runner and the loss of every step."""
    forget_runs()
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        trained = build_runner(cfg, ['train_dataloader'])
        trained.train()
    history, _ = trained.message_hub.get_scalar('train/loss').data
    return trained, history


@pytest.mark.parametrize(
    'name', [str(p.relative_to(FOLDER).with_suffix('')) for p in CONFIGS])
def test_config_trains(name, root, teacher, tmp_path):
    cfg = load_small(name, tmp_path, root, teacher)
    _, losses = run(cfg)
    assert len(losses) == STEPS
    assert np.isfinite(losses).all() and (losses > 0).all()


@pytest.mark.parametrize('stage, done', [('stage1', 3), ('stage2', 1),
                                         ('stage2_ours', 2)])
def test_resumed_run_equals_unbroken(stage, done, root, teacher, tmp_path):
    """Four steps, three in an epoch."""
    name = f'{stage}_synthrooms_mini'
    cfg = load_small(name, tmp_path, root, teacher)
    cfg.train_cfg.max_iters = 4
    cfg.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=-1)
    _, expected = run(cfg)
    cfg = load_small(name, tmp_path / 'resumed', root, teacher)
    cfg.train_cfg.max_iters = 4
    cfg.update(load_from=str(tmp_path / f'iter_{done}.pth'), resume=True)
    resumed, losses = run(cfg)
    assert resumed.iter == 4
    np.testing.assert_array_equal(losses, expected)


def test_another_seed_gives_other_losses(root, teacher, tmp_path):
    name = 'stage1_synthrooms_mini'
    _, losses = run(load_small(name, tmp_path / 'a', root, teacher))
    cfg = load_small(name, tmp_path / 'b', root, teacher)
    cfg.randomness.seed = 1
    _, others = run(cfg)
    assert (losses != others).all()


def test_settings_of_the_paper(tmp_path):
    for name in ('stage1_scannet', 'stage2_scannet'):
        cfg = load(name, tmp_path)
        assert cfg.train_dataloader.batch_size == 64
        assert cfg.train_cfg.max_epochs == 120
        assert cfg.optim_wrapper.optimizer == dict(
            type='AdamW', lr=1e-3, weight_decay=0.05)
        assert cfg.train_dataloader.dataset.pipeline[0].num_points == 20000


def test_norms_biases_and_tokens_do_not_decay(root, teacher, tmp_path):
    cfg = load_small('stage2_scannet', tmp_path, root, teacher)
    trained, _ = run(cfg)
    decayed = {
        id(p)
        for group in trained.optim_wrapper.param_groups
        if group['weight_decay'] for p in group['params']
    }
    for name, parameter in trained.model.named_parameters():
        expected = parameter.ndim > 1
        assert (id(parameter) in decayed) == expected, name


def test_summary_names_tokens_and_targets(root, teacher, tmp_path):
    cfg = load_small('stage2_scannet', tmp_path, root, teacher)
    cfg.train_cfg.max_iters = 1
    trained, _ = run(cfg)
    line = describe_model(trained.model)[1]
    for part in ('tokens: sam, one per region', 'masked: 0.6',
                 'targets: TeacherTokenTargets', f'teacher: {teacher}, '):
        assert part in line
    log = next(tmp_path.glob('*/*.log')).read_text()
    assert 'train 6 frames' in log and line in log


def test_folders_of_targets_are_named_once(root, teacher, tmp_path):
    cfg = load('stage1_sunrgbd', tmp_path, data_root='elsewhere')
    assert cfg.train_dataloader.dataset.data_root == 'elsewhere'
    assert cfg.pretty_text.count("'region_groups/train'") == len(
        ['dataset', 'train_pipeline', 'load_groups'])
    assert 'region_groups' not in str(cfg.model)
    trained, _ = run(load_small('stage1_scannet', tmp_path, root, teacher))
    assert trained.model.head.item_loss.counts.tolist() == [1, 2, 3, 4]


def test_resuming_with_other_groups_is_refused(root, teacher, tmp_path):
    data = shutil.copytree(root, tmp_path / 'data')
    name = 'stage1_synthrooms_mini'
    cfg = load_small(name, tmp_path / 'a', data, teacher)
    cfg.default_hooks.checkpoint.update(interval=2)
    run(cfg)
    cfg = load_small(name, tmp_path / 'b', data, teacher)
    cfg.update(load_from=str(tmp_path / 'a' / 'iter_2.pth'), resume=True)
    path = data / 'region_groups' / 'train' / 'groups.safetensors'
    groups = decode_groups(path.read_bytes(), 'groups')
    groups.counts[1] = 7
    path.write_bytes(encode_groups(groups))
    with pytest.raises(ValueError, match='1, 7, 3, 4 regions.*1, 2, 3, 4'):
        run(cfg)


def test_default_sampler_is_refused(root, teacher, tmp_path):
    cfg = load_small('stage1_scannet', tmp_path, root, teacher)
    cfg.train_dataloader.sampler.type = 'DefaultSampler'
    with pytest.raises(ValueError, match='every epoch.*SeededSampler'):
        run(cfg)


def test_annotations_of_detection_are_not_checked(root, teacher, tmp_path):
    """A pkl of scans, none of which has boxes or points."""
    infos = [dict(lidar_points=dict(lidar_path='alpha.bin'))]
    content = dict(metainfo={}, data_list=infos)
    (tmp_path / 'train.pkl').write_bytes(pickle.dumps(content))
    cfg = load_small('stage1_scannet', tmp_path / 'work', root, teacher)
    cfg.train_dataloader.dataset.ann_file = str(tmp_path / 'train.pkl')
    cfg.train_cfg.max_iters = 1
    trained, _ = run(cfg)
    assert len(trained.train_dataloader.dataset) == 3


def test_missing_teacher_is_refused(root, tmp_path):
    cfg = load_small('stage2_scannet', tmp_path, root, 'none.pth')
    with pytest.raises(FileNotFoundError, match='none.pth.*train the stage'):
        run(cfg)
    with pytest.raises(ValueError, match='no teacher'):
        load('stage1_scannet', tmp_path, teacher='none.pth')


def test_teacher_of_other_tokens_is_refused(root, teacher, tmp_path):
    content = torch.load(teacher, weights_only=True)
    content['meta'] = dict(cfg=load('stage1_scannet', tmp_path).pretty_text)
    torch.save(content, tmp_path / 'sam.pth')
    name = 'ablations/table3_distill_mtp'
    cfg = load_small(name, tmp_path, root, tmp_path / 'sam.pth')
    with pytest.raises(ValueError, match='SAMTokenizer, the student has KNN'):
        run(cfg)


def test_teacher_of_tokens_of_other_sizes_is_named(teacher, tmp_path,
                                                   monkeypatch):
    """Weights fit tokens of all sizes, so nothing else would say it."""
    said = []
    monkeypatch.setattr('sam3d_plugin.cli.training.print_log',
                        lambda text, **_: said.append(text))
    folder = FOLDER.parents[1] / 'projects/point_bert/configs'
    stages = [
        Config.fromfile(
            folder / f'{name}_mini.py', import_custom_modules=False)
        for name in ('point_bert_dvae', 'point_bert')
    ]
    content = torch.load(teacher, weights_only=True)
    content['meta'] = dict(cfg=stages[0].pretty_text)
    torch.save(content, tmp_path / 'dvae.pth')
    model = stages[1].model
    model.target_generator.checkpoint = str(tmp_path / 'dvae.pth')
    check_teacher(model)
    assert not said
    model.backbone.tokenizer.num_neighbors = 128
    check_teacher(model)
    assert len(said) == 1 and 'num_neighbors 64, here 128' in said[0]


def test_too_few_frames_are_refused(root, teacher, tmp_path):
    cfg = load_small('stage1_scannet', tmp_path, root, teacher)
    cfg.train_dataloader.batch_size = 7
    with pytest.raises(ValueError, match='6 samples, fewer.*batch_size'):
        run(cfg)
