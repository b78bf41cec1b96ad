"""The arms of the ladder: equal budgets, valid configs, telling hashes."""
from pathlib import Path

import pytest
import torch
from mmdet3d.registry import MODELS
from mmengine.registry import init_default_scope

from sam3d_plugin.datasets.preflight import find_leaf_datasets
from sam3d_plugin.datasets.transforms.base import all_steps
from sam3d_plugin.engine.options import read_config
from sam3d_plugin.experiments import arms as module
from sam3d_plugin.experiments.methods import (clouds_per_frame, pipeline_of,
                                              reads_objects)
from tests.datasets.frame_store import write_data_set

ROOT = Path(__file__).parents[2]
# Steps that turn complete scans into what frames are.
SCAN_STEPS = ('CheckPoints', 'PointSegClassMapping', 'CenterPoints',
              'PointSample')
PAIRS = ('frame_pairs/store.json', 'frame_pairs/manifest.json')


@pytest.fixture(autouse=True)
def in_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def settings_of(name, budget, seed=0, **options):
    """Resolved configs of an arm's trainings."""
    steps = module.plan(module.ARMS[name], module.BUDGETS[budget], seed,
                        'data/here', **options)
    return [read_config(step.config, step.options) for step in steps]


def clouds_per_step(cfg):
    """A frame of two views is two clouds."""
    loader = cfg.train_dataloader
    return loader.batch_size * clouds_per_frame(pipeline_of(loader))


def frames_of(name, budget):
    """Clouds (mini), or passes over all of them (full), of an arm."""
    total = 0
    for cfg in settings_of(name, budget):
        if budget == 'mini':
            total += cfg.train_cfg.max_iters * clouds_per_step(cfg)
        else:
            views = clouds_per_step(cfg) // cfg.train_dataloader.batch_size
            total += cfg.train_cfg.max_epochs * views
    return total


@pytest.mark.parametrize('budget, expected', [('mini', 4000), ('full', 120)])
def test_arms_see_the_same_number_of_frames(budget, expected):
    for name, arm in module.ARMS.items():
        if arm.steps:
            assert frames_of(
                name, budget) == (2 * expected if arm.is_long else expected)


def test_two_stages_are_half_and_half():
    assert module.step_lengths(module.ARMS['paper_sam'], 25) == [13, 12]
    assert module.step_lengths(module.ARMS['paper_sam'], 120) == [60, 60]
    with pytest.raises(ValueError, match='3 is too short for 2 trainings'):
        module.step_lengths(module.ARMS['paper_sam'], 3)


@pytest.mark.parametrize('name', ['stage1_sam_balanced', 'stage1_knn_plain'])
def test_the_control_differs_in_its_features_alone(name):
    """Folders of both values of a region, and the width of the head."""
    ours, = settings_of(name, 'mini')
    control, = settings_of(f'{name}_handcrafted', 'mini')
    folders = {
        step.key: step.folder
        for step in control.train_dataloader.dataset.pipeline
        if step.type == 'LoadRegionTargets'
    }
    assert folders == dict(
        features='region_features_handcrafted',
        group_ids='region_groups/train_handcrafted')
    assert control.model.head.out_channels == 60
    for ours_step, step in zip(ours.train_dataloader.dataset.pipeline,
                               control.train_dataloader.dataset.pipeline):
        step.pop('folder', None), ours_step.pop('folder', None)
    control.model.head.out_channels = ours.model.head.out_channels
    assert control.to_dict() == ours.to_dict()


def test_plain_arms_differ_in_their_loss_alone():
    balanced, = settings_of('stage1_sam_balanced', 'mini')
    plain, = settings_of('stage1_sam_plain', 'mini')
    assert plain.model.head.pop('loss') == dict(type='DistillLoss')
    assert balanced.model.head.pop('loss').type == 'GroupBalancedDistillLoss'
    assert plain.to_dict() == balanced.to_dict()


