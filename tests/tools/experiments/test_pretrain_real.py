"""Tests of tools/experiments/pretrain_real.py."""
import json

import pytest
import torch

from sam3d_plugin.engine.options import load_config
from sam3d_plugin.experiments import pretrain_real, result_tables
from sam3d_plugin.experiments.methods import read_methods
from tests.tools.conftest import load_tool

ENTRY = dict(
    losses=dict(loss_token=dict(first=2., last=.5)),
    features=.4,
    predictions=.3,
    targets=.2,
    learnt=.1)


def test_first_and_last_steps_are_compared(tmp_path):
    folder = tmp_path / '20260101' / 'vis_data'
    folder.mkdir(parents=True)
    lines = [
        json.dumps(dict(step=i, loss=9., loss_ins=float(i), lr=1.))
        for i in range(30)
    ]
    (folder / 'scalars.json').write_text('\n'.join(lines))
    assert pretrain_real.read_losses(tmp_path) == dict(
        loss_ins=dict(first=4.5, last=24.5))


def test_learnt_share_of_a_constant_is_zero():
    targets = torch.randn(2, 5, 3)
    is_counted = torch.ones(2, 5, dtype=torch.bool)
    is_counted[1, 3:] = False
    mean = targets[is_counted].mean(0).expand_as(targets)
    share = pretrain_real.learnt_share
    assert share(targets, targets, is_counted) == 1
    assert share(mean, targets, is_counted) == pytest.approx(0, abs=1e-6)
    assert share(mean + 1, targets, is_counted) < 0


def test_losses_that_rise_are_named():
    risen = dict(ENTRY, losses=dict(loss_ins=dict(first=1., last=1.)))
    recordings = dict(room=dict(sam=dict(stage1=ENTRY, stage2=risen)))
    assert pretrain_real.find_risen(recordings) == ['room sam stage2 loss_ins']


def test_terms_that_rise_by_design_are_terms_of_their_stage():
    names = {s.name for m in read_methods().values() for s in m.stages}
    assert {stage for stage, _ in pretrain_real.RISING} <= names
    risen = dict(ENTRY, losses=dict(loss_scene=dict(first=1., last=2.)))
    for stage, count in dict(point_bert=0, jepa=1).items():
        recordings = dict(room=dict(some={stage: risen}))
        assert len(pretrain_real.find_risen(recordings)) == count


def test_kinds_of_tokens_differ_in_one_option():
    args = load_tool('experiments/pretrain_real').parse_args(
        ['--work-dir', 'w', '--steps', '3'])
    sam, knn = (
        pretrain_real.stage_steps(args, '7scenes', tokens)
        for tokens in ('sam', 'knn'))
    assert sam['stage2'].output == 'w/7scenes_sam/stage2/iter_3.pth'
    assert 'teacher=w/7scenes_sam/stage1/iter_3.pth' in sam['stage2'].command
    extra = set(knn['stage1'].command) - set(sam['stage1'].command)
    assert sorted(part.split('=')[0] for part in extra) == [
        'model.backbone.tokenizer', 'w/7scenes_knn/stage1'
    ]


def test_table_has_a_row_per_stage():
    results = dict(
        budget=dict(steps=60, frames=4, points=4096),
        recordings=dict(room={'knn tokens': dict(stage2=ENTRY)}),
        machine=dict(cores=2))
    table = result_tables.pretrain_real_table(results)
    assert ('| room, knn tokens, stage2 | token 2 → 0.5 | 0.400 | 0.300 | '
            '0.200 | 0.10 |') in table


def test_every_other_method_is_trained_on_as_many_clouds():
    args = load_tool('experiments/pretrain_real').parse_args(
        ['--work-dir', 'w', '--steps', '3'])
    bert = pretrain_real.method_steps(args, 'point_bert')
    assert list(bert) == ['point_bert_dvae', 'point_bert']
    assert 'teacher=w/point_bert_dvae/iter_3.pth' in bert['point_bert'].command
    for key, frames in dict(point_mae=4, csc=2, sonata=2, bridge3d=4).items():
        for step in pretrain_real.method_steps(args, key).values():
            parsed = load_tool('train').parse_args(step.command[2:])
            cfg = load_config(parsed)
            assert cfg.train_dataloader.batch_size == frames
            assert cfg.train_cfg.max_iters == 3
