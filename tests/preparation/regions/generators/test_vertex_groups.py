"""Groups of vertices seen from frames, against a slow reference."""
import numpy as np
import pytest

from sam3d_plugin.ops.projection import back_project, transform
from sam3d_plugin.preparation.regions.generators import build_generator
from sam3d_plugin.preparation.regions.generators.vertex_groups import \
    carry_to_color
from sam3d_plugin.store import write_region_file
from sam3d_plugin.store.errors import FrameError
from sam3d_plugin.store.posed_images import Cameras, RGBDFrame, encode_matrix
from .precomputed_cases import generate
from .sam_cases import frame_of

SIZE = (24, 32)
INTRINSICS = np.array([[30., 0, 15.5], [0, 31., 11.5], [0, 0, 1]])


def seen_scene(seed=0):
    """A frame of a wavy wall with holes, and vertices near it."""
    rng = np.random.default_rng(seed)
    v, u = np.mgrid[:SIZE[0], :SIZE[1]]
    depth = (2 + 0.2 * np.sin(u / 5) + 0.01 * v).astype(np.float32)
    depth[:3], depth[10, 10:14], depth[11, 4] = 0, 0, np.nan
    pose = np.eye(4)
    pose[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    pose[:3, :3] *= np.linalg.det(pose[:3, :3])
    pose[:3, 3] = [1, 2, 3]
    frame = frame_of(
        np.zeros((*SIZE, 3), np.uint8), '00000', depth, pose, INTRINSICS)
    pixels = rng.permutation(np.flatnonzero(depth > 0))[:200]
    xyz = transform(back_project(depth, INTRINSICS, pixels), pose)
    xyz = (xyz + rng.normal(0, 0.02, xyz.shape)).astype(np.float32)
    return frame, xyz, rng.integers(0, 5, len(xyz))


def brute_force(frame, xyz, groups, distance):
    ids = np.zeros(frame.depth.shape, int)
    for v, u in np.ndindex(*ids.shape):
        z = frame.depth[v, u]
        if not z > 0:
            continue
        camera = np.linalg.inv(INTRINSICS) @ [u, v, 1] * z
        world = frame.pose[:3, :3] @ camera + frame.pose[:3, 3]
        away = np.linalg.norm(xyz - world, axis=1)
        if away.min() < distance:
            ids[v, u] = groups[away.argmin()]
    return ids


@pytest.mark.parametrize('distance', [0.05, 0.15])
def test_groups_of_nearest_vertices(tmp_path, distance):
    frame, xyz, groups = seen_scene()
    np.savez(tmp_path / 'a.npz', xyz=xyz, region=groups)
    ids = generate(frame, tmp_path, 'vertices', distance=distance)
    expected = brute_force(frame, xyz, groups, distance)
    assert len(np.unique(expected)) == 5 and (expected == 0).any()
    np.testing.assert_array_equal(ids, expected)


def test_vertices_in_a_frame_of_their_own(tmp_path):
    frame, xyz, groups = seen_scene()
    align = np.eye(4)
    align[:2, :2] = [[0, -1], [1, 0]]
    align[:3, 3] = [5, 6, 7]
    np.savez(
        tmp_path / 'a_labelled.npz',
        xyz_aligned=transform(xyz, align),
        sam3d_ensemble_group=groups)
    (tmp_path / 'a_align.txt').write_bytes(encode_matrix(align))
    ids = generate(
        frame,
        tmp_path / '{scan}_labelled.npz',
        'vertices',
        world_to_scan=str(tmp_path / '{scan}_align.txt'))
    # These groups count from 0, so that all are regions.
    np.testing.assert_array_equal(ids, brute_force(frame, xyz, groups + 1,
                                                   0.05))


def test_region_files_of_a_data_set(tmp_path):
    frame, xyz, groups = seen_scene()
    (tmp_path / 'points').mkdir()
    points = np.hstack([xyz, np.zeros_like(xyz)])
    points.tofile(tmp_path / 'points' / 'a.bin')
    write_region_file(tmp_path / 'regions' / 'a.npz', groups, xyz, 'a')
    options = dict(points=tmp_path / 'points')
    ids = generate(frame, tmp_path / 'regions', 'vertices', **options)
    np.testing.assert_array_equal(ids, brute_force(frame, xyz, groups, 0.05))
    points[0, 0] += 1
    points.tofile(tmp_path / 'points' / 'a.bin')
    error = generate(frame, tmp_path / 'regions', 'vertices', **options)
    assert isinstance(error, FrameError) and 'other points' in str(error)
    (tmp_path / 'points' / 'a.bin').write_bytes(b'12345')
    error = generate(frame, tmp_path / 'regions', 'vertices', **options)
    assert 'float32' in str(error)


def test_vertices_of_each_scan(tmp_path):
    frame, xyz, groups = seen_scene()
    other, other_xyz, other_groups = seen_scene(1)
    other = RGBDFrame('b', '0', other.color, other.depth, other.pose,
                      other.cameras)
    np.savez(tmp_path / 'a.npz', xyz=xyz, region=groups)
    np.savez(tmp_path / 'b.npz', xyz=other_xyz, region=other_groups)
    generator = build_generator('precomputed',
                                dict(path=tmp_path, form='vertices'))
    assert generator.needs_depth
    maps = generator.generate([frame, other, frame])
    np.testing.assert_array_equal(maps[0], brute_force(frame, xyz, groups,
                                                       0.05))
    np.testing.assert_array_equal(
        maps[1], brute_force(other, other_xyz, other_groups, 0.05))
    np.testing.assert_array_equal(maps[2], maps[0])


def test_bad_vertex_files(tmp_path):
    frame, xyz, groups = seen_scene()
    assert 'a.npz is missing' in str(generate(frame, tmp_path, 'vertices'))
    missing = tmp_path / '{scan}-x.npz'
    assert 'a-x.npz is missing' in str(generate(frame, missing, 'vertices'))
    np.savez(tmp_path / 'a.npz', xyz=xyz)
    assert 'no group ids' in str(generate(frame, tmp_path, 'vertices'))
    np.savez(tmp_path / 'a.npz', xyz=xyz, region=groups)
    error = generate(
        frame, tmp_path, 'vertices', world_to_scan=str(tmp_path / 'no.txt'))
    assert 'no.txt is missing' in str(error)
    (tmp_path / 'a.npz').write_bytes(b'PK')
    assert 'cannot be read' in str(generate(frame, tmp_path, 'vertices'))
    np.savez(tmp_path / 'a.npz', xyz=xyz + 9, region=groups)
    assert 'no region' in str(generate(frame, tmp_path, 'vertices'))


def two_cameras(scale, shift):
    color = INTRINSICS.copy()
    color[:2, :2] *= scale
    color[:2, 2] = (color[:2, 2] + 0.5) * scale - 0.5
    to_color = np.eye(4)
    to_color[0, 3] = shift
    return Cameras(color, INTRINSICS, to_color, False)


def test_larger_colour_images_have_no_gaps():
    depth = np.full(SIZE, 2, np.float32)
    ids = np.random.default_rng(0).integers(1, 9, SIZE)
    size = (SIZE[0] * 3, SIZE[1] * 3)
    moved = carry_to_color(ids, depth, two_cameras(3, 0.), size)
    np.testing.assert_array_equal(moved, ids.repeat(3, 0).repeat(3, 1))
    depth[8:16] = 0
    moved = carry_to_color(ids, depth, two_cameras(3, 0.), size)
    assert (moved[30:42] == 0).all() and (moved[:24] > 0).all()


def test_nearer_surfaces_hide_others_from_the_colour_camera():
    depth = np.full(SIZE, 3, np.float32)
    depth[:, 16:20] = 1
    ids = np.where(depth == 1, 2, 1)
    # 0.2 m at 30 pixels: near ones move by 6 pixels, far ones by 2.
    moved = carry_to_color(ids, depth, two_cameras(1, 0.2), SIZE)
    assert (moved[:, 22:26] == 2).all() and (moved[:, 2:18] == 1).all()
    # What the near surface hid from the depth camera stays unknown, but for
    # the pixel beside each border.
    assert (moved == 2).sum() == 5 * SIZE[0]
    assert (moved[:, 19:21] == 0).all()


def test_no_depth_pixel_reaches_the_colour_image():
    depth = np.full(SIZE, 2, np.float32)
    moved = carry_to_color(
        np.ones(SIZE, int), depth, two_cameras(1, 50.), SIZE)
    assert moved.shape == SIZE and not moved.any()
