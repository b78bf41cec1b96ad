"""Regions from label images and run lengths."""
import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco
from segment_anything.utils.amg import mask_to_rle_pytorch
from torch import from_numpy

from sam3d_plugin.preparation.regions.generators import (build_generator,
                                                         merge_masks)
from sam3d_plugin.preparation.regions.generators.mask_lists import decode_rle
from sam3d_plugin.preparation.regions.generators.precomputed import \
    resize_nearest
from sam3d_plugin.store.errors import FrameError, StoreError
from .precomputed_cases import generate
from .sam_cases import frame_of

SIZE = (24, 32)


@pytest.fixture
def frame():
    return frame_of(np.zeros((*SIZE, 3), np.uint8), '00000')


def random_masks(count=6, size=SIZE, seed=0):
    rng = np.random.default_rng(seed)
    masks = np.zeros((count, *size), bool)
    for mask in masks:
        top, left = rng.integers(0, (size[0] - 4, size[1] - 4))
        height, width = rng.integers(3, 14, 2)
        mask[top:top + height, left:left + width] = True
        mask[rng.integers(0, size[0]), rng.integers(0, size[1])] ^= True
    return masks


def write_labels(root, labels):
    path = root / 'a' / '00000.png'
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(labels).save(path)
    return root


def write_json(root, content):
    path = root / 'a' / '00000.json'
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        content if isinstance(content, str) else json.dumps(content))
    return root


# ---- label images


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_labels_become_contiguous_in_order(tmp_path, frame, dtype):
    values = np.array([0, 7, 3, 250, 1], dtype)
    index = np.random.default_rng(0).integers(0, 5, SIZE)
    root = write_labels(tmp_path, values[index])
    ids = generate(frame, root, 'labels')
    expected = np.array([0, 3, 2, 4, 1])[index]
    assert ids.dtype == np.uint16
    np.testing.assert_array_equal(ids, expected)


def test_sixteen_bit_labels_do_not_wrap(tmp_path, frame):
    labels = np.zeros(SIZE, np.uint16)
    labels[:12], labels[12:] = 256, 40_000
    ids = generate(frame, write_labels(tmp_path, labels), 'labels')
    np.testing.assert_array_equal(ids, np.where(labels == 256, 1, 2))


def test_background_is_a_choice(tmp_path, frame):
    labels = np.full(SIZE, 255, np.uint8)
    labels[:6], labels[6:9] = 0, 4
    root = write_labels(tmp_path, labels)
    ids = generate(frame, root, 'labels', background=255)
    assert [ids[0, 0], ids[6, 0], ids[9, 0]] == [1, 2, 0]
    ids = generate(frame, root, 'labels', background=None)
    assert [ids[0, 0], ids[6, 0], ids[9, 0]] == [1, 2, 3]


def test_labels_outside_of_the_limits_are_dropped(tmp_path, frame):
    labels = np.zeros(SIZE, np.uint8)
    labels[:10], labels[11:13], labels[20, :5] = 1, 2, 3
    root = write_labels(tmp_path, labels)
    ids = generate(frame, root, 'labels', min_area=6, max_area=300)
    assert np.bincount(ids.ravel()).tolist() == [SIZE[0] * SIZE[1] - 64, 64]
    assert ids[11, 0] == 1


def test_labels_of_another_size(tmp_path, frame):
    labels = np.arange(12 * 16, dtype=np.uint16).reshape(12, 16) + 1
    root = write_labels(tmp_path, labels)
    error = generate(frame, root, 'labels')
    assert isinstance(error, FrameError)
    assert '16 x 12' in str(error)
    ids = generate(frame, root, 'labels', resize='nearest')
    np.testing.assert_array_equal(ids, labels.repeat(2, 0).repeat(2, 1))


def test_resizing_takes_the_middle_of_three():
    image = np.arange(9).reshape(3, 3)
    np.testing.assert_array_equal(resize_nearest(image, (1, 1)), [[4]])
    np.testing.assert_array_equal(resize_nearest(image, (3, 3)), image)


def test_bad_label_images(tmp_path, frame):
    assert '00000.png is missing' in str(generate(frame, tmp_path, 'labels'))
    root = write_labels(tmp_path, np.zeros((*SIZE, 3), np.uint8))
    assert 'label image' in str(generate(frame, root, 'labels'))
    path = root / 'a' / '00000.png'
    path.write_bytes(path.read_bytes()[:50])
    assert 'not a readable image' in str(generate(frame, root, 'labels'))
    root = write_labels(root, np.zeros(SIZE, np.uint8))
    error = generate(frame, root, 'labels')
    assert isinstance(error, FrameError) and 'no region' in str(error)


