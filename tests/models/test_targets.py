"""A token's target is the feature of the region its points came from."""
from collections import Counter

import pytest
import torch
from mmdet3d.registry import MODELS
from mmengine.structures import InstanceData

from sam3d_plugin.models.target_generators import RegionFeatureTargets
from sam3d_plugin.models.target_generators.teacher_token_targets import \
    standardize_tokens
from sam3d_plugin.models.tokenizers.region_majority import majority_regions
from .pretraining_cases import (CHANNELS, EMBEDDING, ENCODER, KNN, SAM, STAGE1,
                                build, make_batch, make_frame, make_sample)


def tokens_of(tokenizer, batch):
    return build(
        STAGE1,
        tokenizer=tokenizer).tokenize(torch.stack(batch['inputs']['points']))


def plant(batch):
    """Give region r of frame b the feature (b, r, 0, ...) and group r + b."""
    for frame, sample in enumerate(batch['data_samples']):
        regions = sample.regions
        regions.features[:] = 0
        regions.features[:, 0] = frame
        regions.features[:, 1] = regions.ids.float()
        regions.group_ids = regions.ids + frame
    return batch


@pytest.mark.parametrize('tokenizer', [SAM, dict(SAM, num_tokens=5), KNN])
def test_planted_features_are_matched_by_region(tokenizer):
    batch = plant(make_batch((6, 1, 30)))
    points, tokens = tokens_of(tokenizer, batch)
    targets = RegionFeatureTargets()(points, tokens, batch['data_samples'])
    region_of_point = torch.stack(batch['inputs']['points'])[...,
                                                             3].reshape(-1)
    num_tokens = tokens.is_padding.shape[1]
    assert targets.is_target.any(1).all()
    for scene in range(3):
        for place in range(num_tokens):
            flat = scene * num_tokens + place
            begin, end = tokens.member_offsets[flat:flat + 2].tolist()
            votes = Counter(
                region_of_point[tokens.member_points[begin:end]].tolist())
            is_target = bool(targets.is_target[scene, place])
            if not is_target:
                assert tokens.region_ids[scene, place] == 0
                continue
            region = targets.features[scene, place, 1].item()
            assert votes[region] == max(votes.values()) and region > 0
            assert targets.features[scene, place, 0] == scene
            assert targets.group_ids[scene, place] == region + scene
    assert not (targets.is_target & tokens.is_padding).any()


def test_majority_against_counting():
    batch = make_batch((4, 9))
    points = torch.stack(batch['inputs']['points'])
    tokens = MODELS.build(dict(KNN))(points[..., :3])
    for shift in (0, 2**24 - 20):
        ids = points[..., 3].long()
        ids = torch.where(ids > 0, ids + shift, 0)
        found = majority_regions(tokens, ids).reshape(-1)
        for flat in range(40):
            begin, end = tokens.member_offsets[flat:flat + 2].tolist()
            votes = Counter(
                ids.reshape(-1)[tokens.member_points[begin:end]].tolist())
            best = max(votes.values())
            assert found[flat] == min(i for i, n in votes.items() if n == best)


def test_padding_has_no_majority():
    batch = make_batch((2, 12))
    points = torch.stack(batch['inputs']['points'])
    ids = points[..., 3].long().clamp(min=1)
    tokens = MODELS.build(dict(SAM))(points[..., :3], ids)
    assert tokens.is_padding.any()
    assert majority_regions(tokens, ids).equal(tokens.region_ids)


def test_order_of_regions_does_not_matter():
    batch = make_batch((6, 11))
    points, tokens = tokens_of(SAM, batch)
    expected = RegionFeatureTargets()(points, tokens, batch['data_samples'])
    for sample in batch['data_samples']:
        sample.regions = sample.regions[torch.randperm(len(sample.regions))]
    targets = RegionFeatureTargets()(points, tokens, batch['data_samples'])
    for field in ('features', 'group_ids'):
        assert getattr(targets, field)[targets.is_target].equal(
            getattr(expected, field)[targets.is_target])


