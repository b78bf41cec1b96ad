"""PiMAE: projections, complementary masks, and the three losses."""
import copy

import numpy as np
import pytest
import torch
from mmcv.cnn.bricks import DropPath

import projects.pimae  # noqa: F401 (registers)
from projects.pimae.branches import patchify, unpatchify
from projects.pimae.heads import sample_patches
from sam3d_plugin.engine.hooks.feature_view import view_features
from sam3d_plugin.store.errors import UserError
from tests.emulated_cuda import emulated_cuda
from tests.models.pretraining_cases import (BACKBONE, KNN, build, losses_of,
                                            total)

SIDE, GRID = 4, (5, 6)
SIZE = (SIDE * GRID[0], SIDE * GRID[1])
VIT = dict(
    type='PlainVisionTransformer',
    embed_dims=32,
    depth=1,
    num_heads=2,
    patch_size=SIDE)
CONFIG = dict(
    type='PiMAE',
    data_preprocessor=dict(type='FrameImagePreprocessor'),
    backbone=dict(BACKBONE, tokenizer=KNN),
    image_encoder=dict(type='ImageBranch', transformer=VIT),
    joint_encoder=dict(
        type='JointTransformer', embed_dims=32, depth=1, num_heads=2),
    decoder=dict(
        type='PointImageDecoder',
        in_channels=32,
        embed_dims=24,
        depth=1,
        num_heads=2),
    head=dict(type='NeighborhoodHead', in_channels=24, num_neighbors=9),
    image_head=dict(type='PatchHead', in_channels=24, patch_size=SIDE),
    feature_head=dict(
        type='ProjectedFeatureHead', in_channels=24, num_points=4),
    target_generator=dict(type='NeighborhoodTargets'))
# The camera looks along y from a place in front of the points.
POSE = np.array([[1, 0, 0, -.5], [0, 0, -1, .5], [0, 1, 0, .8], [0, 0, 0, 1]])
INTRINSICS = np.array([[24., 0, 11.5], [0, 24, 9.5], [0, 0, 1]])


def make_frame(seed, num_points=200):
    """Points in a box, some of which are outside of the image."""
    generator = torch.Generator().manual_seed(seed)
    origin = torch.rand(num_points, 3, generator=generator)
    turned = origin[:, [1, 0, 2]] * torch.tensor([-1., 1, 1])
    image = torch.randint(0, 256, (3, *SIZE), generator=generator)
    # Smooth, so that few steps learn it.
    image = torch.nn.functional.avg_pool2d(image.float(), 9, 1, 4)
    return dict(
        points=torch.cat((turned, origin), dim=1),
        color_image=image.byte(),
        color_pose=torch.from_numpy(POSE).float(),
        color_intrinsics=torch.from_numpy(INTRINSICS).float())


def make_batch(size=2):
    frames = [make_frame(seed) for seed in range(size)]
    return dict(
        inputs={key: [f[key] for f in frames]
                for key in frames[0]},
        data_samples=None)


@pytest.fixture
def pimae():
    model = build(CONFIG)
    model._dump_init_info = lambda: None  # hundreds of lines
    model.init_weights()
    return model


def run(model, batch=None):
    """Points, tokens and outputs of a batch."""
    inputs = model.data_preprocessor(batch or make_batch())['inputs']
    points, tokens = model.tokenize(**inputs)
    return points, tokens, model.predict_inputs(inputs, points, tokens)


def test_visible_patches_show_no_visible_token(pimae):
    """By the pixels of the camera, whatever augmentation did."""
    batch = make_batch()
    for complementary in (True, False):
        pimae.is_complementary = complementary
        _, tokens, outputs = run(pimae, batch)
        found = 0
        for scene in range(2):
            anchors = tokens.anchor_indices[scene][~outputs.is_masked[scene]]
            origin = batch['inputs']['points'][scene][anchors, 3:].numpy()
            camera = origin @ POSE[:3, :3].T + POSE[:3, 3]
            uv = (camera @ INTRINSICS.T)[:, :2] / camera[:, 2:]
            inside = ((uv >= -.5) & (uv < [23.5, 19.5])).all(1)
            assert inside.any()
            cells = np.floor((uv[inside] + .5) / SIDE).astype(int)
            shown = cells[:, 1] * GRID[1] + cells[:, 0]
            found += (~outputs.is_hidden[scene])[shown].sum()
        assert (found == 0) == complementary
        assert (outputs.is_hidden.sum(1) == 18).all()


