"""A feature planted in each region arrives at the tokens of that region.

From the store through dataset, sampling, augmentation, workers, batching,
padding and tokenizer to the targets. Where a token's points came from is read
off their height, which neither ids nor features have a part in.
"""
import numpy as np
import pytest
import torch
from mmdet3d.utils import register_all_modules
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from tests.datasets import frame_store
from tests.datasets.frame_store import BANDS, FRAMES, PIPELINE, SCANS
from tests.models import pretraining_cases as cases

register_all_modules(init_default_scope=False)
# So many points that some regions of some frames have too few for a token.
NUM_POINTS, MIN_POINTS = 60, 9
SAM = dict(
    type='SAMTokenizer', min_points=MIN_POINTS, points_per_rest_token=12)
SPLIT = dict(
    type='SAMTokenizer', split=True, num_tokens=16, min_points=MIN_POINTS)
KNN = dict(type='KNNTokenizer', num_tokens=12, num_neighbors=7)


def load_batches(root, num_workers):
    pipeline = [dict(PIPELINE[0], num_points=NUM_POINTS), *PIPELINE[1:]]
    loader = Runner.build_dataloader(
        dict(
            dataset=dict(
                type='RGBDFrameDataset',
                data_root=str(root),
                pipeline=pipeline),
            sampler=dict(type='SeededSampler', shuffle=True),
            collate_fn=dict(type='collate_frames'),
            num_workers=num_workers,
            batch_size=3),
        seed=4)
    return list(loader)


def bands_of(points, sample):
    """Band that each point (N, 3 + 1) was seen in, from its height."""
    scale = sample.metainfo['pcd_scale_factor']
    return frame_store.band_of_height(points[:, 2].numpy() / scale)


def check_frame(points, sample, tokens, targets, scene):
    """Compare the tokens of a frame; return how many had a target."""
    scan, frame = sample.metainfo['scan'], sample.metainfo['frame']
    place = [SCANS.index(scan) + 1, FRAMES.index(frame) + 1]
    ids_of_bands = frame_store.ids_of_bands(scan, frame)
    groups = frame_store.planted_groups(scan, frame)
    bands = bands_of(points, sample)
    num_tokens, matched = tokens.is_padding.shape[1], 0
    for token in range(num_tokens):
        flat = scene * num_tokens + token
        begin, end = tokens.member_offsets[flat:flat + 2].tolist()
        members = tokens.member_points[begin:end].numpy() - scene * NUM_POINTS
        if not targets.is_target[scene, token]:
            assert tokens.region_ids[scene, token] == 0
            continue
        votes = np.bincount(bands[members], minlength=BANDS)
        *found, region = targets.features[scene, token].tolist()
        band = int(np.flatnonzero(ids_of_bands == region)[0])
        assert found == place and votes[band] == votes.max() > 0
        if tokens.point_tokens is not None:
            assert votes[band] == votes.sum()
        assert targets.group_ids[scene, token] == groups[int(region) - 1]
        matched += 1
    return matched


@pytest.mark.parametrize('num_workers', [0, 2])
def test_tokens_get_what_was_planted_in_their_region(num_workers, tmp_path):
    root = frame_store.write_data_set(tmp_path)
    with DefaultScope.overwrite_default_scope('mmdet3d'):
        batches = load_batches(root, num_workers)
    for tokenizer in (SAM, SPLIT, KNN):
        model = cases.build(cases.STAGE1, tokenizer=tokenizer)
        matched, has_padding, seen = 0, False, set()
        for batch in batches:
            data = model.data_preprocessor(batch, True)
            points, tokens = model.tokenize(data['inputs']['points'])
            targets = model.target_generator(points, tokens,
                                             data['data_samples'])
            has_padding |= bool(tokens.is_padding.any())
            assert not (targets.is_target & tokens.is_padding).any()
            for scene, sample in enumerate(data['data_samples']):
                raw = batch['inputs']['points'][scene]
                matched += check_frame(raw, sample, tokens, targets, scene)
                seen.add((sample.metainfo['scan'], sample.metainfo['frame']))
        assert len(seen) == len(SCANS) * len(FRAMES)
        assert has_padding == (tokenizer is SAM)
        assert matched >= 3 * len(seen)


def test_a_wrong_match_would_be_noticed(tmp_path):
    """The check above fails when ids are those of another frame."""
    root = frame_store.write_data_set(tmp_path)
    with DefaultScope.overwrite_default_scope('mmdet3d'):
        batch = load_batches(root, 0)[0]
    model = cases.build(cases.STAGE1, tokenizer=SAM)
    data = model.data_preprocessor(batch, True)
    points, tokens = model.tokenize(data['inputs']['points'])
    samples = data['data_samples']
    targets = model.target_generator(points, tokens, samples)
    wrong = (targets._replace(features=targets.features.roll(1, 0)),
             targets._replace(features=targets.features.roll(1, 1)),
             targets._replace(group_ids=targets.group_ids.roll(1, 1)))
    raw = batch['inputs']['points'][0]
    check_frame(raw, samples[0], tokens, targets, 0)
    for changed in wrong:
        with pytest.raises((AssertionError, IndexError)):
            check_frame(raw, samples[0], tokens, changed, 0)
    swapped = torch.cat((raw[:, :2], -raw[:, 2:3], raw[:, 3:]), 1)
    with pytest.raises(AssertionError):
        check_frame(swapped, samples[0], tokens, targets, 0)
