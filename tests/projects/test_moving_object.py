"""Moving objects in frames: how they move, where, and which there are."""
import math

import cv2
import numpy as np
import pytest
import torch
from mmdet3d.registry import DATASETS, TRANSFORMS
from mmdet3d.structures import DepthPoints
from mmengine import fileio
from mmengine.registry import DefaultScope

import projects.four_d_contrast  # noqa: F401 (registers)
from projects.four_d_contrast.object_motion import (Camera, draw_motion,
                                                    look_at, noise_deviation)
from sam3d_plugin.datasets.seeding import SampleKey, seeded
from sam3d_plugin.engine.options import read_config
from sam3d_plugin.ops.projection import pixel_indices, project, transform
from sam3d_plugin.store.errors import StoreError, UserError
from sam3d_plugin.store.object_library import (ObjectLibrary, read_objects,
                                               write_objects)
from sam3d_plugin.synthrooms.meshes import MeshBuilder
from sam3d_plugin.synthrooms.object_library import make_objects, sample_surface
from tests.datasets.frame_store import write_boxes, write_data_set
from tests.store.test_files import Bucket
from tools.preparation import make_objects as make_objects_tool

CONFIG = 'projects/four_d_contrast/configs/four_d_contrast_mini.py'
HEIGHT, WIDTH, WALL, EYE = 120, 160, 4.5, 1.5
CAMERA = np.array([[140., 0, 80], [0, 140, 60], [0, 0, 1]])
# The camera looks along y, 20 degrees down; z is up.
SIN, COS = math.sin(math.radians(20)), math.cos(math.radians(20))
TO_WORLD = np.array([[1, 0, 0, 0], [0, -SIN, COS, 0], [0, -COS, -SIN, EYE],
                     [0, 0, 0, 1]])
STEPS, LOADED = 4, 10000


def room_depth():
    """Depth of a floor and a wall, meters."""
    v, u = np.indices((HEIGHT, WIDTH))
    rays = np.stack([(u - CAMERA[0, 2]) / CAMERA[0, 0],
                     (v - CAMERA[1, 2]) / CAMERA[1, 1],
                     np.ones_like(u)],
                    axis=-1) @ TO_WORLD[:3, :3].T
    down = np.where(rays[..., 2] < 0, -EYE / rays[..., 2], np.inf)
    return np.minimum(down, WALL / rays[..., 1]).astype(np.float32)


def room(loaded=LOADED, seed=0):
    """What the steps before make of the room."""
    generator = np.random.default_rng(seed)
    depth = room_depth()
    pixels = generator.choice(depth.size, loaded, replace=loaded > depth.size)
    v, u = np.divmod(pixels, WIDTH)
    rays = np.linalg.inv(CAMERA) @ np.stack([u, v, np.ones_like(u)])
    origins = transform((rays * depth.reshape(-1)[pixels]).T, TO_WORLD)
    points = torch.from_numpy(np.hstack([origins - [0, 2, 0], origins]))
    return dict(
        points=DepthPoints(
            points.float(), 6, attribute_dims=dict(origin=[3, 4, 5])),
        depth_image=depth[None],
        depth_intrinsics=CAMERA,
        depth_pose=np.linalg.inv(TO_WORLD))


def camera():
    return Camera(room_depth(), CAMERA, np.linalg.inv(TO_WORLD))


@pytest.fixture(scope='module')
def library(tmp_path_factory):
    root = tmp_path_factory.mktemp('objects')
    write_boxes(root)
    return root / 'objects.npz'


def step_of(library, **options):
    return TRANSFORMS.build(
        dict(
            dict(
                type='PlaceMovingObject',
                library=str(library),
                num_views=STEPS,
                noise=0.), **options))


def placed(library, seed=0, loaded=LOADED, **options):
    with seeded(SampleKey(0, 0, seed)):
        return step_of(library, **options).transform(room(loaded))


def is_on_object(result):
    """(P,) bool, which tracks are on the object."""
    num_tracks = result['tracks'].shape[1]
    return np.arange(num_tracks) < num_tracks // 2


def views_of(result):
    """(T, N, 6) points of all views."""
    return torch.stack([view['points'].tensor for view in result['views']])


def project_origins(origins):
    """Pixel, whether inside, and depth of points in the world."""
    uv, z = project(
        transform(np.asarray(origins, float), np.linalg.inv(TO_WORLD)), CAMERA)
    return *pixel_indices(uv, HEIGHT, WIDTH), z


