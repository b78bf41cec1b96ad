"""DPCo: cameras of views, closed forms, and planted depth images."""
import copy
import math

import numpy as np
import pytest
import torch
from mmdet3d.registry import DATASETS, TRANSFORMS
from mmdet3d.structures import DepthPoints
from mmengine.registry import DefaultScope

import projects.dpco  # noqa: F401 (registers)
from projects.dpco.depth_unet import DepthUNet, RelativeDepthConv
from projects.dpco.depth_view import (cells_of, draw_view, drop_and_distort,
                                      erase_box)
from projects.dpco.dpco import FormatFeatures, pair_cells
from sam3d_plugin.engine.options import read_config
from sam3d_plugin.ops.projection import back_project, transform
from sam3d_plugin.store.errors import UserError
from tests.datasets.frame_store import POSE, write_frames
from tests.models import pretraining_cases as cases
from tests.models.pretraining_cases import losses_of

CONFIG = 'projects/dpco/configs/dpco_mini.py'
# A telephoto camera: pixels are less than a millimeter wide.
HEIGHT, WIDTH = 240, 320
CAMERA = np.array([[900., 0, 170], [0, 910, 110], [0, 0, 1]])
QUEUE = 16
MODEL = dict(
    type='DPCo',
    backbone=dict(cases.BACKBONE, tokenizer=cases.KNN),
    depth_network=dict(type='DepthUNet', widths=(8, 8, 16, 16)),
    projector=dict(
        type='GlobalProjector',
        in_channels=32,
        hidden_channels=32,
        out_channels=16,
        pool='max'),
    local_contrast=dict(
        type='InfoNCELoss', temperature=0.07, symmetric=True, mean='sets'),
    global_contrast=dict(type='InfoNCELoss', temperature=0.07),
    queue_size=QUEUE,
    momentum=0.9)


def build(**changes):
    model = cases.build(MODEL, **changes)
    model._dump_init_info = lambda: None  # hundreds of lines
    model.init_weights()
    return model


def numbered_depth():
    """A surface on which every pixel has a depth of its own, meters."""
    numbers = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
    return (0.5 + numbers * 1e-6).astype(np.float32)


def make_batch(num_frames=2, num_points=200, seed=0):
    """Frames whose points are in cells; a cell's depth follows from both."""
    generator = torch.Generator().manual_seed(seed)
    inputs = dict(points=[], depth_views=[], cells=[])
    for _ in range(num_frames):
        xyz = torch.rand(num_points, 3, generator=generator) * 3
        column, row = (xyz[:, :2] / 3 * 8).long().T
        cells = row * 8 + column
        depth = torch.rand(8, 8, generator=generator) + 1
        depth = depth.repeat_interleave(8, 0).repeat_interleave(8, 1)
        inputs['points'].append(torch.stack([xyz, xyz]))
        inputs['cells'].append(torch.stack([cells, cells]))
        inputs['depth_views'].append(torch.stack([depth[None]] * 2))
    return dict(inputs=inputs, data_samples=None)


@pytest.mark.parametrize('seed', range(6))
def test_a_view_shows_what_its_camera_sees(seed):
    """Turned, cropped, letterboxed and mirrored, within a millimeter."""
    depth = numbered_depth()
    points = back_project(depth, CAMERA, np.arange(depth.size))
    view = draw_view(depth, CAMERA, 128, 20., (.7, .9),
                     np.random.default_rng(seed))
    v, u = np.nonzero(view.depth)
    assert .3 < len(v) / view.depth.size < 1
    seen = view.depth[v, u]
    sources = np.rint((seen - .5) / 1e-6).astype(int)
    rays = np.linalg.inv(view.intrinsics) @ np.stack([u, v, np.ones_like(u)])
    found = (rays * seen).T
    assert np.linalg.norm(found - points[sources], axis=1).max() < 1e-3
    # Most views are turned; half of them are mirrored.
    assert abs(view.intrinsics[0, 1]) > 1


def test_views_are_turned_and_mirrored_both_ways():
    signs = {(np.sign(k[0, 0]), np.sign(k[1, 0]))
             for k in (draw_view(numbered_depth(), CAMERA, 32, 20., (
                 .7, .9), np.random.default_rng(seed)).intrinsics
                       for seed in range(20))}
    assert len(signs) == 4


