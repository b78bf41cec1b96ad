"""SAM 2 and SAM 3: masks of the models' own forward, folders, bad input."""
import json
import pickle
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from segment_anything.utils import amg
from torchvision.ops import batched_nms

from sam3d_plugin.preparation.regions.generators import (build_generator,
                                                         merge_masks)
from sam3d_plugin.preparation.transformers_models import import_transformers
from sam3d_plugin.store.errors import FrameError, StoreError
from tests.preparation.tiny_transformers import save_sam2, save_sam3
from .sam_cases import color_image, frame_of, save_sam

SETTINGS = dict(
    points_per_side=4,
    pred_iou_thresh=.5,
    stability_score_thresh=.9,
    stability_score_offset=.05,
    box_nms_thresh=1.0)
CLASSES = dict(sam2='Sam2Model', sam3='Sam3TrackerModel')


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp('models')
    return dict(
        sam2=save_sam2(folder / 'sam2'), sam3=save_sam3(folder / 'sam3'))


@pytest.fixture(scope='module')
def frames():
    return [
        frame_of(color_image(*size, seed), str(seed))
        for seed, size in enumerate([(60, 80), (81, 47)])
    ]


def build(name, folder, **options):
    return build_generator(name, {
        **SETTINGS, 'checkpoint': str(folder),
        'device': 'cpu',
        **options
    })


