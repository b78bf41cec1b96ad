"""Every model trains and predicts on the emulated GPU as on the CPU."""
import functools

import pytest
import torch

from tests.emulated_cuda import EmulatedTensor, emulated_cuda

NAMES = ('stage 1', 'stage 2', 'joint', 'kNN teacher', 'Point-MAE', 'VoteNet',
         'VoteNet, rotated', 'VoteNet, PointNet++', 'GroupFree3D',
         'GroupFree3D, rotated', '3DETR', '3DETR, rotated', '3DETR-m',
         'V-DETR', 'segmentor', 'segmentor, S3DIS', 'VoteNet, voxels',
         'segmentor, voxels')
# Those with different point operations, also without mmcv's kernels.
IN_TORCH = ('kNN teacher', 'VoteNet, PointNet++', 'GroupFree3D, rotated',
            '3DETR-m', 'segmentor, S3DIS')
NUM_POINTS = 400


def leaves(model):
    return [*model.parameters(), *model.buffers()]


def gradients(case):
    """Those of the step, a tenth each, as the optimizer keeps them."""
    states = [case.optimizer.state[p] for p in case.model.parameters()]
    return [state['exp_avg'] for state in states if state]


def run(models, name, device, dtype=None):
    """Prediction, losses and gradients of a model in a first step."""
    case = models.build_case(name, True, NUM_POINTS)
    case.model.to(device)
    predicted = models.predict(case) if case.predicts and not dtype else {}
    with models.without_dropout(case.model):
        losses = models.run_step(case, device, dtype)
    return predicted, losses, case


@functools.lru_cache(maxsize=None)
def on_cpu(models, name, dtype=None):
    return run(models, name, 'cpu', dtype)


@pytest.mark.parametrize('name, kernels', [
    *((name, 'mmcv') for name in NAMES),
    *((name, 'torch') for name in IN_TORCH),
])
def test_step_and_prediction_are_those_of_the_cpu(models, name, kernels):
    predicted, losses, expected = on_cpu(models, name)
    with emulated_cuda(kernels):
        found = run(models, name, 'cuda')
        assert found[0] == pytest.approx(predicted, rel=1e-3, abs=1e-5)
        assert found[1] == pytest.approx(losses, rel=1e-3, abs=1e-5)
        tolerance = 1e-4 * losses['grad_norm']
        for mine, theirs in zip(gradients(found[2]), gradients(expected)):
            assert mine.is_cuda
            torch.testing.assert_close(
                mine.cpu(), theirs, atol=tolerance, rtol=1e-2)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('name', NAMES)
def test_mixed_precision(models, name, dtype):
    """Near the CPU's, in bfloat16 of both where rounding decides matches."""
    _, losses, _ = on_cpu(models, name,
                          dtype if dtype == torch.bfloat16 else None)
    with emulated_cuda():
        _, found, case = run(models, name, 'cuda', dtype)
        assert all(isinstance(t, EmulatedTensor) for t in leaves(case.model))
        assert found['loss'] == pytest.approx(losses['loss'], rel=.25)
        assert all(t.dtype != dtype for t in leaves(case.model))
