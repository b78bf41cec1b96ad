"""Stage 2: teacher and student."""
import copy

import pytest
import torch
from mmdet3d.registry import MODELS
from mmengine.config import Config
from mmengine.optim import OptimWrapper

from sam3d_plugin.store.checkpoint import CheckpointError
from .pretraining_cases import (BALANCED_HEAD, EMBEDDING, ENCODER, STAGE1,
                                build, losses_of, make_batch, stage2, total,
                                without_drop_path, without_norm_statistics)


def test_teacher_stays_out_of_the_student(checkpoint):
    model = build(stage2(checkpoint))
    model.init_weights()
    teacher = model.target_generator.teacher
    before = copy.deepcopy(teacher.state_dict())
    model.train()
    optimizer = OptimWrapper(torch.optim.AdamW(model.parameters(), lr=1e-2))
    model.train_step(make_batch(), optimizer)
    assert not any(module.training for module in teacher.modules())
    assert all(teacher.state_dict()[k].equal(v) for k, v in before.items())
    owned = {id(p) for p in model.parameters()}
    assert not any(id(p) in owned for p in teacher.parameters())
    assert all(p.grad is None for p in teacher.parameters())
    assert {name.split('.')[0]
            for name in model.state_dict()
            } == {'backbone', 'decoder', 'global_head', 'frames_seen'}


def test_a_student_can_start_from_the_teacher(checkpoint):
    state = torch.load(checkpoint, weights_only=True)['state_dict']
    for start, same in (('teacher', True), ('scratch', False)):
        model = build(stage2(checkpoint, init_student=start))
        model.init_weights()
        copied = [
            model.backbone.encoder.state_dict()['blocks.0.qkv.weight'].equal(
                state['backbone.encoder.blocks.0.qkv.weight']),
            model.backbone.embedding.state_dict()['token_layer.weight'].equal(
                state['backbone.embedding.token_layer.weight']),
            model.decoder.transformer.state_dict()
            ['blocks.0.qkv.weight'].equal(state['decoder.blocks.0.qkv.weight'])
        ]
        assert copied == [same] * 3
    with pytest.raises(ValueError, match='choose one of scratch, teacher'):
        build(stage2(checkpoint, init_student='random'))


def test_a_teacher_with_other_heads_is_refused(checkpoint):
    """Its tensors have the same shapes, and would compute other tokens."""
    content = torch.load(checkpoint, weights_only=True)
    text = Config(dict(model=STAGE1)).pretty_text
    torch.save(dict(content, meta=dict(cfg=text)), checkpoint)
    build(stage2(checkpoint)).init_weights()
    model = build(stage2(checkpoint), encoder=dict(ENCODER, num_heads=8))
    with pytest.raises(CheckpointError, match='encoder.num_heads 4, here 8'):
        model.init_weights()


def test_stage_2_can_keep_the_loss_of_stage_1(tmp_path):
    stage1 = without_drop_path(dict(STAGE1, head=BALANCED_HEAD))
    teacher = build(stage1)
    losses_of(teacher)
    torch.save(dict(state_dict=teacher.state_dict()), tmp_path / 'teacher.pth')
    model = build(
        without_drop_path(
            stage2(
                str(tmp_path / 'teacher.pth'),
                init_student='teacher',
                region_head=BALANCED_HEAD)))
    model.init_weights()
    for module in (teacher, model):
        without_norm_statistics(module)
    losses, expected = losses_of(model), losses_of(teacher)
    assert set(losses) == {
        'loss_ins', 'loss_token', 'loss_region', 'region_tokens'
    }
    torch.testing.assert_close(losses['loss_region'], expected['loss_region'])
    total(losses).backward()
    assert model.region_head.proj.weight.grad.any()


def test_stage_2_goes_without_a_scene_feature(checkpoint):
    model = build({
        key: value
        for key, value in stage2(checkpoint).items() if key != 'global_head'
    })
    assert set(losses_of(model)) == {'loss_token'}


def test_a_copy_of_the_teacher_that_sees_all_is_perfect(checkpoint):
    model = build(stage2(checkpoint, init_student='teacher', mask_ratio=0.))
    model.init_weights()
    model.eval()
    model.global_head.mlp = torch.nn.Identity()
    points, tokens = model.tokenize(
        torch.stack(make_batch()['inputs']['points']))
    targets = model.target_generator(points, tokens, None)
    outputs = model.predict(points, tokens)
    losses = model.compute_losses(outputs, tokens, targets)
    assert losses['loss_ins'] < 1e-10
    everywhere = outputs._replace(is_masked=~tokens.is_padding)
    losses = model.compute_losses(everywhere, tokens, targets)
    assert losses['loss_token'] < 1e-10


def test_the_student_sees_visible_points_only(checkpoint):
    """Moving masked regions changes neither encoder nor visible tokens."""
    model = without_norm_statistics(build(stage2(checkpoint))).eval()
    points = torch.stack(make_batch((9, ))['inputs']['points'])
    xyz, tokens = model.tokenize(points)
    before = model.predict(xyz, tokens)
    assert before.encoded.shape[1] == (~before.is_masked).sum()
    hidden = tokens.region_ids[before.is_masked]
    is_hidden = torch.isin(points[..., 3].long(), hidden[hidden > 0])
    assert is_hidden.any()
    xyz = xyz + is_hidden[..., None] * torch.rand_like(xyz)
    after = model.predict(xyz, tokens)
    assert after.encoded.equal(before.encoded)


def test_checkpoints_start_a_backbone(checkpoint):
    backbone = MODELS.build(
        dict(
            type='PointTokenBackbone',
            tokenizer=dict(type='SAMTokenizer', split=True, num_tokens=24),
            embedding=copy.deepcopy(EMBEDDING),
            encoder=copy.deepcopy(ENCODER),
            out_channels=48,
            init_cfg=dict(type='Pretrained', checkpoint=checkpoint)))
    backbone.init_weights()
    assert not backbone.load_report.missing
