"""Every model trains and predicts on the emulated GPU as on the CPU."""
import pytest
import torch

from tests.emulated_cuda import EmulatedTensor

NAMES = ('stage 1', 'stage 2', 'joint', 'kNN teacher', 'Point-MAE', 'VoteNet',
         'VoteNet, rotated', 'VoteNet, PointNet++', 'GroupFree3D',
         'GroupFree3D, rotated', '3DETR', '3DETR, rotated', '3DETR-m',
         'segmentor', 'segmentor, S3DIS')
NUM_POINTS = 400


def leaves(model):
    return [*model.parameters(), *model.buffers()]


def gradients(case):
    """Those of the step, a tenth each, as the optimizer keeps them."""
    states = [case.optimizer.state[p] for p in case.model.parameters()]
    return [state['exp_avg'] for state in states if state]


def to_cuda(case):
    """The case on the device; the optimizer follows its parameters."""
    case.model.to('cuda')
    assert all(isinstance(t, EmulatedTensor) for t in leaves(case.model))
    return case


@pytest.mark.parametrize('name', NAMES)
def test_step_and_prediction_are_those_of_the_cpu(models, device, name):
    on_cpu = models.build_case(name, True, NUM_POINTS)
    on_gpu = to_cuda(models.build_case(name, True, NUM_POINTS))
    if on_cpu.predicts:
        found = models.predict(on_gpu)
        assert found == pytest.approx(
            models.predict(on_cpu), rel=1e-3, abs=1e-5)
    with models.without_dropout(on_cpu.model):
        expected = models.run_step(on_cpu, 'cpu')
    with models.without_dropout(on_gpu.model):
        found = models.run_step(on_gpu, 'cuda')
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-5)
    tolerance = 1e-4 * expected['grad_norm']
    for mine, theirs in zip(gradients(on_gpu), gradients(on_cpu)):
        assert mine.is_cuda
        torch.testing.assert_close(
            mine.cpu(), theirs, atol=tolerance, rtol=1e-2)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('name', NAMES)
def test_mixed_precision(models, device, name, dtype):
    """Near the CPU's, in its own bfloat16 where that decides matches."""
    on_cpu = models.build_case(name, True, NUM_POINTS)
    on_gpu = to_cuda(models.build_case(name, True, NUM_POINTS))
    with models.without_dropout(on_cpu.model):
        expected = models.run_step(on_cpu, 'cpu',
                                   dtype if dtype == torch.bfloat16 else None)
    with models.without_dropout(on_gpu.model):
        found = models.run_step(on_gpu, 'cuda', dtype)
    assert found['loss'] == pytest.approx(expected['loss'], rel=.25)
    assert all(t.dtype != dtype for t in leaves(on_gpu.model))
