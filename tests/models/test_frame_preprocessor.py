"""Tests of inputs on their way from the pipeline to the model."""
import pytest
import torch
from mmdet3d.structures import Det3DDataSample

from sam3d_plugin.models import FramePreprocessor


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
