"""Gathering and interpolation, forward and backward, against loops."""
import pytest
import torch

from sam3d_plugin.ops import (gather_points, grouping_operation,
                              three_interpolate)


def slow_group(features, indices):
    batch_size, channels, _ = features.shape
    result = features.new_zeros(batch_size, channels, *indices.shape[1:])
    for b in range(batch_size):
        for m in range(indices.shape[1]):
            for k in range(indices.shape[2]):
                result[b, :, m, k] = features[b, :, indices[b, m, k]]
    return result


def slow_interpolate(features, indices, weight):
    parts = slow_group(features, indices)
    return (parts * weight[:, None]).sum(-1)


def make(device, num_points=7, dtype=torch.float64):
    torch.manual_seed(0)
    features = torch.randn(2, 4, num_points, device=device, dtype=dtype)
    indices = torch.randint(
        0, num_points, (2, 5, 3), dtype=torch.int32, device=device)
    indices[0, 0] = num_points - 1  # duplicates must add up in backward
    weight = torch.rand(2, 5, 3, device=device, dtype=dtype)
    return features, indices, weight


@pytest.mark.parametrize('num_points', [1, 7])
def test_forward(device, num_points):
    features, indices, weight = make(device, num_points)
    expected = slow_group(features, indices)
    assert torch.equal(grouping_operation(features, indices), expected)
    assert torch.equal(
        gather_points(features, indices[..., 0].contiguous()), expected[...,
                                                                        0])
    torch.testing.assert_close(
        three_interpolate(features, indices, weight),
        slow_interpolate(features, indices, weight))


@pytest.mark.parametrize('num_points', [1, 7])
def test_backward(device, num_points):
    features, indices, weight = make(device, num_points)
    features.requires_grad_()
    for call in (lambda x: grouping_operation(x, indices),
                 lambda x: gather_points(x, indices[..., 0].contiguous()),
                 lambda x: three_interpolate(x, indices, weight)):
        assert torch.autograd.gradcheck(call, features, nondet_tol=1e-12)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_features_keep_their_type(device, dtype):
    features, indices, weight = make(device, dtype=torch.float32)
    half = features.to(dtype).requires_grad_()
    with torch.autocast(device, dtype=dtype):
        outputs = (grouping_operation(half, indices),
                   gather_points(half, indices[..., 0].contiguous()),
                   three_interpolate(half, indices, weight))
    for output in outputs:
        assert output.dtype == dtype
    torch.testing.assert_close(
        outputs[2].float(),
        slow_interpolate(half.float(), indices, weight),
        rtol=1e-2,
        atol=1e-2)
    sum(output.sum() for output in outputs).backward()
    assert half.grad.dtype == dtype and half.grad.abs().sum() > 0


def test_strided_features(device):
    features, indices, weight = make(device)
    strided = features.transpose(1, 2).contiguous().transpose(1, 2)
    assert torch.equal(
        grouping_operation(strided, indices.long()),
        grouping_operation(features, indices))


def test_empty(device):
    features = torch.randn(2, 4, 6, device=device, requires_grad=True)
    none = torch.zeros(2, 0, 3, dtype=torch.int32, device=device)
    outputs = (grouping_operation(features,
                                  none), gather_points(features, none[..., 0]),
               three_interpolate(features, none, none.float()))
    assert [output.shape for output in outputs] == [(2, 4, 0, 3), (2, 4, 0),
                                                    (2, 4, 0)]
    sum(output.sum() for output in outputs).backward()
    assert features.grad.eq(0).all()


def test_index_outside_is_refused():
    features, indices, _ = make('cpu')
    with pytest.raises(RuntimeError, match='out of bounds'):
        grouping_operation(features, indices + 7)
    weight = torch.ones(2, 5, 3)
    for wrong in (indices + 7, indices - 7):
        with pytest.raises(IndexError, match='out of bounds'):
            three_interpolate(features, wrong, weight)


@pytest.mark.parametrize('channels', [1, 3, 4, 7])
def test_interpolation_of_any_number_of_channels(channels, device):
    _, indices, weight = make(device, dtype=torch.float32)
    features = torch.randn(2, channels, 7, device=device)
    torch.testing.assert_close(
        three_interpolate(features, indices, weight),
        slow_interpolate(features, indices, weight))
