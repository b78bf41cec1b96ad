"""Features of regions from frames: alignment, bad frames, resuming."""
import io

import numpy as np
import pytest
from rich.console import Console

from sam3d_plugin.preparation.features.encoders import build_encoder
from sam3d_plugin.preparation.features.region_features_step import \
    RegionFeatureStep
from sam3d_plugin.preparation.running.runs import RunOptions, run_step
from sam3d_plugin.store.errors import FrameError, StoreError
from sam3d_plugin.store.manifest import Store
from sam3d_plugin.store.posed_images import (Cameras, PosedImages,
                                             encode_color, frame_files)
from sam3d_plugin.store.records import ItemRecord, ScanRecord
from sam3d_plugin.store.region_features import RegionFeatures
from sam3d_plugin.store.region_maps import encode_region_map

HERE = RunOptions(workers=0)
GREY, ORANGE = (90, 90, 90), (250, 120, 30)


def write_frame(data, scan, name, color, ids):
    images = PosedImages(data / 'posed_images')
    images.write_cameras(scan, Cameras(np.eye(3), np.eye(3), np.eye(4), True))
    depth = np.full(color.shape[:2], 1000, np.uint16)
    files = frame_files(encode_color(color), depth, np.eye(4))
    folder = data / 'posed_images' / scan
    for ending, content in files.items():
        (folder / f'{name}{ending}').write_bytes(content)
    store = Store(data / 'region_maps')
    record = store.record(scan) or ScanRecord(scan)
    record.items[name] = ItemRecord(
        'ok', '', store.write({f'{scan}/{name}.png': encode_region_map(ids)}))
    store.write_record(record)


def stripes(height=48, width=64, regions=4):
    """Vertical stripes as regions, the first column of pixels in none."""
    ids = np.arange(width) * regions // width + 1
    ids[0] = 0
    return np.tile(ids.astype(np.uint16), (height, 1))


def patched(ids, region, noise_seed=0):
    """A grey image, orange inside one region."""
    color = np.full((*ids.shape, 3), GREY, np.uint8)
    color[ids == region] = ORANGE
    noise = np.random.default_rng(noise_seed).integers(0, 4, color.shape)
    return (color + noise).astype(np.uint8)


@pytest.fixture
def data(tmp_path):
    Store(tmp_path / 'region_maps').open('region_maps', dict(generator='x'))
    for scan in ('s0', 's1'):
        for i in range(3):
            ids = stripes()
            write_frame(tmp_path, scan, f'{i:05d}', patched(ids, i + 1), ids)
    return tmp_path


def make_step(data, encoder='handcrafted', **options):
    if encoder == 'handcrafted':
        options = dict(dict(long_side=64), **options)
    return RegionFeatureStep(data / 'posed_images', data / 'region_maps',
                             build_encoder(encoder, options))


def run(step, data):
    console = Console(file=io.StringIO(), width=200, soft_wrap=True)
    report = run_step(step, data / 'region_features', HERE, console)
    return report, console.file.getvalue()


def test_one_container_per_scan_and_no_parts(data):
    report, _ = run(make_step(data), data)
    assert report.made == 6
    features = RegionFeatures(data / 'region_features')
    assert features.scans() == ['s0', 's1']
    assert features.frames('s0') == ['00000', '00001', '00002']
    arrays = features.read('s1', '00001')
    assert arrays.mean.shape == arrays.max.shape == (4, 60)
    assert arrays.areas.tolist() == [48 * 15, 48 * 16, 48 * 16, 48 * 16]
    assert not list((data / 'region_features').glob('s?/*'))
    record = Store(data / 'region_features').record('s0').completed['00000']
    assert record.fields == dict(regions=4, channels=60)
    assert record.inputs['id_map']


