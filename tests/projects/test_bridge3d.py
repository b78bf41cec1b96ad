"""Bridge3D: which tokens count, and who learns from what."""
import argparse
import copy

import numpy as np
import pytest
import torch

import projects.point_mae  # noqa: F401 (registers)
from projects.bridge3d.bridge3d import keep_tokens
from projects.bridge3d.bridge3d_heads import pool_regions
from projects.bridge3d.bridge3d_targets import scene_features
from sam3d_plugin.models.pretrainers.masking import frame_generators
from sam3d_plugin.store.errors import UserError
from tests.models.pretraining_cases import (CHANNELS, DECODER, KNN, STAGE1,
                                            build, losses_of, make_batch,
                                            total, with_parts,
                                            without_drop_path)

CPU = torch.device('cpu')
SMALL = dict(in_channels=32, out_channels=CHANNELS)
POINT_MAE = without_drop_path(
    dict(
        with_parts(dict(backbone=STAGE1['backbone']), tokenizer=KNN),
        type='PointMAE',
        decoder=dict(type='MaskedTokenDecoder', transformer=DECODER),
        head=dict(
            type='NeighborhoodHead',
            in_channels=32,
            num_neighbors=KNN['num_neighbors']),
        target_generator=dict(type='NeighborhoodTargets'),
        mask_ratio=.75))
MODEL = dict(
    POINT_MAE,
    type='Bridge3D',
    drop_ratio=.7,
    region_image=dict(SMALL, type='RegionPoolHead'),
    scene_image=dict(SMALL, type='SceneTokenHead'),
    target_generator=dict(type='Bridge3DTargets'))


def make(**changes):
    model = build(copy.deepcopy(MODEL), **changes)
    model.init_weights()
    return model.train()


def batch_of(*num_regions, seed=0):
    batch = make_batch(num_regions, seed=seed)
    for sample in batch['data_samples']:
        regions = sample.regions
        regions.areas = regions.ids % 7 + 1
    return batch


@pytest.mark.parametrize('quota', [0, 3, 9])
def test_foreground_is_kept_and_background_fills_the_quota(quota):
    generator = torch.Generator().manual_seed(0)
    is_masked = torch.rand(40, 20, generator=generator) < .6
    foreground = torch.rand(40, 20, generator=generator) < .3
    quotas = torch.full((40, ), quota)
    kept = keep_tokens(is_masked, foreground, quotas,
                       frame_generators(0, range(40), 2))
    assert not (kept & ~is_masked).any()
    assert (kept | ~(foreground & is_masked)).all()
    num_foreground = (foreground & is_masked).sum(1)
    expected = num_foreground.clamp(min=quota).minimum(is_masked.sum(1))
    assert kept.sum(1).tolist() == expected.tolist()
    alone = keep_tokens(is_masked[7:8], foreground[7:8], quotas[:1],
                        frame_generators(0, [7], 2))
    assert alone.equal(kept[7:8])


def test_the_quota_is_that_of_the_paper():
    """192 masked of 256 tokens, less 179."""
    model = make()
    is_masked = torch.arange(256)[None] < 192
    tokens = argparse.Namespace(is_padding=torch.zeros(1, 256).bool())
    kept = model.keep(is_masked, tokens, torch.zeros(1, 256).bool())
    assert kept.sum() == 13
    assert model.keep(is_masked, tokens, is_masked).equal(is_masked)


def test_pooled_regions_are_the_means_of_their_counted_tokens():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 15, 4, generator=generator)
    ids = torch.randint(1, 4, (2, 15), generator=generator)
    counted = torch.rand(2, 15, generator=generator) < .7
    features[~counted] = torch.nan
    pooled, counts = pool_regions(features, ids, counted)
    for frame in range(2):
        for token in range(15):
            mates = counted[frame] & (ids[frame] == ids[frame, token])
            assert counts[frame, token] == mates.sum()
            if mates.any():
                torch.testing.assert_close(pooled[frame, token],
                                           features[frame, mates].mean(0))


def test_each_region_counts_once():
    head = make().region_image
    torch.nn.init.zeros_(head.proj.weight)
    ids = torch.tensor([[1, 1, 1, 2, 3]])
    targets = torch.tensor([2., 2, 2, 3, 9])[None, :,
                                             None].expand(-1, -1, CHANNELS)
    counted = torch.tensor([[True, True, True, True, False]])
    loss = head.loss(torch.randn(1, 5, 32), ids, counted, targets, 'image')
    assert loss.item() == pytest.approx((1.5 + 2.5) / 2)  # smooth-L1 of 2, 3
    head.pool = False
    loss = head.loss(torch.randn(1, 5, 32), ids, counted, targets, 'image')
    assert loss.item() == pytest.approx((3 * 1.5 + 2.5) / 4)


@pytest.mark.parametrize('pool', [True, False])
def test_padding_changes_no_loss_of_regions(pool):
    head = make().region_image
    head.pool = pool
    arguments = [
        torch.randn(2, 7, 32),
        torch.randint(1, 4, (2, 7)),
        torch.ones(2, 7, dtype=torch.bool),
        torch.randn(2, 7, CHANNELS)
    ]
    padded = [
        torch.cat((values, torch.full_like(values[:, :3], filling)), dim=1)
        for values, filling in zip(arguments, (np.nan, 1, False, np.nan))
    ]
    torch.testing.assert_close(
        head.loss(*padded, 'image'), head.loss(*arguments, 'image'))


