from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from sam3d_plugin.ops.projection import back_project, transform
from sam3d_plugin.preparation.sources.scans.scan import CLASS_NAMES
from sam3d_plugin.store.posed_images import (check_pose, decode_color,
                                             decode_depth, decode_matrix)
from sam3d_plugin.synthrooms.build import (build_scene, scene_fields,
                                           scene_files)
from sam3d_plugin.synthrooms.fused_scan import (FusionSettings, SyntheticFrame,
                                                fuse, label_scan)
from sam3d_plugin.synthrooms.ray_casting import RayCaster
from tests.synthrooms.conftest import SMALL


def aligned_cameras(scene):
    return [scene.scan.axis_align @ frame.pose for frame in scene.frames]


def test_boxes_are_the_extents_of_their_points(scene):
    scan = scene.scan
    ids = [
        i for i in np.unique(scan.instance) if scene.classes[i] in CLASS_NAMES
    ]
    assert len(ids) == len(scan.boxes) > 0
    for number, box, label in zip(ids, scan.boxes, scan.box_classes):
        points = scan.aligned_xyz[scan.instance == number]
        assert label == scene.classes[number]
        assert np.allclose(box[:3] - box[3:] / 2, points.min(0), atol=1e-9)
        assert np.allclose(box[:3] + box[3:] / 2, points.max(0), atol=1e-9)


def test_semantic_ids_are_the_classes_of_the_instances(scene):
    scan = scene.scan
    assert np.array_equal(scan.semantic, scene.classes[scan.instance])
    counts = np.bincount(scan.instance)
    assert ((counts[1:] == 0) | (counts[1:] >= 30)).all()
    seen = np.unique([frame.instance for frame in scene.frames])
    assert set(np.unique(scan.instance)) - {0} <= set(seen)