def test_a_straight_view_keeps_the_image():
    depth = numbered_depth()
    view = draw_view(depth, CAMERA, WIDTH, 0., (1., 1.),
                     np.random.default_rng(3))
    rows = (WIDTH - HEIGHT) // 2
    assert not view.depth[:rows].any() and not view.depth[-rows:].any()
    shown = view.depth[rows:-rows]
    is_mirrored = view.intrinsics[0, 0] < 0
    np.testing.assert_array_equal(shown[:, ::-1] if is_mirrored else shown,
                                  depth)


def test_points_are_in_the_cell_of_their_pixel():
    depth = numbered_depth()
    points = back_project(depth, CAMERA, np.arange(depth.size))
    view = draw_view(depth, CAMERA, 128, 20., (.7, .9),
                     np.random.default_rng(0))
    view.depth[:40] = 0
    cells = cells_of(points, view, .01)
    assert .2 < np.mean(cells >= 0) < .9
    row, column = np.divmod(cells[cells >= 0], 16)
    assert row.min() >= 5 and row.max() < 16 and column.max() < 16
    u, v, z = view.intrinsics @ points[cells >= 0].T
    assert (np.abs(u / z / 8 - (column + .4375)) <= .5 + 1e-6).all()
    assert (np.abs(v / z / 8 - (row + .4375)) <= .5 + 1e-6).all()
    # Behind or before what a pixel shows, behind the camera, far outside.
    assert (cells_of(points * 1.1, view, .01) < 0).all()
    assert (cells_of(-points, view, 9.) < 0).all()
    assert (cells_of(points + [9, 0, 0], view, 9.) < 0).all()


def test_erased_dropped_and_scaled_pixels():
    depth = np.ones((128, 128), np.float32)
    generator = np.random.default_rng(0)
    shares = [
        np.mean(erase_box(depth, (.2, .4), generator) == 0) for _ in range(50)
    ]
    assert 0 < min(shares) and .1 < max(shares) <= .4**2 + .02
    changed = drop_and_distort(depth, .2, .3, generator)
    is_kept = changed > 0
    assert .78 < is_kept.mean() < .82
    assert .7**2 <= changed[is_kept].min() and changed.max() <= 1.3**2
    assert depth.min() == 1 and np.ptp(changed[is_kept]) > .05


def dataset_of(root, **changes):
    """The mini config's training data, with other settings of views."""
    config = read_config(CONFIG, dict(data_root=f'{root}/'))
    options = config.train_dataloader.dataset.to_dict()
    options['ann_file'] = ''
    steps = {step['type']: step for step in options['pipeline']}
    steps['TwoViews']['transforms'][0]['num_points'] = 300
    steps['DepthViews'].update(size=64, **changes)
    with DefaultScope.overwrite_default_scope('mmdet3d'):
        return DATASETS.build(options)


@pytest.fixture(scope='module')
def frames(tmp_path_factory):
    root = tmp_path_factory.mktemp('frames')
    write_frames(root)
    return root


def test_cells_of_stored_frames(frames):
    """Points see the wall; erased boxes and pixels outside have no cell."""
    inputs = dataset_of(frames)[0]['inputs']
    assert inputs['points'].shape == (2, 300, 6)
    assert inputs['depth_views'].shape == (2, 1, 64, 64)
    cells = inputs['cells']
    assert ((cells >= 0).float().mean(1) >= .4).all() and cells.max() < 64
    assert not torch.equal(*inputs['depth_views'])
    camera = transform(inputs['points'][0, :, 3:].numpy(), np.linalg.inv(POSE))
    row, column = np.divmod(cells[0].numpy(), 8)
    is_shown = (cells[0] >= 0).numpy()
    # Cells follow the image: turned by less than 20 degrees, maybe mirrored.
    for place, axis, least in ((row, 1, .8), (column, 0, .8)):
        agreement = np.corrcoef(place[is_shown], camera[is_shown, axis])[0, 1]
        assert abs(agreement) > least


def test_frames_that_views_do_not_show_are_replaced_and_counted(frames):
    dataset = dataset_of(frames, min_share=.5, crop=(.4, .9), num_tries=1)
    for index in range(len(dataset)):
        shown = dataset[index]['inputs']['cells'] >= 0
        assert (shown.float().mean(1) >= .5).all()
    assert dataset.num_replaced > 0
    dataset = dataset_of(frames, min_share=.5, crop=(.4, .9), num_tries=50)
    assert dataset[0] is not None and dataset.num_replaced == 0


