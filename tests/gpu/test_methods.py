"""A step of every method on the emulated GPU is that of the CPU."""
import pytest
import torch

from tests.emulated_cuda import EmulatedTensor, emulated_cuda
from tests.projects import test_every_method as methods

cases, frames = methods.cases, methods.frames  # fixtures


def losses_of(model, batch, dtype=None):
    """Losses of a batch, and the norm of their gradients."""
    inputs = model.data_preprocessor(batch, True)
    device = next(model.parameters()).device.type
    with torch.autocast(device, dtype, enabled=dtype is not None):
        losses = model(**inputs, mode='loss')
    total, logged = model.parse_losses(losses)
    total.backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    norm = torch.stack([g.float().norm() for g in gradients]).norm()
    return dict({k: v.item() for k, v in logged.items()}, norm=norm.item())


@pytest.mark.parametrize('stage', methods.STAGES)
def test_losses_are_those_of_the_cpu(stage, cases):
    check(cases[stage])


@pytest.mark.parametrize('config', [
    'point_contrast/configs/point_contrast_voxels_mini.py',
    'depth_contrast/configs/depth_contrast_joint_mini.py'
])
def test_losses_of_voxels_are_those_of_the_cpu(config, frames, tmp_path):
    check(methods.make_case(f'projects/{config}', frames, tmp_path))


def check(case):
    """In full and in half precision."""
    batch = methods.batches(case)[0]
    expected = losses_of(methods.exact(case), batch)
    with emulated_cuda():
        model = methods.exact(case).to('cuda')
        found = losses_of(model, batch)
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-5)
        assert all(isinstance(p, EmulatedTensor) for p in model.parameters())
        half = losses_of(methods.exact(case).to('cuda'), batch, torch.float16)
    assert half['loss'] == pytest.approx(expected['loss'], rel=.1, abs=1e-3)