def rigid_fit(first, second):
    """Rotation and shift that best move points (n, 3) onto others."""
    middles = first.mean(0), second.mean(0)
    left, _, right = np.linalg.svd(
        (first - middles[0]).T @ (second - middles[1]))
    turn = (left @ np.diag([1, 1, np.linalg.det(left @ right)]) @ right).T
    return turn, middles[1] - turn @ middles[0]


@pytest.mark.parametrize('seed', range(3))
def test_a_motion_is_rigid(seed):
    generator = np.random.default_rng(seed)
    start = np.array([1., 2, .5])
    motion = draw_motion(start, 6, (.1, .3), .5, generator)
    points = generator.uniform(-1, 1, (50, 3))
    moved = motion.move(points)
    for turn, shift, found in zip(motion.turns, motion.shifts, moved):
        cos, sin = math.cos(turn), math.sin(turn)
        expected = points @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]
                                      ]) + shift
        assert np.abs(found - expected).max() < 1e-6
    np.testing.assert_array_equal(motion.shifts[0], start)
    steps = np.diff(motion.shifts, axis=0)
    assert (steps[:, 2] == 0).all()
    lengths = np.linalg.norm(steps, axis=1)
    assert (lengths >= .1).all() and (lengths <= .3).all()
    # It turns by as much as its way does.
    headings = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    np.testing.assert_allclose(
        np.diff(headings), np.diff(motion.turns)[1:], atol=1e-6)
    assert (np.abs(np.diff(motion.turns)) <= .5).all()


@pytest.mark.parametrize('seed', range(4))
def test_tracked_points_move_rigidly_or_not_at_all(library, seed):
    result = placed(library, seed, radius=1e-4)
    views, tracks = views_of(result), torch.from_numpy(result['tracks'])
    places = views.gather(1, tracks[..., None].expand(-1, -1, 6))
    is_seen, is_object = result['is_seen'], is_on_object(result)
    assert is_seen[0, is_object].sum() > 10
    assert is_seen[:, ~is_object].sum(1).min() > 100
    for t in range(1, STEPS):
        still = is_seen[0] & is_seen[t] & ~is_object
        assert torch.equal(places[0, still], places[t, still])
        # With a tiny radius, pairs are the same sample.
        moving = is_seen[0] & is_seen[t] & is_object
        assert moving.sum() > 3
        first, second = (
            places[s, moving, 3:].double().numpy() for s in (0, t))
        turn, shift = rigid_fit(first, second)
        assert np.abs(first @ turn.T + shift - second).max() < 2e-6
        np.testing.assert_allclose(turn[2], [0, 0, 1], atol=1e-3)
    # Columns and coordinates agree: the center is that of the frame.
    np.testing.assert_allclose(
        views[..., 3:] - views[..., :3],
        np.broadcast_to([0, 2, 0], views.shape[:2] + (3, )),
        atol=1e-5)


def test_half_of_the_matches_are_on_the_object(library):
    seen = []
    for seed in range(4):
        result = placed(library, seed, num_tracks=128)
        is_shared = result['is_seen'][:-1] & result['is_seen'][1:]
        is_object = is_on_object(result)
        assert result['is_seen'][0, is_object].mean() > .9
        seen.append([is_shared[:, is_object].sum(), is_shared.sum()])
    on_object, everywhere = np.sum(seen, axis=0)
    assert .4 < on_object / everywhere < .6


