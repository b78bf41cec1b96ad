"""Every segmentation config builds, trains two steps and is evaluated."""
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet3d.registry import DATASETS, MODELS, RUNNERS
from mmengine.registry import DefaultScope

from sam3d_plugin.cli.training import build_runner
from sam3d_plugin.engine.options import enable_tta
from tests.conftest import write_infos
from tests.segmentation_stores import write_s3dis, write_scannet_seg
from tests.short_runs import forget_runs
from tests.test_configs import load
from tests.test_golden import SMALL_UNET

FOLDER = Path(__file__).resolve().parents[1] / 'configs' / 'sam3d'
CONFIGS = sorted(p.stem for p in FOLDER.glob('segmentor*.py'))
IGNORED = {'scannet': 20, 's3dis': 13}


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    folder = tmp_path_factory.mktemp('stores')
    write_scannet_seg(folder / 'scannet')
    write_s3dis(folder / 's3dis')
    return folder


def kind_of(name):
    return 's3dis' if 's3dis' in name else 'scannet'


def load_small(name, roots, work_dir, **options):
    """A config with 256 points, 32 tokens and a small network."""
    cfg = load(FOLDER / f'{name}.py',
               dict(data_root=str(roots / kind_of(name)), **options), work_dir)
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        cfg[loader].update(num_workers=0, persistent_workers=False)
        for step in cfg[loader].dataset.pipeline:
            if 'num_points' in step and step.type != 'KeepPointLabels':
                step.num_points = 256
    cfg.train_dataloader.batch_size = 2
    if 'unet' in cfg.model.backbone:
        cfg.model.backbone.unet.update(SMALL_UNET)
        cfg.model.decode_head.in_channels = 8
    tokenizer = cfg.model.backbone.get('tokenizer', {})
    if tokenizer:
        tokenizer.num_tokens = 32
    if 'num_neighbors' in tokenizer:
        tokenizer.num_neighbors = 8
    cfg.model.test_cfg.num_points = 1024
    cfg.train_cfg = dict(
        type='IterBasedTrainLoop', max_iters=2, val_interval=2)
    cfg.log_processor.by_epoch = False
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=10)
    cfg.default_hooks.logger.interval = 1
    cfg.visualizer.vis_backends = []
    return cfg


def build(cfg):
    forget_runs()
    return RUNNERS.build(cfg)


def check_scores(scores, present, absent):
    assert all(0 <= scores[name] <= 1 for name in (*present, 'acc', 'acc_cls'))
    assert scores['miou'] == pytest.approx(
        np.mean([scores[name] for name in present]))
    assert not any(name in scores for name in absent)


@pytest.mark.parametrize('name', CONFIGS)
def test_config_trains_and_is_evaluated(name, roots, tmp_path):
    cfg = load_small(name, roots, tmp_path)
    cfg.val_evaluator = dict(type='PresentClassSegMetric')
    torch.manual_seed(0)
    trained = build(cfg)
    trained.train()
    scalars = trained.message_hub.log_scalars
    # Rare classes weigh up to 5.5.
    assert 0 < scalars['train/loss'].current() < 25
    scores = {
        key[len('val/'):]: value.current()
        for key, value in scalars.items() if key.startswith('val/')
    }
    if kind_of(name) == 's3dis':
        check_scores(scores, ('floor', 'wall', 'chair'), ('ceiling', ))
    else:
        check_scores(scores, ('floor', 'wall', 'chair', 'table'), ('bed', ))