def test_cameras_stand_in_the_rooms_and_in_no_furniture(scene):
    for pose in aligned_cameras(scene):
        position = pose[:3, 3]
        assert 1.3 < position[2] < 1.8
        room = next(r for r in scene.rooms
                    if r.rectangle[0] < position[0] < r.rectangle[2])
        assert room.rectangle[1] < position[1] < room.rectangle[3]
        for placed in room.pieces:
            boxes = placed.boxes()
            away = position - boxes.center
            cos, sin = np.cos(placed.yaw), np.sin(placed.yaw)
            local = away @ [[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]
            assert not (np.abs(local) < boxes.half).all(1).any()


def test_alignment_puts_the_floor_at_zero_and_walls_on_the_axes(scene):
    scan = scene.scan
    floor = scan.aligned_xyz[scan.semantic == 2]
    assert np.abs(np.median(floor[:, 2])) < 0.02
    x0, y0, x1, y1 = scene.rooms[0].rectangle
    wall = scan.aligned_xyz[scan.semantic == 1]
    edges = np.abs(
        np.stack([
            wall[:, 0] - x0, wall[:, 0] - x1, wall[:, 1] - y0, wall[:, 1] - y1
        ])).min(0)
    assert np.median(edges) < 0.03
    # The recording's own frame is turned.
    assert not np.allclose(scan.axis_align[:2, :2], np.eye(2), atol=1e-3)


def test_back_projected_depth_lies_on_the_scan(scene):
    tree = cKDTree(scene.scan.xyz)
    for frame in scene.frames:
        check_pose(frame.pose, 'pose')
        depth = frame.millimeters.astype(np.float32) / 1000
        pixels = np.flatnonzero((depth > 0) & (depth < 3))
        points = back_project(depth, scene.intrinsics, pixels)
        world = transform(points.astype(np.float64), frame.pose)
        away, index = tree.query(world)
        assert np.median(away) < 0.02
        true = frame.instance.reshape(-1)[pixels]
        assert (scene.scan.instance[index] == true).mean() > 0.95


def test_files_hold_what_was_made(scene):
    files = scene_files(scene)
    images = f'posed_images/{scene.scan.name}'
    for index, frame in enumerate(scene.frames):
        stem = f'{images}/{index:05d}'
        color = decode_color(files[f'{stem}.jpg'], stem).astype(int)
        assert np.abs(color - frame.color).mean() < 5
        depth = decode_depth(files[f'{stem}.png'], stem)
        assert np.array_equal(depth, frame.millimeters)
        pose = decode_matrix(files[f'{stem}.txt'], stem)
        assert np.array_equal(pose, frame.pose)
    fields = scene_fields(scene)
    points = np.frombuffer(files[f'points/{scene.scan.name}.bin'], '<f4')
    assert len(points) == 6 * fields['num_points']
    assert sum(fields['boxes'].values()) == len(fields['info']['instances'])


def test_fusion_averages_by_weight_and_labels_by_majority():
    # Two frames look at a plane; one in four pixels of the second is wrong.
    intrinsics = np.array([[40, 0, 19.5], [0, 40, 14.5], [0, 0, 1.0]])
    shape = (30, 40)
    ids = np.ones(shape, np.int64)
    ids[::2, ::2] = 2
    frames = [
        SyntheticFrame(
            np.full((*shape, 3), gray, np.uint8),
            np.full(shape, millimeters, np.uint16), labels, labels, np.eye(4))
        for gray, millimeters, labels in ((100, 2000,
                                           np.ones(shape, np.int64)),
                                          (140, 2010, ids))
    ]
    settings = FusionSettings(voxel=0.2)
    points, instance = fuse(
        np.random.default_rng(0), frames, intrinsics, settings)
    assert (instance == 1).all()
    assert ((points[:, 2] > 2.0) & (points[:, 2] < 2.01)).all()
    assert ((points[:, 3:] > 100) & (points[:, 3:] < 140)).all()


def test_pixels_beside_depth_edges_are_not_fused():
    intrinsics = np.array([[40, 0, 19.5], [0, 40, 14.5], [0, 0, 1.0]])
    depth = np.full((30, 40), 1000, np.uint16)
    depth[:, 20:] = 2000
    frame = SyntheticFrame(
        np.zeros((30, 40, 3), np.uint8), depth, np.ones((30, 40), int),
        np.ones((30, 40), int), np.eye(4))
    points, _ = fuse(
        np.random.default_rng(0), [frame], intrinsics,
        FusionSettings(voxel=0.001, max_points=10**6))
    assert len(points) == 30 * 38


def test_a_pixel_less_leaves_the_other_points_of_the_scan():
    """Processors differ in single pixels."""
    intrinsics = np.array([[40, 0, 19.5], [0, 40, 14.5], [0, 0, 1.0]])
    depth = np.full((30, 40), 1000, np.uint16)
    settings = FusionSettings(voxel=0.01, max_points=500)

    def drawn(seed):
        frame = SyntheticFrame(
            np.zeros((30, 40, 3), np.uint8), depth, np.ones((30, 40), int),
            np.ones((30, 40), int), np.eye(4))
        points, _ = fuse(
            np.random.default_rng(seed), [frame], intrinsics, settings)
        assert len(points) == 500
        return {tuple(point) for point in points}

    whole, other = drawn(0), drawn(1)
    assert len(whole & other) < 300
    depth[3, 3] = 0
    assert len(whole - drawn(0)) <= 10
    # As many from every part of the image.
    x, y = np.array(list(whole))[:, :2].T
    counts = np.histogram2d(x, y, bins=4)[0]
    assert counts.min() > 15 and counts.max() < 47


def test_instances_of_few_points_are_unlabelled():
    points = np.random.default_rng(0).random((70, 6)).astype(np.float32)
    instance = np.repeat([1, 2], [60, 10])
    scan = label_scan('a', points, instance, np.array([0, 5, 7]), np.eye(4))
    assert scan.semantic.tolist() == [5] * 60 + [0] * 10
    assert scan.box_classes.tolist() == [5]


def test_a_camera_outside_the_rooms_is_a_fault(scene):
    from sam3d_plugin.synthrooms.rendering import Renderer
    from sam3d_plugin.synthrooms.scene_mesh import build_mesh
    mesh = build_mesh(np.random.default_rng(0), scene.rooms)
    renderer = Renderer(mesh, scene.intrinsics, (12, 16), 0.075)
    outside = np.eye(4)
    outside[:3, 3] = (0, 0, -50)
    outside[2, 2] = outside[1, 1] = -1
    with pytest.raises(AssertionError, match='outside the rooms'):
        renderer.view(outside)


def test_the_last_digit_of_a_ray_moves_no_camera(scene, monkeypatch):
    """Processors differ in it: embree takes their widest instructions."""
    cast = RayCaster.cast

    def differ(caster, origins, directions):
        hits = cast(caster, origins, directions)
        toward = np.where(np.arange(len(hits.distance)) % 2, 0, np.inf)
        nudged = np.nextafter(hits.distance, toward.astype(np.float32))
        return replace(hits, distance=nudged)

    monkeypatch.setattr(RayCaster, 'cast', differ)
    again = build_scene(0, 'scene0007_00', SMALL)
    for frame, expected in zip(again.frames, scene.frames):
        np.testing.assert_array_equal(frame.pose, expected.pose)
