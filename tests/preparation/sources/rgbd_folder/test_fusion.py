"""Fusing frames into clouds of points."""
import io
import pickle

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from rich.console import Console

from sam3d_plugin.preparation.running.runs import RunOptions, run_step
from sam3d_plugin.preparation.sources.rgbd_folder.fuse_step import (
    FuseStep, FusionSettings, write_infos)
from sam3d_plugin.preparation.sources.rgbd_folder.fusion import (fuse_frames,
                                                                 voxel_keys)
from sam3d_plugin.store.errors import FrameError, StoreError
from sam3d_plugin.store.manifest import (ItemRecord, ScanRecord, Store,
                                         file_checksum)
from sam3d_plugin.store.posed_images import (Cameras, PosedImages, RGBDFrame,
                                             encode_color, frame_files)

INTRINSICS = np.array([[40.0, 0, 19.5], [0, 40, 14.5], [0, 0, 1]])
CAMERAS = Cameras(INTRINSICS, INTRINSICS, np.eye(4), True)


def looking_down(x, height=2.0):
    """A camera at (x, 0, height + 1 cm) that looks at the floor z = 1 cm."""
    pose = np.diag([1.0, -1, -1, 1])
    pose[:3, 3] = x, 0, height + 0.01
    depth = np.full((30, 40), height, np.float32)
    color = np.full((30, 40, 3), (255, 0, 0), np.uint8)
    return RGBDFrame('room', f'{x}', color, depth, pose, CAMERAS)


def test_the_floor_is_a_floor():
    frames = [looking_down(0.0), looking_down(0.4)]
    xyz, rgb = fuse_frames(frames, voxel=0.1, min_pixels=1)
    assert np.allclose(xyz[:, 2], 0.01, atol=1e-6)
    assert xyz[:, 0].min() < -0.9 and xyz[:, 0].max() > 1.3
    assert (rgb == (255, 0, 0)).all()
    # One point for each voxel.
    assert len(np.unique(np.floor(xyz / 0.1)[:, :2], axis=0)) == len(xyz)


def test_points_are_the_means_of_their_voxels():
    frame = looking_down(0.0)
    xyz, _ = fuse_frames([frame] * 20, voxel=0.3, min_pixels=1)
    once, _ = fuse_frames([frame], voxel=0.3, min_pixels=1)
    assert np.allclose(xyz, once, atol=1e-6)


def test_voxels_seen_by_few_pixels_are_dropped():
    frame = looking_down(0.0)
    frame.depth[3, 5] = 0.7  # a flying pixel
    loose, _ = fuse_frames([frame], voxel=0.2, min_pixels=1)
    strict, _ = fuse_frames([frame], voxel=0.2, min_pixels=2)
    assert loose[:, 2].max() > 1 and strict[:, 2].max() < 0.02


def test_far_depth_is_not_used():
    with pytest.raises(FrameError, match='check the depth scale'):
        fuse_frames([looking_down(0.0)], max_depth=1.0)


def test_the_most_seen_voxels_stay():
    frames = [looking_down(0.0)] + [looking_down(5.0)] * 3
    xyz, _ = fuse_frames(frames, voxel=0.1, max_points=50)
    assert len(xyz) == 50 and xyz[:, 0].min() > 3


def test_points_out_of_reach_are_refused():
    with pytest.raises(FrameError, match='too far'):
        voxel_keys(np.array([[1e6, 0, 0]]), 0.01)


def write_scan(root, scan, count=3):
    images = PosedImages(root / 'posed_images')
    images.write_cameras(scan, CAMERAS)
    for i in range(count):
        frame = looking_down(0.3 * i)
        files = frame_files(
            encode_color(frame.color), (frame.depth * 1000).astype(np.uint16),
            frame.pose)
        for ending, content in files.items():
            (root /
             f'posed_images/{scan}/{i:05d}{ending}').write_bytes(content)


