"""Tests of the true classes of points."""
import json

import numpy as np
import pytest

from sam3d_plugin.datasets.transforms import load_frame_labels as module
from sam3d_plugin.evaluation.token_features import labelled_frames
from sam3d_plugin.store.errors import StoreError
from tests.datasets.frame_store import band_of_height
from tests.evaluation.labelled_store import LABELS, write_labelled_set


@pytest.fixture
def root(tmp_path):
    return write_labelled_set(tmp_path)


def frames(root, num_points=300):
    return labelled_frames(str(root), 'splits/train.txt', num_points)


def test_classes_are_those_of_scannet():
    assert len(module.CLASSES) == len(module.NYU40_IDS) == 20
    assert module.CLASSES[:2] == ('wall', 'floor')
    assert module.NYU40_IDS[:2] == (1, 2)


@pytest.mark.parametrize('num_points', [300, 5000])
def test_every_point_has_the_class_of_its_own_pixel(root, num_points):
    dataset = frames(root, num_points)
    dataset.pipeline.transforms[0].center = 'none'
    for index in range(len(dataset)):
        sample = dataset[index]
        labels = sample['data_samples'].gt_pts_seg.pts_semantic_mask
        bands = band_of_height(sample['inputs']['points'][:, 2])
        assert (labels.numpy() == np.array(LABELS)[bands]).all()
        assert set(labels.tolist()) == set(LABELS)


def test_labels_move_with_the_points(root):
    """mmdet3d's own sampling takes them along."""
    from mmdet3d.datasets.transforms import PointSample
    dataset = frames(root)
    load, label = dataset.pipeline.transforms[:2]
    load.center = 'none'
    results = label(load(dataset.get_data_info(0)))
    results = PointSample(100)(results)
    bands = band_of_height(results['points'].tensor[:, 2])
    assert (results['pts_semantic_mask'] == np.array(LABELS)[bands]).all()
    moved = label(results)['pts_semantic_mask']
    assert (moved == np.array(LABELS)[bands]).all()
    load.point_columns = dict(region=3)
    with pytest.raises(ValueError, match="'pixel' into the columns"):
        label(load(dataset.get_data_info(0)))


def test_missing_and_foreign_files_are_named(root):
    (root / 'frame_instances' / 'alpha' / '00001.png').unlink()
    with pytest.raises(StoreError, match='make_synthrooms'):
        frames(root)[1]
    scene = root / 'scenes' / 'alpha.json'
    scene.write_text(json.dumps(dict(instance_classes=[0, 1])))
    with pytest.raises(StoreError, match='does not belong'):
        frames(root)[0]
    scene.write_text('{}')
    with pytest.raises(StoreError, match='no instance_classes'):
        frames(root)[0]