def test_groups_are_optional():
    batch = make_batch((6, 11))
    for sample in batch['data_samples']:
        del sample.regions.group_ids
    points, tokens = tokens_of(SAM, batch)
    targets = RegionFeatureTargets()(points, tokens, batch['data_samples'])
    assert targets.group_ids is None and targets.is_target.any()


def spoil(sample, **changes):
    values = dict(sample.regions.items())
    sample.regions = InstanceData(**{**values, **changes})


def check_refused(batch, message):
    points, tokens = tokens_of(SAM, batch)
    with pytest.raises(ValueError, match=message):
        RegionFeatureTargets()(points, tokens, batch['data_samples'])


def test_refuses_what_is_no_target():
    batch = make_batch((6, 11))
    sample = batch['data_samples'][1]
    where = 'frame 00001 of scan scene0000_00'
    sample.regions.features[3, 2] = float('nan')
    check_refused(batch, f'{where} has a region feature that is NaN')

    batch['data_samples'][1] = make_sample(0, '00001')
    check_refused(batch, f'{where} has no regions: leave')

    batch = make_batch((6, 11))
    sample = batch['data_samples'][1]
    spoil(sample, ids=sample.regions.ids.clone().fill_(3))
    check_refused(batch, f'{where} names a region twice')

    del sample.regions.features
    check_refused(batch, f'{where} comes without region features')

    batch = make_batch((6, 11))
    batch['data_samples'][1].regions = batch['data_samples'][0].regions
    check_refused(batch, rf'{where}: points are in region (7|8|9|10|11), ')


def teacher_state():
    model = build(STAGE1)
    for buffer in model.buffers():
        if buffer.dtype == torch.float32:
            buffer.uniform_(.5, 1.5)
    return model, model.state_dict()


def build_teacher(path, modules=dict(), **changes):
    return MODELS.build(
        dict(
            dict(
                type='TeacherTokenTargets',
                checkpoint=str(path),
                modules=dict(
                    dict(
                        embedding=EMBEDDING,
                        encoder=ENCODER,
                        decoder=STAGE1['decoder']), **modules)), **changes))


def test_teacher_repeats_stage_1(tmp_path):
    model, state = teacher_state()
    torch.save(dict(state_dict=state), tmp_path / 'stage1.pth')
    targets = build_teacher(tmp_path / 'stage1.pth')
    points, tokens = tokens_of(SAM, make_batch())
    made = targets.train()(points, tokens, None)
    model.eval()
    torch.testing.assert_close(made.decoded, model.predict(points, tokens))
    torch.testing.assert_close(made.encoded,
                               model.backbone.encode_tokens(points, tokens))
    assert not made.decoded.requires_grad and not made.encoded.requires_grad
    assert not targets.load_report.allowed

    normal = build_teacher(tmp_path / 'stage1.pth', normalize=True)
    decoded = normal(points, tokens, None).decoded[~tokens.is_padding]
    plain = made.decoded[~tokens.is_padding]
    mean = plain.mean(-1, keepdim=True)
    std = plain.std(-1, keepdim=True, unbiased=False)
    torch.testing.assert_close(
        decoded, (plain - mean) / std, atol=1e-4, rtol=1e-4)


def test_standardized_tokens_lose_what_they_have_in_common(tmp_path):
    """Against numbers of each frame alone; padding holds anything."""
    features = torch.randn(2, 6, 5) + 7
    features[..., 4] = 3.
    is_counted = torch.arange(6) < torch.tensor([[6], [4]])
    expected = torch.zeros_like(features)
    for frame, count in ((0, 6), (1, 4)):
        real = features[frame, :count, :4]
        expected[frame, :count, :4] = (real - real.mean(0)) / real.std(
            0, unbiased=False)
    features[~is_counted] = float('nan')
    torch.testing.assert_close(
        standardize_tokens(features, is_counted),
        expected,
        atol=1e-4,
        rtol=1e-4)

    _, state = teacher_state()
    torch.save(dict(state_dict=state), tmp_path / 'stage1.pth')
    points, tokens = tokens_of(SAM, make_batch())
    plain, standard = (
        build_teacher(tmp_path / 'stage1.pth', normalize=how)(points, tokens,
                                                              None)
        for how in (False, 'tokens'))
    assert standard.encoded.equal(plain.encoded)
    torch.testing.assert_close(
        standard.decoded, standardize_tokens(plain.decoded,
                                             ~tokens.is_padding))


