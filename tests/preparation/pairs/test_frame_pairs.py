"""Tests of pairs of frames, from the step to the training batch."""
import json
import shutil

import numpy as np
import pytest
from mmdet3d.registry import DATASETS
from mmdet3d.utils import register_all_modules
from mmengine.registry import DefaultScope

from sam3d_plugin.datasets.seeding import SampleKey
from sam3d_plugin.preparation.checking.verification import Verifier
from sam3d_plugin.preparation.pairs.frame_pairs_step import (FramePairsStep,
                                                             overlaps_of)
from sam3d_plugin.preparation.voxels import voxel_keys
from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.frame_rows import FrameRows, pack_frames
from sam3d_plugin.store.manifest import Store
from sam3d_plugin.store.posed_images import encode_matrix
from sam3d_plugin.store.records import ItemRecord, ScanRecord
from tests.datasets import frame_store
from tools.preparation import pair_frames

register_all_modules(init_default_scope=False)
# Pixels are 4 cm apart at the depth of the frames, and 60 columns have depth.
VOXEL = 0.16
SHIFTS = dict(zip(frame_store.FRAMES, (0, 4, 15)))  # voxels along x


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope('mmdet3d'):
        yield


@pytest.fixture
def root(tmp_path):
    """Frames of a wall, moved along it by 0, 4 and 15 of their 15 voxels."""
    frame_store.write_frames(tmp_path)
    for scan in frame_store.SCANS:
        for frame, shift in SHIFTS.items():
            pose = frame_store.POSE.copy()
            # The first pixel with depth begins a voxel.
            pose[0, 3] = 28 * 0.04 + 0.02 + shift * VOXEL
            path = tmp_path / 'posed_images' / scan / f'{frame}.txt'
            path.write_bytes(encode_matrix(pose))
    return tmp_path


def run(root, *options):
    return pair_frames.main(
        [f'--data={root}', f'--voxel-size={VOXEL}', '--workers=0', *options])


def rows_of(root):
    return FrameRows(root / 'frame_pairs', ('partner', 'overlap'), 'tool')


def test_overlaps_of_known_sets():
    voxels = [[1, 2, 3, 4], [3, 4, 5], [9], []]
    found = overlaps_of([np.array(v, np.int64) for v in voxels])
    np.testing.assert_allclose(
        found, [[1, .5, 0, 0], [.5, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]])


def test_voxels_have_keys_of_their_own():
    grid = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3), -1).reshape(-1, 3)
    assert len(set(voxel_keys((grid + .5) * .1, .1))) == 7**3
    twice = np.concatenate([(grid + .1) * .1, (grid + .9) * .1])
    assert len(set(voxel_keys(twice, .1))) == 7**3
    far = np.array([[5e4, 0, 0], [0, 5e4, 0], [0, 0, 5e4], [0, 0, -5e4]])
    assert len(set(voxel_keys(far, .1))) == 4


def test_a_shifted_wall_overlaps_by_what_is_left(root):
    assert run(root) == 0
    rows = rows_of(root)
    assert rows.frames('alpha') == list(frame_store.FRAMES)
    for frame, partner in ((0, 1), (1, 0)):
        found = rows.read('alpha', frame_store.FRAMES[frame])
        assert found['partner'].tolist() == [partner, 2][:1 + frame]
        assert found['overlap'][0] == pytest.approx(11 / 15)
    found = rows.read('alpha', '00001')
    assert found['overlap'][1] == pytest.approx(4 / 15)
    assert rows.read('alpha', '00002')['partner'].tolist() == [1]


def problems_of(root):
    reports = {report.kind: report for report in Verifier(root).run()}
    return [str(problem) for problem in reports['frame_pairs'].problems]


def test_store_is_verified_and_kept(root):
    run(root)
    assert problems_of(root) == []
    path = root / 'frame_pairs' / 'alpha.safetensors'
    before = path.stat().st_mtime_ns
    run(root)
    assert path.stat().st_mtime_ns == before
    record = json.loads((root / 'frame_pairs/records/alpha.json').read_text())
    assert record['items']['alpha']['fields']['pairs'] == 2
    with pytest.raises(StoreError, match='above 0'):
        FramePairsStep(root, voxel_size=0)


def test_partners_that_are_no_frames_are_found(root):
    run(root)
    store = Store(root / 'frame_pairs')
    rows = dict(partner=np.array([1], np.int32), overlap=np.ones(1, 'f4'))
    record = store.record('alpha')
    record.items['alpha'].files = store.write(
        {'alpha.safetensors': pack_frames(dict(a=rows))})
    store.write_record(record)
    store.merge()
    assert any('out of range' in problem for problem in problems_of(root))


