"""Clustering regions: groups that are there are found, and what is kept."""
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from sam3d_plugin.preparation.features import region_groups
from sam3d_plugin.preparation.features.groups_report import summarize_groups
from sam3d_plugin.preparation.features.region_groups import (GroupOptions,
                                                             assign_groups,
                                                             build_groups,
                                                             fit_centroids,
                                                             shuffled_rows)
from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.locks import scan_lock
from sam3d_plugin.store.manifest import ItemRecord, ScanRecord, Store
from sam3d_plugin.store.region_features import (RegionFeatures, pack_features,
                                                to_feature_arrays)
from sam3d_plugin.store.region_groups import (GROUP_IDS, RegionGroups,
                                              balanced_weights)

KINDS = 5
CENTERS = np.random.default_rng(9).normal(0, 10, (KINDS, 6))
# Share of each kind of region: a long tail.
SHARES = np.array([0.5, 0.25, 0.12, 0.08, 0.05])
SMALL = GroupOptions(groups=KINDS, batch_size=32, buffer_size=64)


def write_scan(root, scan, kinds, sizes, store=None):
    """A scan whose regions' max features lie around centres."""
    rng = np.random.default_rng(len(kinds))
    rows = CENTERS[kinds] + rng.normal(0, 0.3, (len(kinds), 6))
    frames = {
        f'{i:05d}': to_feature_arrays(-part, part, np.ones(len(part)), scan)
        for i, part in enumerate(np.split(rows,
                                          np.cumsum(sizes)[:-1]))
    }
    store = store or Store(root)
    marks = store.write({f'{scan}.safetensors': pack_features(frames)})
    store.write_record(ScanRecord(scan, {}, marks))


@pytest.fixture(scope='module')
def kinds():
    rng = np.random.default_rng(1)
    return {
        f's{i}': rng.choice(KINDS, 60 + 10 * i, p=SHARES)
        for i in range(4)
    }


@pytest.fixture
def root(tmp_path, kinds):
    root = tmp_path / 'region_features'
    Store(root).open('region_features', dict(encoder='planted'))
    for scan, values in kinds.items():
        write_scan(root, scan, values, (20, 30, len(values) - 50))
    return root


def all_ids(groups, scan):
    return groups.read_scan(scan, GROUP_IDS)


def test_planted_groups_are_found(root, kinds, tmp_path):
    out = tmp_path / 'train'
    report = build_groups(root, out, options=SMALL)
    groups = RegionGroups(out)
    ids = np.concatenate([all_ids(groups, scan) for scan in kinds])
    planted = np.concatenate(list(kinds.values()))
    pairs = set(zip(ids.tolist(), planted.tolist()))
    assert len(pairs) == KINDS
    found = groups.groups()
    for group, kind in pairs:
        assert found.counts[group] == (planted == kind).sum()
        np.testing.assert_allclose(
            found.centroids[group], CENTERS[kind], atol=0.3)
    assert (found.weights == balanced_weights(found.counts)).all()
    assert report['regions'] == len(planted)


def test_ids_belong_to_their_frames(root, kinds, tmp_path):
    build_groups(root, tmp_path / 'train', options=SMALL)
    groups = RegionGroups(tmp_path / 'train')
    features = RegionFeatures(root)
    centroids = groups.groups().centroids
    assert groups.scans() == features.scans()
    for scan in groups.scans():
        assert groups.frames(scan) == features.frames(scan)
        for frame in groups.frames(scan):
            rows = features.read(scan, frame).max
            assert (groups.read(scan,
                                frame) == assign_groups(rows,
                                                        centroids)).all()


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob('*')) if path.is_file()
    }


def test_the_same_seed_gives_the_same_files(root, tmp_path):
    for name in 'ab':
        build_groups(root, tmp_path / name, options=SMALL)
    assert content(tmp_path / 'a') == content(tmp_path / 'b')


def test_the_mean_can_be_clustered_instead(root, tmp_path):
    options = GroupOptions(
        groups=KINDS, pool='mean', batch_size=32, buffer_size=64)
    build_groups(root, tmp_path / 'a', options=options)
    centroids = RegionGroups(tmp_path / 'a').groups().centroids
    distances = np.linalg.norm(centroids[:, None] + CENTERS, axis=-1)
    assert distances.min(1).max() < 1


def test_a_part_of_the_scans(root, kinds, tmp_path):
    build_groups(root, tmp_path / 'train', ['s2', 's0'], SMALL)
    groups = RegionGroups(tmp_path / 'train')
    assert groups.scans() == ['s0', 's2']
    assert groups.groups().counts.sum() == sum(
        len(kinds[scan]) for scan in ('s0', 's2'))


