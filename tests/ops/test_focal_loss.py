"""The focal loss that mmdet's FocalLoss calls on a GPU."""
import pytest
import torch
from mmdet.models.losses.focal_loss import py_sigmoid_focal_loss

from sam3d_plugin.ops import install
from sam3d_plugin.ops.focal_loss import sigmoid_focal_loss


def case(num_classes=3):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(20, num_classes, generator=generator) * 3
    return (logits.requires_grad_(),
            torch.randint(num_classes + 1, (20, ), generator=generator))


@pytest.mark.parametrize('num_classes', [1, 3])
def test_is_that_of_mmdet_with_its_gradient(num_classes):
    logits, target = case(num_classes)
    truth = torch.nn.functional.one_hot(target, num_classes + 1)
    expected = py_sigmoid_focal_loss(
        logits, truth[:, :num_classes], gamma=2., alpha=.25, reduction='none')
    found = sigmoid_focal_loss(logits, target, 2., .25, None, 'none')
    torch.testing.assert_close(found, expected)
    (of_found, ) = torch.autograd.grad(found.sum(), logits)
    (of_expected, ) = torch.autograd.grad(expected.sum(), logits)
    torch.testing.assert_close(of_found, of_expected)


def test_reductions_weights_and_types():
    logits, target = case()
    every = sigmoid_focal_loss(logits, target, reduction='none')
    torch.testing.assert_close(
        sigmoid_focal_loss(logits, target),
        every.sum() / 20)
    torch.testing.assert_close(
        sigmoid_focal_loss(logits, target, reduction='sum'), every.sum())
    weights = torch.tensor([1., 2, 3])
    weighted = sigmoid_focal_loss(
        logits, target, weight=weights, reduction='none')
    torch.testing.assert_close(
        weighted,
        every * torch.tensor([1., 2, 3, 1])[target][:, None])
    half = sigmoid_focal_loss(logits.bfloat16(), target, reduction='none')
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, every, atol=.05, rtol=.05)
    assert sigmoid_focal_loss(logits[:0], target[:0], reduction='sum') == 0
    with pytest.raises(ValueError, match='reduction'):
        sigmoid_focal_loss(logits, target, reduction='max')


def test_mmdet_calls_it():
    import mmdet.models.losses.focal_loss as module
    install()
    assert module._sigmoid_focal_loss is sigmoid_focal_loss