def test_hidden_pixels_and_points_are_not_seen(pimae):
    batch = make_batch(1)
    pimae.eval()
    _, tokens, outputs = run(pimae, batch)
    image = batch['inputs']['color_image'][0]
    hidden = unpatchify(outputs.is_hidden[..., None].expand(-1, -1, 48),
                        GRID)[0]
    changed = copy.deepcopy(batch)
    changed['inputs']['color_image'][0] = torch.where(hidden, 255 - image,
                                                      image)
    _, _, others = run(pimae, changed)
    torch.testing.assert_close(others.decoded, outputs.decoded)
    torch.testing.assert_close(others.patches, outputs.patches)
    changed['inputs']['color_image'][0] = 255 - image
    _, _, others = run(pimae, changed)
    assert not torch.allclose(others.decoded, outputs.decoded)
    # Moved points, of unchanged tokens
    inputs = pimae.data_preprocessor(batch)['inputs']
    is_seen = ~outputs.is_masked[0].repeat_interleave(9)
    visible = torch.zeros(200, dtype=torch.bool)
    visible[tokens.member_points[is_seen]] = True
    assert 0 < visible.sum() < 200
    points = inputs['points'][..., :3]
    for place, is_same in ((~visible, True), (visible, False)):
        moved = points + place[:, None]
        others = pimae.predict_inputs(inputs, moved, tokens)
        for name in ('decoded', 'patches'):
            assert torch.allclose(
                getattr(others, name), getattr(outputs, name)) == is_same, name


def test_points_learn_from_pixels_and_pixels_from_points(pimae):
    _, tokens, outputs = run(pimae)
    embedding = pimae.backbone.embedding.global_layers[2].weight
    patches = pimae.image_encoder.patch_embed['proj'].weight
    for features, weights in ((outputs.patches, embedding), (outputs.decoded,
                                                             patches)):
        # The sum of a norm's channels would be constant.
        weighted = features.square().mul(torch.arange(24)).sum()
        gradient, = torch.autograd.grad(weighted, weights, retain_graph=True)
        assert gradient.abs().max() > 1e-3


def test_the_cross_modal_loss_does_not_teach_the_image(pimae):
    _, tokens, outputs = run(pimae)
    patches = outputs.patches.detach().requires_grad_()
    loss = pimae.feature_head.loss(outputs.decoded, patches, outputs.is_masked,
                                   tokens, outputs.images)['loss_feature']
    loss.backward()
    assert patches.grad is None
    for part in ('patch_blocks', 'patch_norm'):
        for parameter in getattr(pimae.decoder, part).parameters():
            assert parameter.grad is None
    assert pimae.decoder.enter.weight.grad.any()


def test_a_right_prediction_costs_nothing(pimae):
    _, tokens, outputs = run(pimae)
    targets = patchify(outputs.images.pixels, SIDE)
    head = copy.deepcopy(pimae.image_head)
    head.proj = torch.nn.Identity()
    assert head.loss(targets, outputs.images.pixels,
                     outputs.is_hidden)['loss_image'] == 0
    # One wrong patch counts if it is hidden, and by its share.
    for place in (outputs.is_hidden[0].nonzero()[0],
                  (~outputs.is_hidden[0]).nonzero()[0]):
        wrong = targets.clone()
        wrong[0, place] += 3
        loss = head.loss(wrong, outputs.images.pixels,
                         outputs.is_hidden)['loss_image']
        expected = 9 / 18 / 2 * outputs.is_hidden[0, place].item()
        assert loss.item() == pytest.approx(expected, abs=1e-6)