def test_the_joint_arm_is_the_stage_of_table_4():
    joint, = settings_of('joint_sam', 'mini')
    stage1, = settings_of('stage1_sam_balanced', 'mini')
    table4 = read_config('configs/sam3d/ablations/table4_stage1_mtp_joint.py',
                         {}).model
    assert joint.model.type == table4.type
    assert joint.model.mask_ratio == table4.mask_ratio
    assert joint.model.decoder.type == table4.decoder.type
    assert joint.model.decoder.transformer == stage1.model.decoder


@pytest.mark.parametrize('budget', list(module.BUDGETS))
def test_arms_differ_in_nothing_but_method_and_tokens(budget):
    """Same encoder, batch, points, optimizer and end of the schedule.

    The mini stage 2, whose student starts as the teacher, has a rate of its
    own. A teacher may have another encoder than what is transferred.
    Augmentation is a part of the methods that contrast views.
    """
    init_default_scope('mmdet3d')
    shared, augmentations = [], []
    for name, arm in module.ARMS.items():
        settings = settings_of(name, budget, seed=4)
        for cfg in settings:
            tokens = module.BUDGETS[budget].tokens[arm.tokens]
            assert cfg.model.backbone.tokenizer.type == tokens['type']
            assert cfg.model.backbone.tokenizer.num_tokens == tokens[
                'num_tokens']
            length = cfg.train_cfg.get('max_iters') or cfg.train_cfg.max_epochs
            warm_up, cosine = cfg.param_scheduler
            assert warm_up.end == cosine.begin == round(length / 12)
            assert cosine.end == length
            assert cfg.randomness.seed == 4
            data = cfg.train_dataloader
            assert data.sampler.type in ('SeededSampler', 'DomainSampler')
            for leaf in find_leaf_datasets(data.dataset):
                assert leaf.data_root.rstrip('/') == 'data/here'
                last = [
                    step.num_points for step in all_steps(leaf.pipeline)
                    if 'num_points' in step
                ][-1]
                # A view of PlaceMovingObject has four fifths of the points.
                kept = .8 if reads_objects(leaf.pipeline) else 1
                assert kept * last == module.BUDGETS[budget].num_points
                if clouds_per_step(cfg) == data.batch_size:
                    augmentations.append([
                        step for step in leaf.pipeline
                        if step.type not in SCAN_STEPS
                        and not step.type.startswith(('Load', 'Pack'))
                    ])
            # Keys name the tokens and codes of a method, which never decay.
            decay = dict(cfg.optim_wrapper.paramwise_cfg)
            for rule in decay.pop('custom_keys').values():
                assert rule == dict(decay_mult=0)
            shared.append([
                settings[-1].model.backbone.encoder,
                cfg.model.backbone.embedding,
                clouds_per_step(cfg), decay,
                cfg.optim_wrapper.optimizer.weight_decay
            ])
    assert len(shared) == sum(len(arm.steps) for arm in module.ARMS.values())
    assert all(entry == shared[0] for entry in shared)
    assert all(entry == augmentations[0] for entry in augmentations)


@pytest.mark.parametrize('name', list(module.ARMS))
def test_models_of_every_arm_build(name, tmp_path):
    init_default_scope('mmdet3d')
    checkpoint = tmp_path / 'teacher.pth'
    for cfg in settings_of(name, 'mini'):
        if 'checkpoint' in cfg.model.get('target_generator', {}):
            cfg.model.target_generator.checkpoint = str(checkpoint)
        model = MODELS.build(cfg.model)
        assert type(model.backbone.tokenizer
                    ).__name__ == cfg.model.backbone.tokenizer.type
        torch.save(dict(state_dict=model.state_dict()), checkpoint)
    fresh = module.fresh_encoder(module.ARMS[name], module.BUDGETS['mini'])
    tokenizer = read_config(fresh.config,
                            fresh.options).model.backbone.tokenizer
    assert tokenizer.type == dict(
        knn='KNNTokenizer', sam='SAMTokenizer')[module.ARMS[name].tokens]