@pytest.mark.parametrize('name', CONFIGS)
def test_settings_fit_each_other(name):
    """What a config says twice, and what data and head must agree on."""
    cfg = load(FOLDER / f'{name}.py', {}, 'work')
    classes = cfg.metainfo.classes
    head, backbone = cfg.model.decode_head, cfg.model.backbone
    assert head.num_classes == head.ignore_index == len(classes)
    if head.type == 'PointSegHead':
        unet = MODELS.build(backbone.unet)
        assert head.get('in_channels', 96) == unet.embed_dims
    else:
        assert head.num_depths == len(backbone.feature_depths)
        assert (head.propagation == 'own_token') == (
            backbone.tokenizer.type == 'SAMTokenizer')
        assert not backbone.frozen
    assert classes == DATASETS.get(
        cfg.train_dataloader.dataset.type).METAINFO['classes']
    sampled = next(
        step for step in cfg.train_dataloader.dataset.pipeline
        if step.type.endswith('PointSample'))
    assert sampled.num_points == cfg.model.test_cfg.num_points
    assert cfg.val_evaluator.type == 'PresentClassSegMetric'
    assert backbone.get('init_cfg') is None
    assert cfg.optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult == 1


def test_the_two_arms_differ_in_one_line(roots, tmp_path):
    """Encoder weights by init_cfg, its rate by one value, or frozen."""
    name = 'segmentor_synthrooms_mini'
    encoder = MODELS.build(
        load(FOLDER / f'{name}.py', {}, tmp_path).model.backbone)
    torch.nn.init.constant_(encoder.encoder.norm.weight, .5)
    path = str(tmp_path / 'encoder.pth')
    torch.save(
        dict(
            state_dict={
                f'backbone.{key}': value
                for key, value in encoder.state_dict().items()
            }), path)
    cfg = load_small(
        name, roots, tmp_path, **{
            'model.backbone.init_cfg':
            dict(type='Pretrained', checkpoint=path),
            'optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult': 0.1
        })
    run = build(cfg)
    run.model.init_weights()
    assert (run.model.backbone.encoder.norm.weight == .5).all()
    optimizer = run.build_optim_wrapper(cfg.optim_wrapper).optimizer
    rates = {
        id(p): group['lr']
        for group in optimizer.param_groups
        for p in group['params']
    }
    for key, parameter in run.model.named_parameters():
        expected = 1e-4 if key.startswith('backbone.') else 1e-3
        assert rates[id(parameter)] == pytest.approx(expected)


def test_frozen_encoder_stays_what_it_was(roots, tmp_path):
    cfg = load_small('segmentor_synthrooms_mini', roots, tmp_path,
                     **{'model.backbone.frozen': True})
    run = build(cfg)
    run.model.init_weights()
    before = {k: v.clone() for k, v in run.model.state_dict().items()}
    run.model.init_weights = lambda: None
    run.train()
    changed = {
        key.split('.')[0]
        for key, value in run.model.state_dict().items()
        if not value.equal(before[key])
    }
    assert changed == {'decode_head'}


@pytest.mark.parametrize('name', ['segmentor_scannet', 'segmentor_s3dis'])
def test_votes_of_turned_scans(name, roots, tmp_path):
    """tools/test.py --tta."""
    cfg = load_small(name, roots, tmp_path)
    enable_tta(cfg)
    cfg.test_evaluator = dict(type='PresentClassSegMetric')
    scores = build(cfg).test()
    assert 0 <= scores['miou'] <= 1


@pytest.mark.parametrize('column', [3, 4])
def test_regions_of_patches_with_normalized_coordinates(
        column, roots, tmp_path):
    """These stand behind the region ids, in training and in sliding."""
    cfg = load_small('segmentor_s3dis_mini', roots, tmp_path)
    cfg.model.backbone.tokenizer = dict(
        type='SAMTokenizer', split=True, num_tokens=32)
    cfg.model.backbone.region_column = column
    cfg.model.decode_head.propagation = 'own_token'
    cfg.model.test_cfg.use_normalized_coord = True
    cfg.train_dataloader.dataset.pipeline[-2].use_normalized_coord = True
    run = build(cfg)
    if column == 4:
        with pytest.raises(ValueError, match='column 4 holds no region ids'):
            run.train()
    else:
        run.train()
        scores = run.message_hub.log_scalars
        assert 0 <= scores['val/miou'].current() <= 1