def test_a_folder_of_frames_becomes_a_data_set(tmp_path):
    from mmdet3d.datasets import ScanNetDataset
    init_default_scope('mmdet3d')
    write_scan(tmp_path, 'a')
    write_scan(tmp_path, 'b')
    (tmp_path / 'posed_images/b/00001.jpg').write_bytes(b'torn')
    console = Console(file=io.StringIO())
    report = run_step(
        FuseStep(tmp_path, FusionSettings(min_pixels=1)), tmp_path,
        RunOptions(workers=0), console)
    assert report.made == 2
    record = Store(tmp_path).manifest()['b'].items['b']
    assert '00001.jpg' in record.fields['left_out']['00001']
    assert 'b/00001: ' in console.file.getvalue()
    write_infos(tmp_path, {}, None)
    data = ScanNetDataset(
        str(tmp_path),
        'scannet_infos_val.pkl',
        pipeline=[
            dict(
                type='LoadPointsFromFile',
                coord_type='DEPTH',
                load_dim=6,
                use_dim=6)
        ],
        test_mode=True)
    points = data[1]['points'].tensor.numpy()
    assert len(data) == 2 and np.allclose(points[:, 2], 0.01, atol=1e-6)
    again = run_step(
        FuseStep(tmp_path, FusionSettings(min_pixels=1)), tmp_path,
        RunOptions(workers=0), console)
    # The scan with a bad frame is tried again.
    assert (again.made, again.kept) == (1, 1)


def test_frames_that_come_later_are_fused_too(tmp_path):
    console = Console(file=io.StringIO())
    write_scan(tmp_path, 'a')
    images = tmp_path / 'posed_images'
    store = Store(images)
    store.open('posed_images', {})

    def fuse():
        files = {
            f'a/{path.name}': path.read_bytes()
            for path in sorted((images / 'a').glob('0*'))
        }
        marks = {
            path: file_checksum(content)
            for path, content in files.items()
        }
        store.write_record(
            ScanRecord('a', {'all': ItemRecord('ok', '', marks)}))
        return run_step(
            FuseStep(tmp_path, FusionSettings(min_pixels=1)), tmp_path,
            RunOptions(workers=0), console)

    assert (fuse().made, fuse().kept) == (1, 1)
    for path in sorted((images / 'a').glob('00000.*')):
        path.with_stem('00007').write_bytes(path.read_bytes())
    assert (fuse().made, fuse().kept) == (1, 1)


def test_fusing_again_keeps_the_regions_in_use(tmp_path):
    write_scan(tmp_path, 'a')
    run_step(
        FuseStep(tmp_path, FusionSettings(min_pixels=1)), tmp_path,
        RunOptions(workers=0), Console(file=io.StringIO()))
    (tmp_path / 'regions').mkdir()
    (tmp_path / 'regions/a.npz').write_bytes(b'')
    path = write_infos(tmp_path, {}, None)['train']
    info, = pickle.loads(path.read_bytes())['data_list']
    assert info['pts_region_path'] == 'a.npz'


def test_a_split_of_unknown_scans_is_refused(tmp_path):
    write_scan(tmp_path, 'a')
    run_step(
        FuseStep(tmp_path, FusionSettings(min_pixels=1)), tmp_path,
        RunOptions(workers=0), Console(file=io.StringIO()))
    with pytest.raises(StoreError, match='split val names c'):
        write_infos(tmp_path, dict(train=['a'], val=['c']), None)


@pytest.mark.parametrize('option, value', [('voxel', 0.0),
                                           ('max_depth', float('nan')),
                                           ('max_points', -3)])
def test_settings_must_be_positive(option, value):
    with pytest.raises(StoreError, match=f'--{option.replace("_", "-")} '):
        FusionSettings(**{option: value})


def test_a_folder_without_frames_is_refused(tmp_path):
    with pytest.raises(StoreError, match='posed_images holds no scan'):
        FuseStep(tmp_path).scans()
