"""Tests of inputs on their way from the pipeline to the model."""
import numpy as np
import pytest
import torch
from mmdet3d.structures import Det3DDataSample

from sam3d_plugin.models import FramePreprocessor
from sam3d_plugin.models.pretrainers import FrameImagePreprocessor


def forward(columns=dict(), **inputs):
    sample = Det3DDataSample(metainfo=dict(point_columns=columns))
    return FramePreprocessor()(dict(inputs=inputs, data_samples=[sample] * 2))


def test_every_input_is_stacked_under_its_name():
    points = [torch.rand(5, 4, dtype=torch.float64) for _ in range(2)]
    images = [torch.full((3, 2, 2), i, dtype=torch.uint8) for i in range(2)]
    out = forward(points=points, image=images)
    assert len(out['data_samples']) == 2
    assert set(out['inputs']) == {'points', 'image'}
    assert out['inputs']['points'].dtype == torch.float32
    assert torch.equal(out['inputs']['points'], torch.stack(points).float())
    assert out['inputs']['image'].dtype == torch.uint8
    assert torch.equal(out['inputs']['image'], torch.stack(images))
    again = forward(points=out['inputs']['points'])
    assert torch.equal(again['inputs']['points'], out['inputs']['points'])


def test_unequal_or_other_inputs_are_refused_by_name():
    with pytest.raises(ValueError, match="'points'.*PointSample"):
        forward(points=[torch.rand(5, 3), torch.rand(6, 3)])
    with pytest.raises(ValueError, match="'image'.*equal"):
        forward(image=[torch.rand(3, 2, 2), torch.rand(3, 2, 4)])
    with pytest.raises(ValueError, match="'scan'.*meta_keys"):
        forward(scan=['a', 'b'])


def test_region_ids_stay_on_the_cpu_too():
    points = [torch.rand(5, 6) for _ in range(2)]
    found = forward(dict(origin=3, region=5), points=points)['inputs']
    assert torch.equal(found['region_ids'], torch.stack(points)[..., 5])
    assert 'region_ids' not in forward(dict(origin=3), points=points)['inputs']


def test_images_are_standardized():
    sizes = np.array([[[0, 255]], [[100, 7]], [[50, 1]]], np.uint8)
    images = [torch.from_numpy(sizes), torch.zeros(3, 1, 2).byte()]
    points = [torch.rand(5, 3) for _ in range(2)]
    model = FrameImagePreprocessor(mean=(10, 20, 30), std=(1, 2, 4))
    assert not model.state_dict()
    batch = dict(inputs=dict(points=points, color_image=images))
    inputs = model(batch)['inputs']
    expected = [[[[-10, 245]], [[40, -6.5]], [[5, -7.25]]],
                [[[-10, -10]], [[-10, -10]], [[-7.5, -7.5]]]]
    torch.testing.assert_close(inputs['color_image'], torch.tensor(expected))
    torch.testing.assert_close(inputs['points'], torch.stack(points))
    # Probes read points alone.
    assert set(model(dict(inputs=dict(points=points)))['inputs']) == {'points'}


def test_default_mean_and_std_are_those_of_imagenet():
    model = FrameImagePreprocessor()
    torch.testing.assert_close(model.mean.flatten() / 255,
                               torch.tensor([.485, .456, .406]))
    torch.testing.assert_close(model.std.flatten() / 255,
                               torch.tensor([.229, .224, .225]))
