"""How often a training step waits for the GPU."""
import pytest
import torch

from tests.models.pretraining_cases import (BALANCED_HEAD, JOINT, KNN, STAGE1,
                                            build, losses_of, make_batch,
                                            save_teacher, stage2, total,
                                            with_parts)

BALANCED = dict(STAGE1, head=BALANCED_HEAD)


@pytest.mark.parametrize('name, most', [
    ('stage 1', 0),
    ('stage 1, kNN', 1),
    ('stage 2', 1),
    ('stage 2, kNN', 1),
    ('joint', 1),
])
def test_a_step_waits_rarely(device, tmp_path, name, most):
    """Masked tokens hold as many points as only the GPU knows."""
    config = {
        'stage 1': BALANCED,
        'stage 1, kNN': with_parts(BALANCED, tokenizer=KNN),
        'joint': JOINT
    }.get(name)
    if config is None:
        config = stage2(save_teacher(tmp_path / 'teacher.pth'))
        if 'kNN' in name:
            config = with_parts(config, tokenizer=KNN)
    model = build(config).to('cuda').train()
    optimizer = torch.optim.AdamW(model.parameters())
    for _ in range(2):  # the first reads the teacher
        device.waits.clear()
        total(losses_of(model, make_batch((6, 25)))).backward()
        optimizer.step()
    assert device.count() <= most, device.places()


def test_a_condition_is_required_without_a_wait(device):
    from sam3d_plugin.ops.transfer import require
    device.waits.clear()
    require(torch.ones(3, device='cuda').all(), lambda: ValueError('bad'))
    assert device.count() == 0
    with pytest.raises(RuntimeError, match='bad'):
        require(torch.zeros(3, device='cuda').all(), lambda: ValueError('bad'))
    with pytest.raises(ValueError, match='bad'):
        require(torch.zeros(3).all(), lambda: ValueError('bad'))