# Sizes at which cropping, squashing, or rounding a pixel's index of another
# grid up to one past its end would move the patch to another region.
@pytest.mark.parametrize('size', [(48, 64), (97, 131), (480, 641), (64, 40)])
# Of the handcrafted features only colours see nothing beyond a region's edge.
@pytest.mark.parametrize('encoder, channels', [
    (('handcrafted', dict(long_side=64)), 15),
    (('timm',
      dict(model='resnet10t', random_weights_seed=0, long_side=128,
           layer=1)), None),
])
def test_a_patch_ends_up_in_its_region(tmp_path, size, encoder, channels):
    Store(tmp_path / 'region_maps').open('region_maps', {})
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    ids = (rows * 3 // height * 4 + columns * 4 // width + 1).astype(np.uint16)
    regions = (1, 4, 6, 9, 12)
    for region in regions:
        write_frame(tmp_path, 's', f'{region:05d}', patched(ids, region), ids)
    write_frame(tmp_path, 's', '00000', patched(ids, 0), ids)
    run(make_step(tmp_path, encoder[0], **encoder[1]), tmp_path)
    features = RegionFeatures(tmp_path / 'region_features')
    plain = features.read('s', '00000').mean.astype(np.float32)
    for region in regions:
        found = features.read('s', f'{region:05d}').mean.astype(np.float32)
        changes = np.linalg.norm((found - plain)[:, :channels], axis=1)
        assert changes.argmax() == region - 1
        assert changes[region - 1] > 2 * np.sort(changes)[-2]


def test_colours_are_rgb(data):
    run(make_step(data), data)
    arrays = RegionFeatures(data / 'region_features').read('s0', '00000')
    blue_to_yellow = arrays.mean[:, 2]
    # Orange is yellowish; read as BGR it would be blue.
    assert blue_to_yellow[0] > 3
    assert abs(blue_to_yellow[1:]).max() < 1


def test_bad_frames_are_named_and_the_others_made(data):
    maps, images = data / 'region_maps', data / 'posed_images'
    (maps / 's0/00000.png').unlink()
    write_frame(data, 's0', '00001', patched(stripes(), 1), stripes(40, 60))
    image = images / 's1/00002.jpg'
    image.write_bytes(image.read_bytes()[:300])
    report, text = run(make_step(data), data)
    assert report.made == 3
    for name, reason in (('s0/00000', 'generate_regions'),
                         ('s0/00001', '60x40'), ('s1/00002',
                                                 'not a readable image')):
        assert reason in report.skipped[name]
        assert f'skipped {name}' in text
    features = RegionFeatures(data / 'region_features')
    assert features.frames('s0') == ['00002']
    with pytest.raises(StoreError, match='no frame 00000'):
        features.read('s0', '00000')


def test_a_scan_without_good_frames_has_no_container(data):
    for path in (data / 'region_maps/s0').glob('*.png'):
        path.write_bytes(b'')
    report, _ = run(make_step(data), data)
    assert set(report.skipped) == {f's0/0000{i}' for i in range(3)}
    assert RegionFeatures(data / 'region_features').scans() == ['s1']


def test_features_that_are_not_finite_are_refused(data):
    step = make_step(data)
    encode = step.encoder.encode

    def broken(images):
        maps = encode(images)
        maps[0][3] = float('nan')
        return maps

    step.encoder.encode = broken
    product, = step.process('s0', ['00000'])
    assert isinstance(product, FrameError)
    assert 's0/00000.safetensors: a mean feature is NaN' in str(product)


def test_a_new_frame_joins_a_packed_scan(data):
    run(make_step(data), data)
    packed = data / 'region_features/s0.safetensors'
    before = RegionFeatures(data / 'region_features').read('s0', '00001')
    old = packed.read_bytes()
    ids = stripes()
    write_frame(data, 's0', '00003', patched(ids, 4), ids)
    report, _ = run(make_step(data), data)
    assert (report.made, report.kept) == (1, 6)
    features = RegionFeatures(data / 'region_features')
    assert features.frames('s0')[-1] == '00003'
    assert (features.read('s0', '00001').mean == before.mean).all()
    assert packed.read_bytes() != old
    content = packed.read_bytes()
    report, _ = run(make_step(data), data)
    assert (report.made, report.kept) == (0, 7)
    assert packed.read_bytes() == content


def test_batches_of_different_sizes(data):
    ids = stripes(64, 48)
    write_frame(data, 's0', '00003', patched(ids, 1), ids)
    single, = make_step(data).process('s0', ['00003'])
    names = ['00000', '00003', '00001']
    results = make_step(data).process('s0', names)
    assert results[1] == single


def test_other_settings_are_refused(data):
    run(make_step(data), data)
    with pytest.raises(StoreError, match='options.stride 2, now 1'):
        run(make_step(data, stride=1), data)


def test_id_maps_must_be_a_store(data):
    (data / 'region_maps/store.json').unlink()
    with pytest.raises(StoreError, match='store.json is missing'):
        run(make_step(data), data)