def test_pattern_of_names(tmp_path, frame):
    labels = np.ones(SIZE, np.uint8)
    Image.fromarray(labels).save(tmp_path / 'seg-a-00000.png')
    ids = generate(frame, tmp_path / 'seg-{scan}-{frame}.png', 'labels')
    np.testing.assert_array_equal(ids, labels)


# ---- run lengths


def compressed(mask):
    rle = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return dict(size=rle['size'], counts=rle['counts'].decode())


def uncompressed(mask):
    return mask_to_rle_pytorch(from_numpy(mask[None]))[0]


@pytest.mark.parametrize('encode', [compressed, uncompressed])
def test_run_lengths_are_those_of_others(encode):
    rng = np.random.default_rng(0)
    masks = [
        *random_masks(),
        rng.random((37, 53)) < 0.5,
        np.zeros((5, 300), bool),
        np.ones((400, 7), bool),
        rng.random((300, 1)) < 0.01
    ]
    for mask in masks:
        rle = json.loads(json.dumps(encode(mask)))
        np.testing.assert_array_equal(decode_rle(rle, 'x'), mask)


@pytest.mark.parametrize('overlap', ['smaller', 'larger', 'first', 'score'])
@pytest.mark.parametrize('is_nested', [True, False])
def test_masks_are_merged_by_the_rule(tmp_path, frame, overlap, is_nested):
    masks = random_masks()
    scores = [0.5, 0.9, 0.1, 0.7, 0.3, 0.2]
    annotations = [
        dict(
            segmentation=(compressed, uncompressed)[i % 2](mask),
            area=int(mask.sum()),
            predicted_iou=score)
        for i, (mask, score) in enumerate(zip(masks, scores))
    ]
    root = write_json(
        tmp_path,
        dict(image={}, annotations=annotations) if is_nested else annotations)
    ids = generate(frame, root, 'rle', overlap=overlap, min_area=5)
    np.testing.assert_array_equal(
        ids,
        merge_masks(
            list(masks),
            'x',
            overlap,
            scores=scores if overlap == 'score' else None,
            min_area=5))


def test_masks_of_another_size(tmp_path, frame):
    masks = random_masks(3, (48, 64))
    root = write_json(tmp_path,
                      [dict(segmentation=compressed(mask)) for mask in masks])
    assert '64 x 48 pixels' in str(generate(frame, root, 'rle'))
    ids = generate(frame, root, 'rle', resize='nearest')
    np.testing.assert_array_equal(
        ids, merge_masks([mask[1::2, 1::2] for mask in masks], 'x'))


GOOD = dict(size=[4, 4], counts=[3, 5, 8])


@pytest.mark.parametrize('content, message', [
    ('{"annotations": [', 'not a complete JSON file'),
    ('[' * 5000, 'not a complete JSON file'),
    ('7', 'no list of annotations'),
    ('{"masks": []}', 'no list of annotations'),
    ('[3]', 'no list of annotations'),
    ('[]', 'has no mask'),
    ('{"annotations": []}', 'has no mask'),
    ([{}], 'mask 0 is not given as run lengths'),
    ([dict(segmentation=[[1, 2, 3]])], 'mask 0 is not given as run lengths'),
    ([
        dict(segmentation=GOOD),
        dict(segmentation=dict(size=[4, 5], counts=[20]))
    ], 'of the sizes'),
])
def test_bad_json(tmp_path, frame, content, message):
    error = generate(frame, write_json(tmp_path, content), 'rle')
    assert isinstance(error, FrameError) and message in str(error)
    assert '00000.json' in str(error)


def test_scores_must_be_there(tmp_path, frame):
    root = write_json(tmp_path, [dict(segmentation=GOOD)])
    error = generate(frame, root, 'rle', overlap='score')
    assert 'without predicted_iou' in str(error)


@pytest.mark.parametrize('change, message', [
    (dict(size=[4]), 'has no size'),
    (dict(size='44'), 'has no size'),
    (dict(size=[4, -4]), 'has no size'),
    (dict(size=[4, 2.5]), 'has no size'),
    (dict(size=[10**6, 10**6]), 'size'),
    (dict(counts=None), 'no counts'),
    (dict(counts=[3, '5', 8]), 'no counts'),
    (dict(counts=[3, 5]), 'do not fill 4 x 4'),
    (dict(counts=[3, -5, 18]), 'do not fill 4 x 4'),
    (dict(counts=[10**30]), 'do not fill'),
    (dict(counts=[-10**30]), 'do not fill'),
    (dict(counts=[2**62, 2**62, 2**62, 2**62, 16]), 'do not fill'),
    (dict(counts=''), 'counts are damaged'),
    (dict(counts='zz ~'), 'counts are damaged'),
    (dict(counts='é'), 'counts are damaged'),
    (dict(counts='oo'), 'counts are damaged'),
    (dict(counts='o' * 40 + '1'), 'counts are damaged'),
    (dict(counts='0140000'), 'do not fill'),
])
def test_bad_run_lengths(change, message):
    with pytest.raises(FrameError, match=message):
        decode_rle(dict(GOOD, **change), 'x.json, mask 3')


