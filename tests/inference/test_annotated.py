"""Annotated scans: their points, colors and true boxes."""
import numpy as np
import pytest
import torch
from mmdet3d.structures import DepthInstance3DBoxes
from mmengine.registry import init_default_scope

from sam3d_plugin.engine.options import read_config
from sam3d_plugin.engine.scan_visualizer import to_boxes
from sam3d_plugin.inference import AnnotatedScans
from sam3d_plugin.visualization.boxes import box_corners
from sam3d_plugin.visualization.points import colors_from_ids

CONFIG = 'configs/sam3d/votenet_scannet_mini.py'


@pytest.fixture
def scans(scannet_root):
    init_default_scope('mmdet3d')
    return AnnotatedScans(
        read_config(CONFIG, dict(data_root=str(scannet_root))))


def change(scans, monkeypatch, **changes):
    info = scans.dataset.get_data_info(0)
    info.update(changes)
    monkeypatch.setattr(scans.dataset, 'get_data_info', lambda _: info)
    return info


def test_boxes_keep_their_corners():
    boxes = DepthInstance3DBoxes(
        torch.tensor([[1., 2, 3, 4, 2, 1, .3], [0, 0, 0, 1, 1, 1, 0]]))
    ours = to_boxes(boxes, np.array([1, -1]), ('bed', 'sofa'))
    assert ours.names == ('sofa', )
    gap = box_corners(ours.boxes)[0][:, None] - boxes.corners[0].numpy()
    np.testing.assert_allclose(
        np.abs(gap).sum(axis=2).min(axis=1), 0, atol=1e-5)


def test_points_are_aligned_and_colored(scans, scannet_root, monkeypatch):
    path = scannet_root / 'points/a.bin'
    stored = np.fromfile(path, np.float32).reshape(-1, 6)
    align = np.array([[0., -1, 0, 5], [1, 0, 0, 0], [0, 0, 1, 2], [0, 0, 0,
                                                                   1]])
    info = change(scans, monkeypatch, axis_align_matrix=align)
    scene = scans.scene(0)
    assert scene.name == 'a' and len(scene.true) == 2
    np.testing.assert_allclose(scene.points[:, 0], 5 - stored[:, 1], atol=1e-6)
    np.testing.assert_allclose(scene.points[:, 2], 2 + stored[:, 2], atol=1e-6)
    np.testing.assert_array_equal(scene.colors, stored[:, 3:].astype(np.uint8))
    colors = scans.scene(0, 'region').colors
    octants = (stored[:, :3] > np.median(stored[:, :3], axis=0)) @ [1, 2, 4]
    assert (colors == colors_from_ids(octants)).all(axis=1).mean() > 0.99
    del info['pts_region_path']
    with pytest.raises(ValueError, match='no region file'):
        scans.scene(0, 'region')


def test_colors_from_zero_to_one_are_scaled(scans, scannet_root):
    path = scannet_root / 'points/a.bin'
    stored = np.fromfile(path, np.float32).reshape(-1, 6)
    np.hstack([stored[:, :3], stored[:, 3:] / 255]).tofile(path)
    bright = scans.scene(0).colors.astype(int)
    assert np.abs(bright - stored[:, 3:]).max() < 1.01


@pytest.mark.parametrize('content', [b'', b'12345', bytes(24) + b'1234567'])
def test_truncated_points_are_refused(scans, scannet_root, content):
    (scannet_root / 'points/a.bin').write_bytes(content)
    with pytest.raises(ValueError, match='truncated'):
        scans.scene(0)
    (scannet_root / 'points/a.bin').unlink()
    with pytest.raises(FileNotFoundError, match='a.bin is missing'):
        scans.scene(0)