def test_other_sets_get_the_groups_of_the_training_set(root, kinds, tmp_path):
    train, val = tmp_path / 'train', tmp_path / 'val'
    build_groups(root, train, ['s0', 's1'], SMALL)
    report = build_groups(root, val, ['s3'], centroids_root=train)
    ours, theirs = RegionGroups(val), RegionGroups(train)
    for name in ('centroids', 'counts', 'weights'):
        assert (getattr(ours.groups(), name) == getattr(theirs.groups(),
                                                        name)).all()
    assert report['regions'] == len(kinds['s3'])
    pairs = set(zip(all_ids(ours, 's3').tolist(), kinds['s3'].tolist()))
    pairs |= set(zip(all_ids(theirs, 's0').tolist(), kinds['s0'].tolist()))
    assert len(pairs) == KINDS


def test_every_row_is_read_once_in_every_pass(root, kinds):
    features = RegionFeatures(root)
    rng = np.random.default_rng(0)
    parts = list(shuffled_rows(features, sorted(kinds), SMALL, rng))
    total = sum(len(values) for values in kinds.values())
    assert len(parts) > 2
    assert all(SMALL.buffer_size <= len(p) < 3 * SMALL.buffer_size
               for p in parts)
    rows = np.concatenate(parts)
    expected = np.concatenate(
        [features.read_scan(scan, 'max') for scan in kinds])
    assert len(rows) == total
    assert (np.sort(rows, axis=0) == np.sort(expected, axis=0)).all()


def test_centroids_of_another_pool_or_encoder_are_told(root, kinds, tmp_path):
    """Those of as many channels fit, and mean nothing."""
    train, other = tmp_path / 'train', tmp_path / 'other'
    mean = replace(SMALL, pool='mean')
    build_groups(root, train, ['s0', 's1'], mean)
    with pytest.raises(StoreError, match='give --pool mean'):
        build_groups(root, tmp_path / 'val', ['s3'], centroids_root=train)
    Store(other).open('region_features', dict(encoder='another'))
    write_scan(other, 's3', kinds['s3'], (20, ))
    for features, is_told in ((root, False), (other, True)):
        console = Console(record=True, file=io.StringIO())
        build_groups(
            features,
            tmp_path / f'val{is_told}', ['s3'],
            mean,
            train,
            console=console)
        assert ('features of other settings'
                in ' '.join(console.export_text().split())) == is_told


def test_centroids_equal_those_of_all_rows_at_once(root, kinds):
    from sklearn.cluster import KMeans
    features = RegionFeatures(root)
    centroids = fit_centroids(features, sorted(kinds), SMALL)
    rows = np.concatenate([features.read_scan(scan, 'max') for scan in kinds])
    exact = KMeans(
        KINDS, n_init=5, random_state=0).fit(rows.astype(np.float32))
    distances = np.linalg.norm(
        centroids[:, None] - exact.cluster_centers_, axis=-1)
    assert distances.min(1).max() < 0.2
    assert sorted(distances.argmin(1)) == list(range(KINDS))


