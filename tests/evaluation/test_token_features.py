"""Which tokens points read, against slow references."""
import pytest
import torch
from mmdet3d.registry import MODELS

from sam3d_plugin.evaluation import token_features as module
from tests.evaluation.labelled_store import write_labelled_set
from tests.models.pretraining_cases import (BODY, KNN, SAM, STAGE1, build,
                                            make_frame)

META = dict(BODY, tokenizer=SAM)


def make_encoder(tokenizer):
    torch.manual_seed(0)
    parts = {key: MODELS.build(BODY[key]) for key in ('embedding', 'encoder')}
    state = torch.nn.ModuleDict(parts).state_dict()
    return module.build_frozen(dict(BODY, tokenizer=tokenizer), state)


def batch(num_regions=(3, 9)):
    return torch.stack(
        [make_frame(n, 200, seed)[0] for seed, n in enumerate(num_regions)])


@pytest.mark.parametrize('tokenizer', [SAM, KNN])
def test_read_outs_equal_a_slow_reference(tokenizer):
    points = batch()
    encoder = make_encoder(tokenizer)
    tokens, features = encoder.encode(points)
    assert tokens.is_padding.any() == (tokenizer is SAM)
    labels = torch.zeros(points.shape[:2], dtype=torch.long)
    read = module.read_tokens(points[..., :3], tokens, features, labels)
    first = 0
    for b, frame in enumerate(points):
        kept = torch.nonzero(~tokens.is_padding[b])[:, 0]
        centers = tokens.centers[b, kept]
        distance = (frame[:, None, :3] - centers).norm(dim=-1)
        assert read.features[first:first + len(kept)].equal(features[b, kept])
        nearest = distance.topk(3, largest=False)
        found = distance.gather(1, read.nearest[b] - first)
        torch.testing.assert_close(found, nearest.values)
        inverse = 1 / (nearest.values + 1e-8)
        torch.testing.assert_close(read.weights[b],
                                   inverse / inverse.sum(1, keepdim=True))
        if tokenizer is SAM:
            own = tokens.region_ids[b, kept][read.own[b] - first]
            is_in_region = own > 0
            assert is_in_region.any()
            assert (own == frame[:, 3].long())[is_in_region].all()
        else:
            assert read.own[b].equal(read.nearest[b, :, 0])
        first += len(kept)
    assert first == len(read.features)


def test_a_frame_with_fewer_than_three_tokens():
    points = batch((1, 1))
    points[..., 3] = 1
    read = module.read_tokens(points[..., :3],
                              *make_encoder(SAM).encode(points),
                              torch.zeros(2, 200).long())
    assert len(read.features) == 2
    assert read.weights[..., 0].eq(1).all()
    assert read.weights[..., 1:].eq(0).all()
    assert read.nearest.min() == 0 and read.nearest.max() == 1
    assert read.own.equal(read.nearest[..., 0])


def test_features_are_those_of_the_pretrainer_in_eval_mode():
    model = build(STAGE1)
    points = batch()
    expected = model.eval()(dict(points=points))
    encoder = module.build_frozen(META, model.backbone.state_dict())
    assert not any(p.requires_grad for p in encoder.parameters())
    assert encoder.point_features(points).equal(expected)


@pytest.mark.parametrize('tokenizer', [SAM, KNN])
def test_batch_size_changes_nothing_and_seed_the_points(tmp_path, tokenizer):
    root = write_labelled_set(tmp_path)
    frames = module.labelled_frames(str(root), 'splits/train.txt', 200)
    encoder = make_encoder(tokenizer)
    one, three, other = (module.encode_frames(encoder, frames, seed, size)
                         for seed, size in ((0, 1), (0, 3), (1, 3)))
    for name in ('own', 'nearest', 'labels'):
        assert getattr(one, name).equal(getattr(three, name))
    torch.testing.assert_close(one.features, three.features)
    assert not one.labels.equal(other.labels)
    assert one.own.shape == (3, 200)
    assert one.own.max() < len(one.features)


def test_norms_of_an_untrained_encoder_are_those_of_the_frames(tmp_path):
    frames = module.labelled_frames(
        str(write_labelled_set(tmp_path)), 'splits/train.txt', 200)
    encoder = make_encoder(KNN)
    norm = next(m for m in encoder.modules()
                if isinstance(m, torch.nn.BatchNorm1d))
    seen = []
    norm.register_forward_hook(lambda _, args, out: seen.append(args[0]))
    module.measure_norms(encoder, frames, batch_size=len(frames))
    inputs, = seen
    torch.testing.assert_close(norm.running_mean, inputs.mean(0))
    torch.testing.assert_close(norm.running_var, inputs.var(0))
    assert not any(m.training for m in encoder.modules())
    before = norm.running_mean.clone()
    module.encode_frames(encoder, frames)
    assert norm.running_mean.equal(before)


def test_features_that_are_nan_are_refused(tmp_path):
    frames = module.labelled_frames(
        str(write_labelled_set(tmp_path)), 'splits/train.txt', 200)
    encoder = make_encoder(KNN)
    encoder.encoder.norm.weight[0] = float('nan')
    with pytest.raises(ValueError, match='NaN or infinite'):
        module.encode_frames(encoder, frames)


@pytest.mark.parametrize('tokenizer', [SAM, KNN])
def test_region_features_are_those_of_the_tokens_points(tmp_path, tokenizer):
    """Against a loop over tokens that counts their points' regions."""
    frames = module.labelled_frames(
        str(write_labelled_set(tmp_path)), 'splits/train.txt', 200, True)
    frame = frames[0]
    points, regions = frame['inputs']['points'], frame['data_samples'].regions
    reader = module.RegionFeatureReader(dict(tokenizer=tokenizer))
    tokens, features = reader.encode(points[None], [frame['data_samples']])
    starts = tokens.member_offsets
    for token in range(tokens.centers.shape[1]):
        members = tokens.member_points[starts[token]:starts[token + 1]]
        region = int(points[members, 3].long().bincount().argmax())
        expected = torch.zeros(features.shape[-1])
        if region and not tokens.is_padding[0, token]:
            expected = regions.features[regions.ids == region][0].float()
        assert features[0, token].equal(expected)
    assert features.abs().sum(-1).count_nonzero() > 1
    assert len(module.encode_frames(reader, frames).features) > 0