# The larger cloud is the full config's; pictures of the other have holes.
@pytest.mark.parametrize('loaded, error', [(LOADED, .3), (25000, .2)])
@pytest.mark.parametrize('seed', range(4))
def test_an_object_is_free_and_hides_what_is_behind_it(library, seed, loaded,
                                                       error):
    """Its points are in front of the room, on the floor, and alone there."""
    result, step = placed(library, seed, loaded), step_of(library)
    depth = room_depth().reshape(-1)
    frame = {
        row.tobytes()
        for row in views_of(dict(views=[room(loaded)]))[0, :, 3:].numpy()
    }
    for view in views_of(result).numpy():
        is_scene = np.array([row.tobytes() in frame for row in view[:, 3:]])
        share = 1 - is_scene.mean()
        assert .02 <= share <= step.max_share + .01
        assert len(view) == loaded * .8
        pixels, is_inside, z = project_origins(view[:, 3:])
        assert is_inside.all()
        on_object = ~is_scene
        assert (z[on_object] <= depth[pixels[on_object]] + 1e-4).all()
        assert (view[on_object, 5] >= 0).all()
        # Rays: no point of the room behind one of the object.
        nearest = np.full(depth.size, np.inf)
        np.minimum.at(nearest, pixels[on_object], z[on_object])
        assert (z[is_scene] <= nearest[pixels[is_scene]]).all()
        # As dense as the room, seen from the camera.
        picture = np.zeros(depth.size, np.uint8)
        picture[pixels[on_object]] = 1
        picture = cv2.morphologyEx(
            picture.reshape(HEIGHT, WIDTH), cv2.MORPH_CLOSE, np.ones((5, 5)))
        covered = picture.sum()
        per_pixel = is_scene.sum() / (depth.size - covered)
        assert on_object.sum() / covered == pytest.approx(per_pixel, rel=error)


def test_only_the_front_is_seen():
    """Of a cube before the camera."""
    generator = np.random.default_rng(0)
    sides = generator.uniform(-.3, .3, (6000, 3))
    axis = generator.integers(0, 3, 6000)
    sides[np.arange(6000), axis] = np.sign(sides[np.arange(6000), axis]) * .3
    sight = look_at(sides + [0, 2, .31], camera())
    assert sight.inside == 1 and sight.clearance > 0
    seen = sides[sight.is_seen]
    # It faces the camera, which looks down on it.
    on_front = seen[:, 1] < -.25
    on_top = seen[:, 2] > .25
    assert (on_front | on_top).mean() > .95
    # But for pixels of its outline.
    assert ((seen[:, 1] > .29) & (seen[:, 2] < .25)).mean() < .01
    assert .25 < sight.is_seen.mean() < .4
    assert look_at(sides + [0, WALL, .31], camera()).clearance < 0
    assert look_at(sides + [0, 2, -.2], camera()).clearance < 0
    assert look_at(sides + [0, .1, EYE], camera()).clearance < 0


def test_noise_is_that_of_a_depth_camera(library):
    exact, noisy = (
        views_of(placed(library, 1, noise=noise)) for noise in (0., 1.))
    is_moved = (exact != noisy).any(-1)
    assert .02 < is_moved.float().mean() < .21
    first, second = (
        transform(points[is_moved][:, 3:].double().numpy(),
                  np.linalg.inv(TO_WORLD)) for points in (exact, noisy))
    z = first[:, 2]
    errors = (second[:, 2] - z) / noise_deviation(z)
    assert abs(errors.mean()) < .1 and errors.std() == pytest.approx(1, .1)
    # Along the ray.
    np.testing.assert_allclose(
        second[:, :2] / second[:, 2:], first[:, :2] / z[:, None], atol=1e-4)


def test_positions_alone_do_not_find_the_object(library):
    """Nearest neighbors in space match what stands still, not what moves."""
    found = {True: [], False: []}
    for seed in range(6):
        result = placed(library, seed)
        views, tracks = views_of(result), result['tracks']
        is_seen = result['is_seen'][0] & result['is_seen'][1]
        first, second = (views[t, tracks[t, is_seen], :3] for t in (0, 1))
        nearest = torch.cdist(first, second).argmin(1)
        is_own = (nearest == torch.arange(len(first))).numpy()
        for is_object in found:
            chosen = is_on_object(result)[is_seen] == is_object
            found[is_object].append(is_own[chosen].mean())
    assert np.mean(found[False]) > .98
    assert np.mean(found[True]) < .4


def test_frames_without_space_are_replaced_and_counted(tmp_path):
    root = write_data_set(tmp_path)
    options = read_config(CONFIG, dict(data_root=f'{root}/'))
    options = options.train_dataloader.dataset.to_dict()
    options['ann_file'] = ''
    steps = {step['type']: step for step in options['pipeline']}
    steps['LoadRGBDPoints']['num_points'] = 500
    steps['PlaceMovingObject'].update(num_tries=1, num_views=3)
    with DefaultScope.overwrite_default_scope('mmdet3d'):
        dataset = DATASETS.build(options)
        for index in range(len(dataset)):
            inputs = dataset[index]['inputs']
            assert inputs['points'].shape == (3, 400, 6)
            assert inputs['tracks'].shape == inputs['is_seen'].shape
            assert inputs['tracks'].max() < 400
            # Each view is turned in its own way.
            assert not torch.equal(*inputs['points'][:2, :, :3])
        assert dataset.num_replaced > 0
        steps['PlaceMovingObject']['library'] = 'none.npz'
        with pytest.raises(FileNotFoundError, match='make_objects'):
            DATASETS.build(options)[0]