def test_views_without_depth_are_never_taken(frames, monkeypatch):
    """Their features would be NaN."""
    erased = iter([True, True, False])
    monkeypatch.setattr('projects.dpco.depth_view.erase_box',
                        lambda depth, *_: depth * (not next(erased, False)))
    inputs = dataset_of(frames, min_share=0, num_tries=3)[0]['inputs']
    assert inputs['depth_views'].flatten(1).any(1).all()


def test_bad_settings_and_pipelines_are_refused():
    with pytest.raises(UserError, match='multiple'):
        TRANSFORMS.build(dict(type='DepthViews', size=100))
    for name in ('drop', 'distortion', 'min_share'):
        with pytest.raises(UserError, match=f'{name}.*share'):
            TRANSFORMS.build({'type': 'DepthViews', name: 40})
    for name, value in (('crop', (.9, .7)), ('crop', (0, .9)),
                        ('crop', (70, 90)), ('erase', (.4, .2)), ('erase',
                                                                  (-.1, .2))):
        with pytest.raises(UserError, match=f'{name} of DepthViews.*share'):
            TRANSFORMS.build({'type': 'DepthViews', name: value})
    step = TRANSFORMS.build(dict(type='DepthViews', size=64, erase=(0, 0)))
    points = DepthPoints(torch.rand(9, 3))
    for value in (points, [points, points]):
        with pytest.raises(UserError, match='TwoViews'):
            step.transform(dict(points=value))
    points = DepthPoints(
        torch.rand(9, 6), 6, attribute_dims=dict(origin=[3, 4, 5]))
    with pytest.raises(UserError, match='depth_image.*LoadFrameImage'):
        step.transform(dict(points=[points, points]))
    batch = make_batch()
    del batch['inputs']['cells']
    with pytest.raises(UserError, match='DepthViews'):
        losses_of(build(), batch)
    batch = make_batch()
    batch['inputs']['points'] = [p[0] for p in batch['inputs']['points']]
    with pytest.raises(UserError, match='TwoViews'):
        losses_of(build(), batch)


def test_the_network_is_the_published_one():
    """A ResNet-34 of at most 256 channels, and a cell for 8 x 8 pixels."""
    expected, before = 0, 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (256, 3)):
        block = 18 * width**2 + 4 * width
        expected += blocks * block + (before - width) * 9 * width
        expected += before * width + 2 * width  # of the shortcut
        before = width
    stages = DepthUNet(256).stages
    assert sum(p.numel() for p in stages.parameters()) == expected
    assert DepthUNet(32,
                     (8, 8, 16, 16))(torch.rand(2, 1, 64,
                                                96)).shape == (2, 32, 8, 12)


def test_relative_depth_does_not_know_the_distance():
    layer = RelativeDepthConv(4)
    depth = torch.rand(1, 1, 32, 32) + 1
    depth[..., 10:14, 5:9] = 0
    shifted = torch.where(depth > 0, depth + 3, depth)
    torch.testing.assert_close(layer(shifted), layer(depth), atol=1e-4, rtol=0)
    # A slow reference of one window.
    window = depth[0, 0, 9:16, 5:12]
    mean = window[window > 0].mean()
    expected = ((mean - window) * (window > 0) * layer.weight[:, 0]).sum(
        (1, 2))
    torch.testing.assert_close(
        layer(depth)[0, :, 6, 4], expected, atol=1e-5, rtol=1e-4)


def test_half_precision_keeps_relative_depth():
    """Of a wall 3 m away whose bumps are as high as the rounding of bf16."""
    torch.manual_seed(0)
    layer = RelativeDepthConv(4)
    depth = (3 + .01 * torch.rand(1, 1, 64, 64)) / 8
    depth[torch.rand(depth.shape) < .2] = 0
    exact = layer(depth)
    with torch.autocast('cpu', torch.bfloat16):
        rounded = layer(depth)
    assert rounded.dtype == torch.bfloat16
    assert (rounded - exact).abs().max() < .01 * exact.abs().max()


