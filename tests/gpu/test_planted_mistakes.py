"""Mistakes that only a GPU shows, planted in small models: all are caught."""
import numpy as np
import pytest
import torch
from torch import nn

from tests.emulated_cuda import emulated_cuda


class Model(nn.Module):
    """A linear layer, scaled; a subclass makes the mistake."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.register_buffer('scale', torch.ones(3))

    def forward(self, points):
        return (self.layer(points) * self.scale).sum()


class UnregisteredBuffer(Model):

    def __init__(self):
        super().__init__()
        del self.scale
        self.scale = torch.ones(3)


class FactoryWithoutDevice(Model):

    def forward(self, points):
        return (self.layer(points) + torch.zeros(len(points), 3)).sum()


class MaskOfTheCPU(Model):

    def forward(self, points):
        is_masked = torch.rand(points.shape) < .5
        return self.layer(points).masked_fill(is_masked, 0).sum()


class NumpyOfTheGPU(Model):

    def forward(self, points):
        return super().forward(points) * np.median(points.detach().numpy())


class IndexOfTheGPU(Model):

    def forward(self, points):
        names = torch.arange(10)
        return super().forward(points) + names[points.argmax(0)].sum()


class GeneratorOfTheCPU(Model):

    def forward(self, points):
        noise = torch.rand(
            points.shape,
            device=points.device,
            generator=torch.Generator().manual_seed(0))
        return super().forward(points + noise)


class PinnedOnTheGPU(Model):

    def forward(self, points):
        return super().forward(points.pin_memory())


class HiddenSubmodule(Model):

    def __init__(self):
        super().__init__()
        self.hidden = [nn.Linear(3, 3)]

    def forward(self, points):
        return super().forward(self.hidden[0](points))


class LossOfTheCPU(Model):

    def forward(self, points):
        losses = [super(LossOfTheCPU, self).forward(points)]
        return torch.stack([*losses, torch.tensor(0.)]).sum()


MISTAKES = {
    UnregisteredBuffer: (RuntimeError, 'same device'),
    FactoryWithoutDevice: (RuntimeError, 'same device'),
    MaskOfTheCPU: (RuntimeError, 'same device'),
    NumpyOfTheGPU: (TypeError, 'Tensor.cpu'),
    IndexOfTheGPU: (RuntimeError, 'indices'),
    GeneratorOfTheCPU: (RuntimeError, 'generator'),
    PinnedOnTheGPU: (RuntimeError, 'pin'),
    HiddenSubmodule: (RuntimeError, 'same device'),
    LossOfTheCPU: (RuntimeError, 'same device'),
}


def step(model, points):
    optimizer = torch.optim.AdamW(model.parameters())
    loss = model(points)
    loss.backward()
    optimizer.step()


@pytest.mark.parametrize('mistake', list(MISTAKES), ids=lambda m: m.__name__)
def test_mistakes(mistake, device):
    points = torch.rand(4, 3)
    if mistake is not PinnedOnTheGPU:  # without CUDA nothing can be pinned
        step(mistake(), points)  # unnoticed on the CPU
    error, message = MISTAKES[mistake]
    with pytest.raises(error, match=message):
        step(mistake().to('cuda'), points.to('cuda'))
    step(Model().to('cuda'), points.to('cuda'))


class WaitsInALoop(Model):

    def forward(self, points):
        total = super().forward(points)
        for row in points:
            if row.sum() > 0:  # waits for every row
                total = total + float(row.max())
        return total


@pytest.mark.parametrize('model, count', [(Model, 0), (WaitsInALoop, 8)])
def test_waits_in_a_loop_are_counted(device, model, count):
    points = torch.ones(4, 3, device='cuda')
    built = model().to('cuda')
    device.waits.clear()
    step(built, points)
    assert device.count() == device.count('scalar') == count
    assert len(device.places()) == (2 if count else 0)


def test_the_kernels_of_mmcv_are_asked_as_they_want(device):
    from sam3d_plugin import ops
    from sam3d_plugin.ops._mmcv import originals
    points = torch.rand(1, 50, 3).cuda()
    ball = originals()['BallQuery'].forward
    with pytest.raises(RuntimeError, match='contiguous'):
        ball(None, 0., 1., 4, points.transpose(1, 2), points)
    with pytest.raises(RuntimeError, match='BFloat16'):
        ball(None, 0., 1., 4, points.bfloat16(), points)
    with pytest.raises(RuntimeError, match='two devices'):
        ops.ball_query(0., 1., 4, points, points.cpu())


def test_nothing_is_left_behind():
    with emulated_cuda():
        points = torch.rand(4, 3, device='cuda')
    assert not torch.cuda.is_available()
    assert type(torch.rand(2) + 1) is torch.Tensor
    assert points.cpu().shape == (4, 3)