def slow_feature_loss(model, tokens, outputs):
    """Loops over tokens and points."""
    predicted = model.feature_head(outputs.decoded)
    images, frames = outputs.images, []
    for scene, is_masked in enumerate(outputs.is_masked):
        losses = []
        for token in is_masked.nonzero().flatten().tolist():
            start = tokens.member_offsets[scene * 20 + token]
            members = tokens.member_points[start:start + 4] - scene * 200
            errors = []
            for k, point in enumerate(members.tolist()):
                if not images.is_seen[scene, point]:
                    continue
                u, v = (images.uv[scene, point] + .5) / SIDE - .5
                u = u.clamp(0, GRID[1] - 1).item()
                v = v.clamp(0, GRID[0] - 1).item()
                target = 0
                for row in range(GRID[0]):
                    for column in range(GRID[1]):
                        weight = max(0, 1 - abs(v - row)) * max(
                            0, 1 - abs(u - column))
                        if weight:
                            patch = outputs.patches[scene,
                                                    row * GRID[1] + column]
                            target = target + weight * patch
                error = predicted[scene, token, k] - target
                errors.append(error.square().mean())
            if errors:
                losses.append(sum(errors) / len(errors))
        frames.append(sum(losses) / len(losses))
    return sum(frames) / 2


def test_feature_loss_is_that_of_loops(pimae):
    with torch.no_grad():
        _, tokens, outputs = run(pimae)
        # Of the seen points alone
        assert .02 < (~outputs.images.is_seen).float().mean() < .5
        loss = pimae.compute_losses(
            outputs, tokens,
            pimae.target_generator(run(pimae)[0], tokens,
                                   None))['loss_feature']
        torch.testing.assert_close(loss,
                                   slow_feature_loss(pimae, tokens, outputs))


def test_points_that_count_are_the_nearest(pimae):
    points, tokens, _ = run(pimae)
    members = points.flatten(0, 1)[tokens.member_points].view(2, 20, 9, 3)
    distances = (members - tokens.centers[:, :, None]).norm(dim=-1)
    assert (distances.diff(dim=-1) >= -1e-6).all()


def test_losses_at_the_start(pimae):
    """Predictions are nearly zero: variance 0.02² a channel."""
    with torch.no_grad():
        points, tokens, outputs = run(pimae)
        neighbors = pimae.target_generator(points, tokens, None)
        losses = pimae.compute_losses(outputs, tokens, neighbors)
    noise = 24 * .02**2
    hidden = patchify(outputs.images.pixels, SIDE)[outputs.is_hidden]
    assert losses['loss_image'].item() == pytest.approx(
        hidden.square().mean().item() + noise, rel=.05)
    members = tokens.member_points.view(-1, 9)[:, :4]
    uv = outputs.images.uv.flatten(0, 1)[members].view(2, 80, 2)
    features = sample_patches(outputs.patches, outputs.images, uv)
    counted = outputs.is_masked.repeat_interleave(
        4, 1) & outputs.images.is_seen.flatten()[members].view(2, 80)
    assert losses['loss_feature'].item() == pytest.approx(
        features[counted].square().mean().item() + noise, rel=.05)
    squares = neighbors[outputs.is_masked].square().sum(-1)
    # Of the points to the center, and back from it to the nearest point,
    # which is the center.
    torch.nn.init.zeros_(pimae.head.proj.weight)
    chamfer = pimae.head.loss(outputs.decoded, neighbors, outputs.is_masked)
    assert chamfer['loss_chamfer'].item() == pytest.approx(
        squares.mean().item(), rel=1e-3)


def test_a_frame_is_learnt(pimae):
    """By all three losses; points of a wall, because noise takes long."""
    batch = make_batch(1)
    for points in batch['inputs']['points']:
        points[:, 1] = 0
    for module in pimae.modules():
        if isinstance(module, DropPath):
            module.drop_prob = 0.
    optimizer = torch.optim.Adam(pimae.parameters(), lr=1e-2)
    history = []
    for _ in range(150):
        pimae.frames_seen.zero_()  # the same masks
        losses = losses_of(pimae.train(), batch)
        optimizer.zero_grad()
        total(losses).backward()
        optimizer.step()
        history.append({k: v.item() for k, v in losses.items()})
    assert set(history[0]) == {'loss_chamfer', 'loss_image', 'loss_feature'}
    for name, first in history[0].items():
        last = np.mean([step[name] for step in history[-10:]])
        assert last < .2 * first, name