def test_tokens_of_one_cell_are_paired_once():
    model = build()
    points = make_batch(1)['inputs']['points'][0][0][None]
    tokens = model.backbone.tokenize(points)[1]
    cells = torch.full((1, 200), -1)
    anchors = tokens.anchor_indices[0]
    cells[0, anchors[[2, 5, 7]]] = torch.tensor([4, 9, 4])
    found, is_pair = pair_cells(cells, tokens)
    assert is_pair[0].nonzero().flatten().tolist() == [2, 5]
    assert found[0, [2, 5]].tolist() == [4, 9]


def test_equal_features_cost_the_log_of_the_pairs():
    model, batch = build().eval(), make_batch()
    for last in (model.depth_network.out[-1], model.backbone.encoder.norm):
        torch.nn.init.zeros_(last.weight)
        torch.nn.init.ones_(last.bias)
    inputs = model.data_preprocessor(batch)['inputs']
    tokens = model.backbone.tokenize(inputs['points'][:, 0])[1]
    counts = pair_cells(inputs['cells'][:, 0], tokens)[1].sum(1).float()
    losses = losses_of(model, batch)
    assert losses['num_pairs'] == counts.mean() > 10
    torch.testing.assert_close(losses['loss_local'], counts.log().mean() / 2)
    # Queues are empty.
    assert losses['loss_global'].item() == pytest.approx(0, abs=1e-6)


def test_formats_can_be_swapped():
    """What one format pays to find the other does not depend on which."""
    model = build().eval()
    features = torch.randn(6, 16, 16)
    queries, keys = (
        FormatFeatures(None, None, None, *pair)
        for pair in features[:4, :3].unflatten(0, (2, 2)))
    queues = model.point_queue, model.depth_queue
    for queue, stored in zip(queues, features[4:]):
        queue.features.copy_(stored)
        queue.num_pushed.fill_(QUEUE)
    expected = model.contrast_frames(queries, keys)

    def swapped(features):
        return features._replace(points=features.depth, depth=features.points)

    assert abs(model.contrast_frames(queries, swapped(keys)) - expected) > .1
    model.point_queue, model.depth_queue = queues[::-1]
    torch.testing.assert_close(
        model.contrast_frames(swapped(queries), swapped(keys)), expected)


def test_queues_hold_the_keys_of_the_other_format():
    model, batch = build(), make_batch(3)
    losses_of(model, batch)
    inputs = model.data_preprocessor(batch)['inputs']
    keys = model.key_networks(inputs['points'][:, 1], inputs['depth_views'][:,
                                                                            1])
    for queue, expected in ((model.point_queue, keys.points),
                            (model.depth_queue, keys.depth)):
        torch.testing.assert_close(queue.features[:3], expected)
        assert queue().is_filled.tolist() == [True] * 3 + [False] * 13
    # One right key and 15 orthogonal ones: log(1 + 15 exp(-1 / T)).
    basis = torch.linalg.qr(torch.randn(16, 16))[0]
    for queue in (model.point_queue, model.depth_queue):
        queue.features.copy_(basis)
        queue.features[0] = -basis[0]
        queue.num_pushed.fill_(QUEUE)
    features = keys._replace(points=basis[:1], depth=basis[:1])
    loss = model.eval().contrast_frames(features, features)
    assert loss.item() == pytest.approx(
        math.log1p(15 * math.exp(-1 / .07)), abs=1e-5)


def test_evaluation_changes_nothing():
    model, batch = build(), make_batch()
    before = copy.deepcopy(model.state_dict())
    losses_of(model.eval(), batch)
    torch.testing.assert_close(dict(model.state_dict()), dict(before))


def test_two_frames_are_learned():
    """Their tokens and themselves, beside the queued keys of others."""
    model, batch = build(), make_batch()
    for seed in range(1, 5):
        losses_of(model, make_batch(seed=seed))
    queues = {
        name: queue.clone()
        for name, queue in model.state_dict().items() if 'queue.' in name
    }
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    history = []
    for _ in range(100):
        optimizer.zero_grad()
        losses = losses_of(model, batch)
        (losses['loss_local'] + losses['loss_global']).backward()
        optimizer.step()
        model.load_state_dict(queues, strict=False)
        history.append(losses)
    for name in ('loss_local', 'loss_global'):
        assert history[-1][name] < .2 * history[0][name], name