def test_evaluation_is_the_same_every_time(roots, tmp_path):
    cfg = load_small('segmentor_scannet_mini', roots, tmp_path)
    run = build(cfg)
    run.model.init_weights()
    first = run.test()
    torch.manual_seed(5)
    np.random.seed(5)
    assert run.test() == first


def test_validation_changes_nothing_of_the_training(roots, tmp_path):
    """Points and dropout of later steps are drawn as without it."""
    losses = []
    for interval in (1, 9):
        cfg = load_small('segmentor_scannet_mini', roots, tmp_path)
        cfg.train_cfg.update(max_iters=4, val_interval=interval)
        cfg.val_evaluator = dict(type='PresentClassSegMetric')
        run = build(cfg)
        run.train()
        history, _ = run.message_hub.log_scalars['train/loss'].data
        losses.append(history.tolist())
        assert 'val/miou' in run.message_hub.log_scalars
    assert len(losses[0]) == 4 and losses[0] == losses[1]


def test_few_labels_train_on_exactly_these(roots, tmp_path):
    cfg = load_small('segmentor_synthrooms_mini_20points', roots, tmp_path)
    dataset = cfg.train_dataloader.dataset
    steps = [step.type for step in dataset.pipeline]
    assert steps.index('PointSegClassMapping') < steps.index(
        'KeepPointLabels') < steps.index('PointSample')
    dataset.pipeline[-4].num_points = 2048
    with DefaultScope.overwrite_default_scope('mmdet3d'):
        sample = DATASETS.build(dataset)[0]['data_samples']
    labels = sample.gt_pts_seg.pts_semantic_mask
    # 2,048 points are drawn without repetition from 2,048
    assert (labels != 20).sum() == 20


def test_scan_without_regions_is_named(roots, tmp_path):
    """SAM tokens refuse it before the run starts; kNN tokens take it."""
    infos = write_scannet_seg(tmp_path / 'scannet')
    infos[1].pop('pts_region_path')
    write_infos(tmp_path / 'scannet' / 'scannet_infos_train.pkl', infos)
    cfg = load_small('segmentor_scannet_mini', tmp_path, tmp_path / 'work')
    with pytest.raises(ValueError, match='names no region file for .*b.bin'):
        build_runner(cfg, ['train_dataloader'])
    enable_tta(cfg)
    cfg.test_dataloader.dataset.ann_file = 'scannet_infos_train.pkl'
    with pytest.raises(ValueError, match='names no region file for .*b.bin'):
        build_runner(cfg, ['test_dataloader'])
    knn = load_small('segmentor_scannet_mini_knn', tmp_path, tmp_path / 'knn')
    run = build(knn)
    run.train()
    assert np.isfinite(run.message_hub.log_scalars['train/loss'].current())


def test_scans_of_no_labelled_class_train(tmp_path):
    infos = write_scannet_seg(tmp_path / 'scannet')
    for info in infos:
        mask = tmp_path / 'scannet' / 'semantic_mask' / (
            info['pts_semantic_mask_path'])
        np.zeros(2048, np.int64).tofile(mask)
    cfg = load_small('segmentor_scannet_mini', tmp_path, tmp_path / 'work')
    run = build(cfg)
    with pytest.raises(ValueError, match='no point of the split has a label'):
        run.train()
    assert run.message_hub.log_scalars['train/loss'].current() == 0
    assert all(torch.isfinite(p).all() for p in run.model.parameters())


def test_checkpoint_of_a_detector_is_refused(roots, tmp_path):
    cfg = load_small('segmentor_scannet_mini', roots, tmp_path)
    state = build(cfg).model.state_dict()
    detector = {
        key.replace('decode_head', 'bbox_head'): value
        for key, value in state.items()
    }
    cfg.load_from = str(tmp_path / 'votenet.pth')
    torch.save(dict(state_dict=detector), cfg.load_from)
    with pytest.raises(ValueError, match='votenet.pth .*decode_head'):
        build(cfg).test()