def test_json_file_is_missing(tmp_path, frame):
    assert '00000.json is missing' in str(generate(frame, tmp_path, 'rle'))


# ---- options


def test_settings_name_what_counts(tmp_path):
    settings = {
        form:
        build_generator('precomputed', dict(path=tmp_path,
                                            form=form)).settings()
        for form in ('labels', 'rle', 'vertices')
    }
    assert 'background' in settings['labels']
    assert settings['rle']['overlap'] == 'smaller'
    assert settings['vertices']['distance'] == 0.05
    assert str(tmp_path) not in repr(settings)


def test_settings_tell_sources_apart(tmp_path):
    np.savetxt(tmp_path / 'turn.txt', np.diag([-1, -1, 1, 1]))
    found = [
        build_generator('precomputed', dict(form=form, **options)).settings()
        for form, options in (
            ('labels', dict(path=tmp_path / 'masks')),
            ('labels', dict(path=f'{tmp_path}/others/')),
            ('labels', dict(path=tmp_path / 'masks/{scan}/{frame}_b.png')),
            ('vertices', dict(path=tmp_path / 'masks')),
            ('vertices', dict(path=tmp_path / 'masks', points=tmp_path)),
            ('vertices',
             dict(
                 path=tmp_path / 'masks',
                 world_to_scan=str(tmp_path / 'turn.txt'))),
            ('vertices',
             dict(path=tmp_path / 'masks', world_to_scan='{scan}.txt')))
    ]
    assert [s['files'] for s in found[:3]
            ] == ['masks', 'others', 'masks/{scan}/{frame}_b.png']
    assert found[5]['world_to_scan'][0] == [-1, 0, 0, 0]
    texts = [repr(s) for s in found]
    assert len(set(texts)) == len(texts)
    assert not any(str(tmp_path) in text for text in texts)


@pytest.mark.parametrize('options, message', [
    (dict(form='polygons'), "form 'polygons' is unknown"),
    (dict(form='rle', overlap='none'), "overlap 'none' is unknown"),
    (dict(form='labels', resize='cubic'), "resize 'cubic' is unknown"),
    (dict(form='labels', min_area=-1), 'min_area=-1'),
    (dict(form='vertices', distance=0), 'distance'),
    ({}, 'needs form'),
])
def test_bad_options(tmp_path, options, message):
    with pytest.raises(StoreError, match=message):
        build_generator('precomputed', dict(path=tmp_path, **options))


@pytest.mark.parametrize('none', [255, 65535])
def test_another_label_than_0_for_none_is_asked_for(tmp_path, frame, none):
    """SAM3D counts masks from 0 and stores -1 as 65535."""
    labels = np.full(SIZE, none, np.uint16)
    labels[:6], labels[6:9] = 0, 1
    root = write_labels(tmp_path, labels)
    with pytest.raises(StoreError, match=f'background={none}'):
        generate(frame, root, 'labels')
    ids = generate(frame, root, 'labels', background=none)
    assert [ids[0, 0], ids[6, 0], ids[9, 0]] == [1, 2, 0]
    ids = generate(frame, root, 'labels', background=0)
    assert [ids[0, 0], ids[6, 0], ids[9, 0]] == [0, 1, 2]


@pytest.mark.parametrize('used', [
    np.arange(150),
    np.arange(254),
    np.array([0, 3, 200, 240]),
])
def test_many_8_bit_labels_with_255_for_none(tmp_path, frame, used):
    labels = np.resize(np.append(used, 255), SIZE).astype(np.uint8)
    root = write_labels(tmp_path, labels)
    with pytest.raises(StoreError, match='background=255, or background=0'):
        generate(frame, root, 'labels')
    ids = generate(frame, root, 'labels', background=255)
    assert ((ids == 0) == (labels == 255)).all()


@pytest.mark.parametrize('used, dtype', [
    (np.arange(256), np.uint8),
    (np.array([0, 3, 200, 255]), np.uint16),
])
def test_255_may_be_a_label(tmp_path, frame, used, dtype):
    labels = np.resize(used, SIZE).astype(dtype)
    ids = generate(frame, write_labels(tmp_path, labels), 'labels')
    assert ((ids == 0) == (labels == 0)).all()


def test_a_jpeg_of_labels_is_refused(tmp_path, frame):
    root = write_labels(tmp_path, np.ones(SIZE, np.uint8))
    path = next(root.rglob('*.png'))
    Image.open(path).save(path, 'JPEG')
    assert 'JPEG' in str(generate(frame, root, 'labels'))