def record_frames(root, mark):
    store = Store(root / 'posed_images')
    store.open('posed_images', {})
    for scan in frame_store.SCANS:
        files = {f'{scan}/{f}.txt': (1, f'{f}{mark}') for f in SHIFTS}
        store.write_record(
            ScanRecord(scan, dict(all=ItemRecord('ok', '', files))))


def test_pairs_of_older_frames_are_refused(root):
    record_frames(root, '')
    run(root)
    assert len(build(root)) == 4
    record_frames(root, ' changed')
    with pytest.raises(StoreError, match='alpha are of older frames'):
        build(root)
    run(root)
    assert len(build(root)) == 4


def build(root, **settings):
    views = [
        dict(
            type='LoadRGBDPoints',
            num_points=300,
            columns=('origin', ),
            center='floor'),
        dict(
            type='GlobalRotScaleTrans',
            rot_range=[-3.14, 3.14],
            scale_ratio_range=[0.8, 1.2])
    ]
    return DATASETS.build(
        dict(
            type='FramePairDataset',
            data_root=str(root),
            pipeline=[
                dict(type='TwoViews', transforms=views),
                dict(type='FindCorrespondences', num_pairs=32, radius=0.1),
                dict(
                    type='PackPretrainInputs',
                    keys=('points', 'pairs', 'is_pair'),
                    meta_keys=('scan', 'frame', 'views'))
            ],
            **settings))


def test_pairs_of_frames_share_what_they_see(root):
    run(root)
    dataset = build(root)
    assert len(dataset) == 4  # 00002 shares 4 / 15 only
    for index in range(4):
        sample = dataset[index]
        points = sample['inputs']['points']
        pairs = sample['inputs']['pairs'][sample['inputs']['is_pair']]
        meta = sample['data_samples'].metainfo
        shifts = [
            VOXEL * SHIFTS[frame]
            for frame in (meta['frame'], meta['views'][1]['frame'])
        ]
        assert abs(shifts[0] - shifts[1]) == pytest.approx(4 * VOXEL)
        for view, shift in enumerate(shifts):
            x = points[view, :, 3]
            assert x.min() >= shift - 0.01 and x.max() <= shift + 2.41
        assert len(pairs) == 32
        first, second = points[0, pairs[:, 0]], points[1, pairs[:, 1]]
        assert ((first - second)[:, 3:].norm(dim=1) < 0.1).all()
        assert first[:, 3].min() >= max(shifts) - 0.1


def test_partners_are_drawn_anew_every_epoch(root):
    run(root)
    dataset = build(root, min_overlap=0.2)
    assert len(dataset) == 6

    def partner(epoch):
        sample = dataset[SampleKey(1, epoch, 0)]['data_samples']
        return sample.metainfo['views'][1]['frame']

    drawn = [partner(epoch) for epoch in range(12)]
    assert set(drawn) == {'00000', '00002'}
    assert drawn == [partner(epoch) for epoch in range(12)]


def test_refuses(root):
    with pytest.raises(FileNotFoundError, match='pair_frames.py'):
        build(root)
    run(root)
    with pytest.raises(StoreError, match='lower min_overlap.*self'):
        build(root, min_overlap=0.9)


def test_small_images_are_not_thinned(root):
    """The same wall, in as many voxels, with a quarter of the pixels."""
    step = FramePairsStep(root, voxel_size=VOXEL)
    every, few = (
        FramePairsStep(root, voxel_size=VOXEL, num_points=count)
        for count in (10**6, 48 * 64 // 64))
    seen = [len(s._see('alpha', '00000')) for s in (step, every, few)]
    assert seen[0] == seen[1] > seen[2]


def test_scans_with_one_frame_have_no_pairs(root):
    for path in (root / 'posed_images').glob('*/*'):
        if path.stem in ('00001', '00002'):
            path.unlink()
    assert run(root) == 0
    with pytest.raises(StoreError, match='none of 2 frames overlaps'):
        build(root)
    assert len(build(root, pair='self')) == 2
    with pytest.raises(ValueError, match='pair .* is unknown'):
        build(root, pair='none')


def remove_poses(root, scan):
    for frame in SHIFTS:
        (root / 'posed_images' / scan / f'{frame}.txt').unlink()


def test_scans_without_poses_are_named_and_left_out(root):
    record_frames(root, '')  # a store names frames without opening them
    remove_poses(root, 'alpha')
    run(root)
    dataset = build(root)
    assert {dataset.get_data_info(i)['scan'] for i in range(2)} == {'beta'}
    assert len(dataset) == 2 and 'txt is missing' in dataset.skipped['alpha']
    remove_poses(root, 'beta')
    shutil.rmtree(root / 'frame_pairs')
    run(root)
    with pytest.raises(StoreError, match='no scan could be paired.*txt is mi'):
        build(root)