def test_a_stopped_run_goes_on(root, tmp_path, monkeypatch):
    out, expected = tmp_path / 'a', tmp_path / 'b'
    build_groups(root, expected, options=SMALL)
    assign, calls = assign_groups, []

    def stop_at_third(rows, centroids):
        calls.append(len(rows))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return assign(rows, centroids)

    monkeypatch.setattr(region_groups, 'assign_groups', stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        build_groups(root, out, options=SMALL)
    monkeypatch.setattr(region_groups, 'fit_centroids', None)
    build_groups(root, out, options=SMALL)
    assert len(calls) == 5
    assert content(out) == content(expected)
    build_groups(root, out, options=SMALL)
    assert len(calls) == 5
    assert content(out) == content(expected)


def test_other_options_or_features_do_not_mix(root, kinds, tmp_path):
    out = tmp_path / 'train'
    build_groups(root, out, options=SMALL)
    other = GroupOptions(groups=3, batch_size=32, buffer_size=64)
    with pytest.raises(StoreError, match='groups 5, now 3'):
        build_groups(root, out, options=other)
    with pytest.raises(StoreError, match='scans 4, now 2'):
        build_groups(root, out, ['s0', 's1'], SMALL)
    write_scan(root, 's0', kinds['s0'][::-1], (30, 30))
    with pytest.raises(StoreError, match='features.content'):
        build_groups(root, out, options=SMALL)


@pytest.mark.parametrize('options, reason', [
    (GroupOptions(groups=500), '500 groups for 300 regions'),
    (GroupOptions(groups=0), 'must be positive'),
    (GroupOptions(epochs=0), 'must be positive'),
    (GroupOptions(pool='sum'), 'max, mean'),
    (GroupOptions(batch_size=50), 'at least --groups 100'),
    (GroupOptions(buffer_size=50), 'at most --buffer-size 50'),
])
def test_options_that_cannot_be_meant(root, tmp_path, options, reason):
    with pytest.raises(StoreError, match=reason):
        build_groups(root, tmp_path / 'train', options=options)


def test_features_that_are_not_finite(root, tmp_path):
    path = root / 's1.safetensors'
    rows = RegionFeatures(root).read('s1', '00000').max
    nan = np.full_like(rows[:1], np.nan).tobytes()
    path.write_bytes(path.read_bytes().replace(rows[:1].tobytes(), nan))
    with pytest.raises(StoreError, match='s1.safetensors has NaN'):
        build_groups(root, tmp_path / 'train', options=SMALL)


def test_missing_features_are_named(root, tmp_path):
    with pytest.raises(StoreError, match='no features of 1 scan.*s9'):
        build_groups(root, tmp_path / 'train', ['s0', 's9'], SMALL)
    with pytest.raises(StoreError, match='no features of any scan'):
        build_groups(tmp_path / 'nothing', tmp_path / 'train', options=SMALL)


def test_features_of_another_encoder(root, tmp_path):
    build_groups(root, tmp_path / 'train', options=SMALL)
    other = tmp_path / 'other'
    store = Store(other)
    store.open('region_features', {})
    wide = to_feature_arrays(np.ones((9, 4)), np.ones((9, 4)), np.ones(9), 'x')
    for scan, frames in (('x', {'0': wide}), ):
        marks = store.write({f'{scan}.safetensors': pack_features(frames)})
        store.write_record(ScanRecord(scan, {}, marks))
    with pytest.raises(StoreError, match='4 channels, the centroids 6'):
        build_groups(
            other, tmp_path / 'val', centroids_root=tmp_path / 'train')
    write_scan(other, 'y', np.zeros(8, int), (8, ))
    with pytest.raises(StoreError, match='extract them all with one encoder'):
        build_groups(other, tmp_path / 'b', options=SMALL)


def test_scans_without_any_good_frame_are_left_out(root, kinds, tmp_path):
    skipped = ItemRecord('skipped', 'no region')
    Store(root).write_record(ScanRecord('s9', {'00000': skipped}))
    report = build_groups(root, tmp_path / 'train', options=SMALL)
    assert report['regions'] == sum(map(len, kinds.values()))
    assert RegionGroups(tmp_path / 'train').scans() == sorted(kinds)


def test_a_scan_cannot_be_called_groups(root, tmp_path):
    write_scan(root, 'groups', np.zeros(8, int), (8, ))
    with pytest.raises(StoreError, match='rename it'):
        build_groups(root, tmp_path / 'train', options=SMALL)


def test_the_manifest_has_every_file(root, tmp_path):
    out = tmp_path / 'train'
    build_groups(root, out, options=SMALL)
    records = Store(out).manifest()
    named = {
        name
        for record in records.values()
        for item in record.completed.values()
        for name in item.files
    }
    assert named == {name
                     for name in content(out)
                     if '/' not in name} - {'store.json', 'manifest.json'}
    assert str(tmp_path) not in (out / 'manifest.json').read_text()


def test_report_numbers_by_hand():
    counts = np.array([10, 4, 0, 2])
    report = summarize_groups(counts, balanced_weights(counts))
    assert report['empty_groups'] == [2]
    assert report['head'] == dict(
        groups=1,
        share_of_regions=0.625,
        share_of_weight=pytest.approx(2 / 7.2, rel=1e-5))
    assert report['tail']['groups'] == 1
    assert report['tail']['share_of_regions'] == 0.125
    # w is 0.1, 0.4, 0.5: (1 + 1.6 + 1)^2 / (0.1 + 0.64 + 0.5).
    assert report['effective_sample_size'] == pytest.approx(
        3.6**2 / 1.24, rel=1e-5)


def test_equal_groups_lose_no_sample():
    report = summarize_groups(np.full(7, 3), balanced_weights(np.full(7, 3)))
    assert report['effective_sample_size'] == pytest.approx(21)
    assert report['effective_groups'] == dict(
        regions=pytest.approx(7), weighted=pytest.approx(7))


def test_a_set_whose_groups_weigh_nothing():
    report = summarize_groups(np.array([0, 4]), np.array([1.0, 0.0]))
    assert report['effective_sample_size'] == 0
    assert report['head']['share_of_weight'] == 0
    json.dumps(report, allow_nan=False)


def test_the_picture_opens(root, tmp_path):
    build_groups(root, tmp_path / 'train', options=SMALL)
    with Image.open(tmp_path / 'train/report.png') as image:
        assert min(image.size) > 500
    report = json.loads((tmp_path / 'train/report.json').read_text())
    assert sum(report['counts']) == report['regions']
    assert 'n_i' in report['definitions']['weights']


def test_second_writer_is_refused(root, tmp_path):
    out = tmp_path / 'train'
    with scan_lock(out, 'groups'):
        with pytest.raises(StoreError, match='groups is being written by'):
            build_groups(root, out, options=SMALL)
    assert build_groups(root, out, options=SMALL)['groups'] == KINDS


def test_scans_without_features_are_named(root, tmp_path):
    Store(root).write_record(ScanRecord('dark', reason='no frame'))
    console = Console(file=io.StringIO())
    report = build_groups(
        root, tmp_path / 'train', options=SMALL, console=console)
    assert report['regions'] == 300
    assert 'dark' in console.file.getvalue()