def test_two_steps_from_one_state_are_equal(pimae):
    first = losses_of(pimae.train(), make_batch())
    pimae.frames_seen.zero_()
    second = losses_of(pimae, make_batch())
    for name, value in first.items():
        assert value.item() == second[name].item()
    third = losses_of(pimae, make_batch())
    assert third['loss_image'].item() != second['loss_image'].item()


def test_what_hooks_and_probes_read(pimae):
    batch = make_batch()
    view = view_features(pimae, batch)
    assert view.features.shape == (2, 20, 32)
    assert view.predictions.values.shape == (2, 20, 27)
    points = dict(inputs=dict(points=batch['inputs']['points']))
    features = pimae(**pimae.data_preprocessor(points), mode='tensor')
    assert features.shape == (2, 200, 32)


def test_a_batch_without_images_is_refused(pimae):
    batch = make_batch()
    for key in ('color_image', 'color_pose'):
        inputs = {k: v for k, v in batch['inputs'].items() if k != key}
        with pytest.raises(UserError, match='pretrain_images'):
            losses_of(pimae, dict(inputs=inputs, data_samples=None))
    pimae.use_metainfo(dict(point_columns=dict(region=3)))
    with pytest.raises(UserError, match='origin'):
        losses_of(pimae, batch)


def test_other_columns_before_the_origin(pimae):
    batch = make_batch()
    expected = losses_of(pimae, batch)
    batch['inputs']['points'] = [
        torch.cat((p[:, :3], torch.ones(200, 1), p[:, 3:]), dim=1)
        for p in batch['inputs']['points']
    ]
    pimae.use_metainfo(dict(point_columns=dict(region=3, origin=[4, 5, 6])))
    pimae.frames_seen.zero_()
    found = losses_of(pimae, batch)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value)


def test_sizes_that_do_not_fit(pimae):
    batch = make_batch()
    batch['inputs']['color_image'] = [
        image[:, :-1] for image in batch['inputs']['color_image']
    ]
    with pytest.raises(UserError, match='LoadFrameImage'):
        losses_of(pimae, batch)
    model = build(
        dict(CONFIG, feature_head=dict(CONFIG['feature_head'], num_points=10)))
    with pytest.raises(UserError, match='num_points'):
        losses_of(model, make_batch())
    head = dict(CONFIG['image_head'], patch_size=8)
    with pytest.raises(UserError, match='image_head.patch_size=4'):
        build(dict(CONFIG, image_head=head))


def test_an_image_that_shows_no_point_has_no_feature_loss(pimae):
    batch = make_batch()
    batch['inputs']['color_pose'][0][2, 3] = -50.
    losses = losses_of(pimae, batch)
    total(losses).backward()
    assert all(p.grad is None or p.grad.isfinite().all()
               for p in pimae.parameters())
    batch['inputs']['color_pose'][1][2, 3] = -50.
    assert losses_of(pimae, batch)['loss_feature'] == 0


def test_a_step_on_a_gpu_is_that_of_the_cpu(pimae):
    with torch.no_grad():
        expected = losses_of(pimae.eval(), make_batch())
    with emulated_cuda() as device:
        pimae.to('cuda')
        device.waits.clear()
        found = losses_of(pimae, make_batch())
        # For the masked tokens; of all tokens' parts waits Point-MAE too.
        waits = [w for w in device.places() if 'projects' in w.place]
        assert len(waits) == 1, waits
        with torch.autocast('cuda', torch.float16):
            half = losses_of(pimae, make_batch())
        for name, value in expected.items():
            assert found[name].item() == pytest.approx(value.item(), rel=1e-3)
            assert half[name].item() == pytest.approx(value.item(), rel=.05)
            assert half[name].dtype == torch.float32
        total(half).backward()
        assert all(p.grad.isfinite().all().item() for p in pimae.parameters()
                   if p.grad is not None)