def test_targets_are_standardized_over_the_training(tmp_path):
    """After two steps: by the mean of the statistics of both."""
    _, state = teacher_state()
    torch.save(dict(state_dict=state), tmp_path / 'stage1.pth')
    plain, standard = (
        build_teacher(tmp_path / 'stage1.pth', normalize=how)
        for how in (False, 'training'))
    batches = [tokens_of(SAM, make_batch(seed=seed)) for seed in (0, 7)]
    assert batches[0][1].is_padding.any()
    real = [
        plain(*batch, None).decoded[~batch[1].is_padding] for batch in batches
    ]
    for batch in batches:
        found = standard.train()(*batch, None).decoded
    mean = torch.stack([part.mean(0) for part in real]).mean(0)
    variance = torch.stack([part.var(0) for part in real]).mean(0)
    is_token = ~batches[1][1].is_padding
    torch.testing.assert_close(found[is_token],
                               (real[1] - mean) / (variance + 1e-5).sqrt())

    kept = {k: v.clone() for k, v in standard.state_dict().items()}
    assert kept['statistics.num_batches_tracked'] == 2
    again = standard.eval()(*batches[1], None).decoded
    torch.testing.assert_close(again[is_token], found[is_token])
    assert all(standard.state_dict()[k].equal(v) for k, v in kept.items())


def test_teacher_is_no_submodule(tmp_path):
    _, state = teacher_state()
    torch.save(dict(state_dict=state), tmp_path / 'stage1.pth')
    targets = build_teacher(tmp_path / 'stage1.pth')
    targets.init_weights()
    for _ in range(2):
        assert not list(targets.parameters()) and not targets.state_dict()
        assert not list(targets.buffers())
        targets.train()
        for module in targets.teacher.modules():
            assert not module.training
        for parameter in targets.teacher.parameters():
            assert not parameter.requires_grad


def test_teacher_refuses_other_checkpoints(tmp_path):
    path = tmp_path / 'teacher.pth'
    with pytest.raises(FileNotFoundError, match='teacher.pth is missing'):
        build_teacher(path).init_weights()

    _, state = teacher_state()
    torch.save(dict(state_dict=state), path)
    with pytest.raises(ValueError, match='differ in size.*such as embedding'):
        build_teacher(
            path,
            dict(embedding=dict(EMBEDDING, embed_dims=64))).init_weights()
    with pytest.raises(ValueError, match='encoder.blocks.2.*, missing in'):
        build_teacher(path,
                      dict(encoder=dict(ENCODER, depth=3))).init_weights()

    content = path.read_bytes()
    path.write_bytes(content[:len(content) // 2])
    with pytest.raises(ValueError, match='truncated or not a checkpoint'):
        build_teacher(path).init_weights()

    state['decoder.mask_token'] = torch.zeros(32)
    torch.save(dict(state_dict=state), path)
    with pytest.raises(ValueError, match='name a checkpoint of stage 1'):
        build_teacher(path).init_weights()


def test_frames_with_one_region():
    points, sample = make_frame(num_regions=1)
    batch = dict(inputs=dict(points=[points]), data_samples=[sample])
    xyz, tokens = tokens_of(SAM, batch)
    targets = RegionFeatureTargets()(xyz, tokens, [sample])
    assert targets.is_target.sum() == 1
    assert targets.features.shape[-1] == CHANNELS