def test_unusable_settings_points_and_libraries(library, tmp_path):
    with pytest.raises(UserError, match='num_views'):
        step_of(library, num_views=1)
    with pytest.raises(UserError, match='max_share.*share'):
        step_of(library, max_share=20)
    points = DepthPoints(torch.rand(9, 3))
    with pytest.raises(UserError, match='origin'):
        step_of(library).transform(dict(room(), points=points))
    without = room()
    del without['depth_pose']
    with pytest.raises(UserError, match='depth_pose.*LoadFrameImage'):
        step_of(library).transform(without)
    turned = room()
    turned['points'].rotate(.1)
    with pytest.raises(UserError, match='TwoViews'):
        step_of(library).transform(turned)
    path = tmp_path / 'objects.npz'
    box = read_objects(library).points[:1]
    for content, word in ((b'text', 'delete'), (None, 'points'), (np.zeros(
        (1, 4, 2)), 'finite'), (np.full(
            (1, 4, 3), np.nan), 'finite'), (box + [0, 0, 1], 'z = 0'),
                          (box + [.3, 0, 0], 'z axis'), (box * 1000,
                                                         'meters')):
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is None:
            np.savez(path, names=np.array(['a']))
        else:
            write_objects(path, ObjectLibrary(['a'], content))
        with pytest.raises(StoreError, match=word):
            read_objects(path)


def test_objects_are_read_from_an_object_store(library):
    fileio.register_backend('bucket', Bucket, force=True)
    Bucket.objects.clear()
    Bucket.objects['far/objects.npz'] = library.read_bytes()
    options = dict(backend_args=dict(backend='bucket'))
    near, far = (views_of(placed(file, **how))
                 for file, how in ((library, {}), ('far/objects.npz',
                                                   options)))
    assert torch.equal(near, far)
    with pytest.raises(FileNotFoundError, match='make_objects'):
        placed('far/none.npz', **options)
    Bucket.objects.clear()


def test_the_tool_makes_furniture(tmp_path):
    assert make_objects_tool.main(['--data', str(tmp_path)]) == 0
    library = read_objects(tmp_path / 'objects.npz')
    again = make_objects(0, 6)
    np.testing.assert_array_equal(library.points[:6], again.points)
    assert library.names[:6] == again.names and len(library.names) == 48
    assert len(set(library.names)) == 5
    size = library.points.max(1) - library.points.min(1)
    assert (size > .15).all() and (size < 2).all()
    middles = library.points.max(1) + library.points.min(1)
    assert np.abs(middles[:, :2]).max() < .05
    missing = ['--data', str(tmp_path / 'missing')]
    assert make_objects_tool.main(missing) != 0


def test_the_tool_replaces_no_other_objects(library, tmp_path, capfd):
    arguments, path = ['--data', str(tmp_path)], tmp_path / 'objects.npz'
    for content in (library.read_bytes(), b'text'):
        path.write_bytes(content)
        assert make_objects_tool.main(arguments) != 0
        assert path.read_bytes() == content
        assert 'delete it' in capfd.readouterr().err
    path.unlink()
    assert make_objects_tool.main(arguments) == 0
    made = path.stat()
    assert make_objects_tool.main(arguments) == 0
    assert path.stat().st_mtime_ns == made.st_mtime_ns


def test_surfaces_are_sampled_evenly():
    builder = MeshBuilder()
    builder.box((0, 0, 0), (1, 2, 3))
    points = sample_surface(builder.build(), 40000, np.random.default_rng(0))
    for axis, size in enumerate((1, 2, 3)):
        on_side = [
            np.abs(points[:, axis] - end).min(
                initial=9, where=np.abs(points[:, axis] - end) < 1e-9) < 1
            for end in (0, size)
        ]
        assert all(on_side)
        share = (np.abs(points[:, axis] - size) < 1e-9).mean()
        assert share == pytest.approx(6 / size / 22, rel=.1)
    inside = (points > 1e-9) & (points < np.array([1, 2, 3]) - 1e-9)
    assert not inside.all(1).any()
