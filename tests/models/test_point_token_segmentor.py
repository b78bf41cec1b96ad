"""Inference of whole scans: samples, patches, votes."""
import copy

import pytest
import torch
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample
from mmengine.config import ConfigDict

from sam3d_plugin.models.segmentors.point_token_segmentor import deal_out
from tests.random_states import unchanged_random_state
from .test_point_token_seg_head import BACKBONE, DEPTHS, HEAD, KNN

SLIDE = dict(
    mode='slide',
    num_points=64,
    block_size=0.5,
    sample_rate=0.5,
    use_normalized_coord=False,
    batch_size=4)
# One token per region: no token depends on the order of the points.
REGIONS = dict(type='SAMTokenizer', split=True, num_tokens=6, min_points=1)


def build(test_cfg, kind='PointTokenSegmentor', **backbone):
    torch.manual_seed(0)
    settings = {**BACKBONE, **dict(out_channels=None, feature_depths=DEPTHS)}
    settings.update(backbone)
    return MODELS.build(
        ConfigDict(
            copy.deepcopy(
                dict(
                    type=kind,
                    data_preprocessor=dict(
                        type='mmdet3d.Det3DDataPreprocessor'),
                    backbone=settings,
                    decode_head=HEAD,
                    train_cfg=dict(),
                    test_cfg=test_cfg)))).eval()


def make_scan(num_points=150, seed=0):
    generator = torch.manual_seed(seed)
    xyz = torch.rand(num_points, 3, generator=generator)
    ids = torch.randint(0, 6, (num_points, 1), generator=generator)
    return torch.cat((xyz, ids.float()), dim=1)


def predict(model, scan, name='scan.bin'):
    sample = Det3DDataSample(metainfo=dict(lidar_path=f'points/{name}'))
    with torch.no_grad():
        result = model.predict(dict(points=[scan]), [sample])[0]
    logits = result.pts_seg_logits.pts_seg_logits
    assert result.pred_pts_seg.pts_semantic_mask.equal(logits.argmax(0))
    return logits


@pytest.mark.parametrize('num_points, size, votes', [(10, 4, 1), (10, 4, 3),
                                                     (10, 10, 2), (3, 8, 1),
                                                     (12, 4, 2)])
def test_every_point_is_dealt_out(num_points, size, votes):
    samples = deal_out(num_points, size, votes, torch.Generator())
    counts = torch.bincount(samples.reshape(-1), minlength=num_points)
    assert counts.min() >= votes and counts.max() <= 2 * votes
    assert samples.shape[1] == min(size, num_points)
    for sample in samples:
        assert len(sample.unique()) == len(sample)


def test_samples_are_averaged_like_a_loop():
    model = build(dict(mode='sample', num_points=64, votes=2))
    scan = make_scan()
    with unchanged_random_state():
        logits = predict(model, scan)
    torch.manual_seed(1)  # not what the samples are drawn with
    assert predict(model, scan).equal(logits)

    dealt = []
    encode = model.encode_decode

    def watch(points, metas):
        found = encode(points, metas)
        places = [(scan == point).all(dim=1).nonzero().item()
                  for point in points[0]]
        dealt.append((places, found[0]))
        return found

    model.encode_decode = watch
    predict(model, scan)
    total, votes = torch.zeros(5, 150), torch.zeros(150)
    for places, found in dealt:
        total[:, places] += found
        votes[places] += 1
    assert votes.min() >= 2 and len(dealt) == 6
    torch.testing.assert_close(logits, total / votes)


def test_one_large_sample_is_the_whole_scan():
    scan = make_scan()
    whole = build(dict(mode='whole'))
    sampled = build(dict(mode='sample', num_points=1000), tokenizer=REGIONS)
    whole.backbone.tokenizer = sampled.backbone.tokenizer
    torch.testing.assert_close(predict(sampled, scan), predict(whole, scan))


def test_seed_of_an_evaluation():
    """Another seed draws other samples; 0 draws what no seed does."""
    settings = dict(mode='sample', num_points=64, votes=2)
    scan = make_scan()
    logits = [
        predict(build(dict(settings, **seed)), scan)
        for seed in (dict(), dict(seed=0), dict(seed=1), dict(seed=1))
    ]
    assert logits[1].equal(logits[0]) and logits[3].equal(logits[2])
    assert not logits[2].equal(logits[0])
    generator = torch.Generator().manual_seed(0)
    samples = deal_out(150, 64, 2, generator)
    model, seen = build(settings), []
    encode = model.encode_decode
    model.encode_decode = lambda points, metas: (seen.append(points[0]),
                                                 encode(points, metas))[1]
    predict(model, scan)
    assert torch.stack(seen).equal(scan[samples])


@pytest.mark.parametrize('tokenizer', [REGIONS, KNN])
def test_patches_are_those_of_mmdet3d_and_seeded(tokenizer):
    propagation = 'own_token' if tokenizer is REGIONS else 'three_nn'
    model = build(SLIDE, tokenizer=tokenizer)
    stock = build(SLIDE, 'EncoderDecoder3D', tokenizer=tokenizer)
    for segmentor in (model, stock):
        segmentor.decode_head.propagation = propagation
    scan = make_scan(400)
    scan[:, 3] = torch.arange(400) % 6
    with unchanged_random_state():
        logits = predict(model, scan)
    assert predict(model, scan).equal(logits)
    assert predict(model, scan, 'other.bin').equal(logits)
    model.test_cfg.seed = 1
    assert not predict(model, scan).equal(logits)
    assert predict(stock, scan).shape == logits.shape == (5, 400)


def test_votes_of_turned_scans_are_averaged():
    """mmdet3d's model for test-time augmentation around ours."""
    model = build(dict(mode='whole'))
    tta = MODELS.build(dict(type='Seg3DTTAModel', module=model))
    scan = make_scan()
    mirrored = scan * torch.tensor([-1., 1, 1, 1])
    views = [dict(points=[scan]), dict(points=[mirrored])]
    samples = [[Det3DDataSample()], [Det3DDataSample()]]
    with torch.no_grad():
        merged = tta.test_step(dict(inputs=views, data_samples=samples))
    expected = sum(
        predict(model, view).softmax(0) for view in (scan, mirrored))
    assert merged[0].pred_pts_seg.pts_semantic_mask.equal(expected.argmax(0))


def test_scan_without_regions():
    """-1 is what LoadRegionIds gives it: SAM refuses, kNN does not look."""
    scan = make_scan()
    scan[:, 3] = -1
    test_cfg = dict(mode='sample', num_points=64)
    with pytest.raises(ValueError, match='holds no region ids.*KNNTokenizer'):
        predict(build(test_cfg), scan)
    knn = build(test_cfg, tokenizer=KNN)
    knn.decode_head.propagation = 'three_nn'
    assert predict(knn, scan).shape == (5, 150)