@torch.inference_mode()
def slow_masks(name, folder, image):
    """One prompt at a time through forward and the processor's own resize."""
    transformers = import_transformers()
    model = getattr(transformers, CLASSES[name]).from_pretrained(folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    inputs = processor(images=image, return_tensors='pt')
    side = inputs['pixel_values'].shape[-1]
    height, width = image.shape[:2]
    masks, scores, boxes = [], [], []
    for y in range(4):
        for x in range(4):
            point = torch.tensor([[[[(x + .5) / 4 * side,
                                     (y + .5) / 4 * side]]]])
            out = model(
                pixel_values=inputs['pixel_values'],
                input_points=point,
                input_labels=torch.ones(1, 1, 1, dtype=torch.int))
            large = processor.post_process_masks(
                out.pred_masks[0][None],
                inputs['original_sizes'],
                binarize=False)[0][0]
            stability = amg.calculate_stability_score(large, 0., .05)
            for i in range(3):
                if out.iou_scores[0, 0, i] > .5 and stability[i] >= .9:
                    masks.append(large[i] > 0)
                    scores.append(out.iou_scores[0, 0, i])
    masks = torch.stack(masks)
    boxes = amg.batched_mask_to_box(masks)
    inside = ~amg.is_box_near_crop_edge(boxes, [0, 0, width, height],
                                        [0, 0, width, height])
    masks, boxes = masks[inside], boxes[inside]
    scores = torch.stack(scores)[inside]
    kept = batched_nms(boxes.float(), scores, torch.zeros(len(boxes)), 1.)
    return masks[kept].numpy()


@pytest.mark.parametrize('name', ['sam2', 'sam3'])
def test_maps_are_those_of_the_models_own_forward(name, folders, frames):
    maps = build(
        name, folders[name], batch_size=2, points_per_batch=5).generate(frames)
    for frame, ids in zip(frames, maps):
        masks = slow_masks(name, folders[name], frame.color)
        assert len(masks) > 3 and len({int(m.sum()) for m in masks}) > 3
        np.testing.assert_array_equal(ids, merge_masks(list(masks), 'slow'))


@pytest.mark.parametrize('name', ['sam2', 'sam3'])
def test_batches_and_workers_change_nothing(name, folders, frames):
    one = build(name, folders[name])
    many = pickle.loads(
        pickle.dumps(
            build(name, folders[name], batch_size=2, points_per_batch=7)))
    for first, second in zip(one.generate(frames), many.generate(frames)):
        np.testing.assert_array_equal(first, second)
    assert one.settings() == many.settings()
    assert one.settings()['pred_iou_thresh'] == .5
    assert str(folders[name]) not in repr(one.settings())


def test_crops_and_no_mask(folders, frames):
    with_crops = build('sam2', folders['sam2'], crop_n_layers=1)
    assert with_crops.generate(frames[:1])[0].shape == (60, 80)
    none = build('sam2', folders['sam2'], pred_iou_thresh=1.)
    assert isinstance(none.generate(frames)[0], FrameError)


def test_settings_tell_models_and_weights_apart(folders, tmp_path):
    first = build('sam2', folders['sam2']).settings()
    other = build('sam2', save_sam2(tmp_path / 'other', seed=4)).settings()
    copied = shutil.copytree(folders['sam2'], tmp_path / 'copy')
    assert build('sam2', copied).settings() == first
    assert first['model'] == other['model'] == 'sam2'
    assert first['checkpoint_sha256'] != other['checkpoint_sha256']
    size = copied / 'preprocessor_config.json'
    size.write_text(size.read_text().replace('0.485', '0.5'))
    assert build('sam2', copied).settings() != first


def change(folder, **changes):
    path = folder / 'config.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def break_folder(kind, folder):
    if kind == 'truncated':
        path = folder / 'model.safetensors'
        path.write_bytes(path.read_bytes()[:900])
    elif kind == 'deeper':
        config = json.loads((folder / 'config.json').read_text())
        config['mask_decoder_config']['num_multimask_outputs'] = 4
        change(folder, **config)
    elif kind == 'nameless':
        (folder / 'config.json').write_text('[1, 2]')
    else:
        (folder / kind).unlink()


@pytest.mark.parametrize('kind, word', [
    ('truncated', 'cannot be loaded'),
    ('deeper', 'lack'),
    ('nameless', 'model_type'),
    ('config.json', 'config.json'),
    ('model.safetensors', 'safetensors'),
    ('preprocessor_config.json', 'preprocessor'),
])
def test_broken_folders(kind, word, folders, frames, tmp_path):
    folder = shutil.copytree(folders['sam2'], tmp_path / 'broken')
    break_folder(kind, folder)
    with pytest.raises(StoreError, match=word) as error:
        build('sam2', folder).generate(frames)
    assert len(str(error.value)) < 200 + len(str(tmp_path))


def as_video_model(name, folder):
    """Files as the hub has them: config and names of the video models."""
    config = json.loads((folder / 'config.json').read_text())
    weights = load_file(folder / 'model.safetensors')
    if name == 'sam2':
        config['model_type'] = 'sam2_video'
        weights['memory_temporal_positional_encoding'] = torch.zeros(7)
    else:
        config = dict(model_type='sam3_video', tracker_config=config)
        # Which is how transformers saves a tracker of its own, too.
        assert any(n.startswith('tracker_model.mask_decoder') for n in weights)
        weights['detector_model.text_projection.bias'] = torch.zeros(9)
    (folder / 'config.json').write_text(json.dumps(config))
    save_file(weights, folder / 'model.safetensors', dict(format='pt'))


@pytest.mark.parametrize('name', ['sam2', 'sam3'])
def test_checkpoints_of_videos_are_images_too(name, folders, frames, tmp_path):
    folder = shutil.copytree(folders[name], tmp_path / 'video')
    expected = build(name, folder).generate(frames)[1]
    as_video_model(name, folder)
    assert build(name, folder).settings()['model'] == f'{name}_video'
    np.testing.assert_array_equal(
        build(name, folder).generate(frames)[1], expected)


def test_models_of_another_kind_are_named(folders, tmp_path):
    with pytest.raises(StoreError, match="'sam2'"):
        build('sam3', folders['sam2']).settings()
    file = save_sam(tmp_path / 'sam.pth')
    with pytest.raises(StoreError, match='not a folder'):
        build('sam2', file).settings()


def test_missing_transformers_is_said(folders, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'transformers', None)
    with pytest.raises(StoreError, match='make setup'):
        build('sam2', folders['sam2']).load()