def test_padding_changes_no_loss_of_scenes():
    head, targets = make().scene_image, torch.randn(2, CHANNELS)
    encoded = torch.randn(2, 10, 32)
    encoded[:, 7:] = torch.nan
    is_padding = encoded[..., 0].isnan()
    torch.testing.assert_close(
        head.loss(encoded, is_padding, targets, 'image'),
        head.loss(encoded[:, :7], is_padding[:, :7], targets, 'image'))


def test_scene_features_weigh_regions_by_area():
    samples = batch_of(3, 5)['data_samples']
    for sample, mean in zip(samples, scene_features(samples, CPU)):
        regions = sample.regions
        rows = regions.features.repeat_interleave(regions.areas, dim=0)
        torch.testing.assert_close(mean, rows.mean(0))


def gradient_norms(model, name):
    model.zero_grad()
    losses_of(model, batch_of(6, 11))[name].backward()
    return [(key, p.grad is not None and bool(p.grad.any()))
            for key, p in model.named_parameters()
            if key.startswith('backbone')]


def test_scene_tokens_do_not_train_the_encoder():
    model = make()
    assert not any(moved
                   for _, moved in gradient_norms(model, 'loss_scene_image'))
    assert model.scene_image.scene_token.grad.any()
    for name in ('loss_chamfer', 'loss_region_image'):
        assert all(moved for _, moved in gradient_norms(model, name))


def test_without_other_losses_it_is_point_mae():
    plain = build(POINT_MAE).train()
    model = make(region_image=None, scene_image=None, drop_ratio=0.)
    model.load_state_dict(plain.state_dict())
    for seed in (0, 5):
        batch = batch_of(6, 11, seed=seed)
        losses = losses_of(model, batch)
        assert set(losses) == {'loss_chamfer'}
        assert losses['loss_chamfer'].equal(
            losses_of(plain, batch)['loss_chamfer'])


def test_the_released_code_has_no_loss_on_images_of_regions():
    names = set(losses_of(make(), batch_of(6, 11)))
    assert names == {'loss_chamfer', 'loss_region_image', 'loss_scene_image'}
    model = make(as_released=True)
    assert set(losses_of(model,
                         batch_of(6, 11))) == names - {'loss_region_image'}
    assert not any('region_image' in key for key in model.state_dict())


def test_initial_losses():
    """Predictions start near 0, and features are far from it."""
    batch = batch_of(6, 11)
    for sample in batch['data_samples']:
        signs = torch.randn(CHANNELS).sign()
        sample.regions.features = 3 * signs.expand(len(sample.regions), -1)
    losses = losses_of(make(), batch)
    for name in ('loss_region_image', 'loss_scene_image'):
        assert losses[name].item() == pytest.approx(2.5, rel=.05)


def test_loss_of_points_at_the_center():
    """Closed form of a head that predicts every point at the center."""
    model = make().eval()
    for parameter in model.head.proj.parameters():
        torch.nn.init.zeros_(parameter)
    data = model.data_preprocessor(batch_of(6, 11))
    points, tokens = model.tokenize(**data['inputs'])
    targets = model.target_generator(points, tokens, data['data_samples'])
    kept = model.keep(
        model.predict(points, tokens).is_masked, tokens, targets.is_foreground)
    squares = targets.neighborhoods.square().sum(-1)
    distances = squares.mean(-1) + squares.amin(-1)
    expected = [values[row].mean() for values, row in zip(distances, kept)]
    losses = losses_of(model, batch_of(6, 11))
    torch.testing.assert_close(losses['loss_chamfer'], sum(expected) / 2)


def test_a_linear_map_of_the_place_is_learned():
    batch = batch_of(6, 11)
    plant = torch.randn(
        3, CHANNELS, generator=torch.Generator().manual_seed(3))
    for points, sample in zip(batch['inputs']['points'],
                              batch['data_samples']):
        for i, region in enumerate(sample.regions.ids):
            center = points[points[:, 3] == region, :3].mean(0)
            sample.regions.features[i] = .1 * center @ plant
    model = make()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(200):
        loss = losses_of(model, batch)['loss_region_image']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 1e-3


def test_two_frames_are_learned():
    model, batch, sums = make(), batch_of(6, 11), []
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(150):
        loss = total(losses_of(model, batch))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        sums.append(loss.item())
    assert sum(sums[-10:]) / 10 < .2 * sums[0]


@pytest.mark.parametrize('change, word', [
    (dict(scene_text=dict(SMALL, type='SceneTokenHead')), 'LoadFrameText'),
    (dict(region_text=dict(SMALL, type='RegionPoolHead')), 'class_embeddings'),
    (dict(region_image=dict(SMALL, type='RegionPoolHead', out_channels=5)),
     'out_channels'),
    (dict(
        target_generator=dict(
            type='Bridge3DTargets', class_embeddings='none.npz')), 'missing'),
])
def test_losses_without_their_data_are_refused(change, word):
    with pytest.raises((UserError, FileNotFoundError), match=word):
        losses_of(make(**change), batch_of(6, 11))