def digest(name='paper_sam', seed=0, data_root='data/here', **changes):
    data = changes.pop('data', {'manifest.json': 'a'})
    probe = changes.pop('probe', ['--seed', str(seed)])
    steps = module.plan(module.ARMS[name], module.BUDGETS['mini'], seed,
                        data_root, **changes)
    return module.settings_hash(steps, probe, data, data_root)


def test_hash_follows_settings_and_data_and_not_their_place():
    first = digest()
    assert digest(data_root='/elsewhere/rooms') == first
    others = [
        digest(seed=1),
        digest(length=100),
        digest(extra=['model.mask_ratio=0.7']),
        digest('paper_sam_long'),
        digest('joint_sam'),
        digest('stage1_sam_balanced'),
        digest('stage1_sam_plain'),
        digest(data={'manifest.json': 'b'}),
        digest(probe=['--num-points', '1'])
    ]
    assert len({first, *others}) == 1 + len(others)


def test_settings_reach_every_training():
    steps = module.plan(module.ARMS['paper_sam'], module.BUDGETS['mini'], 0,
                        'data/here', None, ['a=1', 'b=2'])
    assert [step.extra for step in steps] == [['a=1', 'b=2']] * 2
    assert digest('random_sam', extra=['c=3']) == digest('random_sam')


@pytest.mark.parametrize('name, readers', [
    ('manifest.json', 'all'),
    ('region_groups/train/manifest.json', 'standin'),
    ('region_features/store.json', 'standin'),
    ('region_features_handcrafted/manifest.json', 'handcrafted'),
    ('region_groups/train_handcrafted/manifest.json', 'handcrafted'),
    *((name, 'pairs') for name in PAIRS),
    ('objects.npz', 'objects'),
])
def test_hash_follows_what_an_arm_reads(name, readers):
    arms = dict(
        fresh='random_sam',
        standin='stage1_sam_plain',
        handcrafted='stage1_sam_plain_handcrafted',
        pairs='csc_knn',
        objects='four_d_contrast_knn',
        views='depth_contrast_knn')
    changed = {
        key
        for key, arm in arms.items()
        if digest(arm, data={name: 'a'}) != digest(arm, data={name: 'b'})
    }
    assert changed == (set(arms) if readers == 'all' else {readers})


def test_pairs_that_nobody_reads_change_no_hash():
    data = {'manifest.json': 'a', 'frame_pairs/store.json': 'b'}
    assert digest(data=data) == digest()
    assert digest('csc_knn', data=data) != digest('csc_knn')


def test_marks_follow_the_manifests(tmp_path):
    with pytest.raises(FileNotFoundError, match='has no region_maps'):
        module.data_checksums(str(tmp_path))
    write_data_set(tmp_path)
    marks = module.data_checksums(str(tmp_path))
    assert {'region_features/manifest.json', *PAIRS} < set(marks)
    assert 'region_features_handcrafted/manifest.json' not in marks
    path = tmp_path / 'region_maps' / 'manifest.json'
    path.write_text(path.read_text() + ' ')
    changed = module.data_checksums(str(tmp_path))
    assert {k for k in marks if marks[k] != changed[k]} == {
        'region_maps/manifest.json'
    }  # yapf: disable


def test_made_up_rooms_are_told_by_their_settings(tmp_path):
    """Other pixels are of another processor, another seed is other data."""
    write_data_set(tmp_path)
    (tmp_path / 'objects.npz').write_bytes(b'')
    store = tmp_path / 'store.json'
    store.write_text('{"kind": "synthrooms", "settings": {"seed": 0}}')
    marks = module.data_checksums(str(tmp_path))
    assert {
        'store.json', 'region_features/store.json', 'frame_pairs/store.json'
    } < set(marks)
    for name in ('region_maps/manifest.json', 'region_features/manifest.json',
                 'objects.npz'):
        path = tmp_path / name
        path.write_bytes(path.read_bytes() + b' ')
    assert module.data_checksums(str(tmp_path)) == marks
    store.write_text(store.read_text().replace('0', '1'))
    assert module.data_checksums(str(tmp_path)) != marks
