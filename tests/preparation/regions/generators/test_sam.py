"""SAM's regions: stock masks from any batches, checkpoints, bad input."""
import pickle

import numpy as np
import pytest
import torch
from segment_anything import SamAutomaticMaskGenerator, build_sam_vit_b

from sam3d_plugin.preparation.regions.generators import (build_generator,
                                                         merge_masks)
from sam3d_plugin.preparation.regions.generators import sam as sam_module
from sam3d_plugin.preparation.regions.generators.sam_masks import (
    BatchedMaskGenerator, MaskSettings, coarse_to_fine)
from sam3d_plugin.store.errors import FrameError, StoreError
from tools.benchmarks.mask_oracle import MaskOracle
from .sam_cases import (LENIENT, color_image, frame_of, islands_image,
                        save_sam, small_sam)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    return save_sam(tmp_path_factory.mktemp('sam') / 'small.pth')


@pytest.fixture(scope='module')
def frames():
    sizes = [(60, 80), (81, 47), (33, 33)]
    return [
        frame_of(color_image(*size, seed), str(seed))
        for seed, size in enumerate(sizes)
    ]


def build(checkpoint, **options):
    return build_generator(
        'sam',
        dict(LENIENT, **{
            'checkpoint': checkpoint,
            'device': 'cpu',
            **options
        }))


def stock_map(image, overlap='smaller', **options):
    found = SamAutomaticMaskGenerator(small_sam(), **{
        **LENIENT,
        **options
    }).generate(image)
    scores = [mask['predicted_iou'] for mask in found]
    return merge_masks([mask['segmentation'] for mask in found],
                       'stock',
                       overlap,
                       scores=scores if overlap == 'score' else None)


@pytest.mark.parametrize('batch_size, points_per_batch', [(1, 64), (3, 5)])
@pytest.mark.parametrize('options', [
    {},
    dict(box_nms_thresh=0.7),
    dict(min_mask_region_area=30),
    dict(pred_iou_thresh=0, stability_score_thresh=0),
])
def test_maps_are_those_of_stock_sam(checkpoint, frames, options, batch_size,
                                     points_per_batch):
    maps = build(
        checkpoint,
        batch_size=batch_size,
        points_per_batch=points_per_batch,
        **options).generate(frames)
    for frame, ids in zip(frames, maps):
        expected = stock_map(frame.color, **options)
        assert ids.dtype == np.uint16
        np.testing.assert_array_equal(ids, expected)
        assert np.unique(ids[ids > 0]).tolist() == list(
            range(1,
                  ids.max() + 1))


@pytest.mark.parametrize('options', [{},
                                     dict(
                                         crop_nms_thresh=0.7,
                                         min_mask_region_area=30,
                                         crop_n_points_downscale_factor=2)])
def test_crops_are_those_of_stock_sam(checkpoint, options):
    options = dict(crop_n_layers=1, **options)
    frames = [
        frame_of(islands_image(160, 200, 0)),
        frame_of(islands_image(200, 131, 1))
    ]
    maps = build(checkpoint, batch_size=4, **options).generate(frames)
    without = build(checkpoint).generate(frames)
    for frame, ids, plain in zip(frames, maps, without):
        np.testing.assert_array_equal(ids, stock_map(frame.color, **options))
        assert not np.array_equal(ids, plain)


def test_overlap_rule_by_predicted_iou(checkpoint, frames):
    by_score = build(checkpoint, overlap='score').generate(frames[:1])[0]
    by_area = build(checkpoint).generate(frames[:1])[0]
    np.testing.assert_array_equal(by_score, stock_map(frames[0].color,
                                                      'score'))
    assert not np.array_equal(by_score, by_area)


def test_areas_outside_of_the_limits_are_dropped(checkpoint, frames):
    free = build(checkpoint).generate(frames[:1])[0]
    limited = build(
        checkpoint, min_area=40, max_area=3000).generate(frames[:1])[0]
    areas = np.bincount(free.ravel())[1:]
    assert areas.min() < 40 and (free > 0).sum() > 3000
    kept = np.bincount(limited.ravel())[1:]
    assert len(kept) > 1 and kept.min() >= 40 and kept.max() <= 3000
    assert (limited > 0).sum() < (free > 0).sum()
    none = build(checkpoint, min_area=4799).generate(frames[:1])[0]
    assert isinstance(none, FrameError) and 'no region' in str(none)


def test_networks_see_rgb(checkpoint, frames):
    swapped = frame_of(frames[0].color[..., ::-1])
    generator = build(checkpoint)
    ids, other = generator.generate([frames[0], swapped])
    assert not np.array_equal(ids, other)
    # Red, green and blue are told apart by SAM's means: its input of the
    # mean colour is zero in all channels, in this order only.
    seen = []
    encoder = generator.load().networks.sam.image_encoder
    hook = encoder.register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0]))
    mean = np.broadcast_to(np.array([124, 116, 104], np.uint8), (60, 80, 3))
    generator.generate([frame_of(np.array(mean))])
    hook.remove()
    assert seen[0].abs().max() < 0.01


@pytest.mark.parametrize('layers', [0, 1])
def test_no_mask_is_an_error_of_that_frame(checkpoint, frames, layers):
    generator = build(checkpoint, pred_iou_thresh=100., crop_n_layers=layers)
    results = generator.generate(frames)
    assert all(isinstance(result, FrameError) for result in results)
    assert 'a/0 has no region' in str(results[0])


def test_batches_are_halved_when_memory_runs_out(checkpoint, frames):
    generator = build(checkpoint, batch_size=3, points_per_batch=16)
    expected = build(checkpoint).generate(frames)
    batches = generator.load()
    calls = limit_memory(batches.networks.sam, images=1, prompts=5)
    for ids, other in zip(generator.generate(frames), expected):
        np.testing.assert_array_equal(ids, other)
    assert batches.crops.size == 1 and batches.prompts.size == 4
    assert calls['images'][:2] == [3, 1]
    assert calls['prompts'][:3] == [16, 8, 4]
    calls['images'].clear()
    generator.generate(frames)
    assert calls['images'] == [1, 1, 1]


@pytest.mark.parametrize('limits', [
    dict(images=0, prompts=64),
    dict(images=9, prompts=0),
])
def test_memory_for_not_even_one(checkpoint, frames, limits):
    generator = build(checkpoint, batch_size=2)
    limit_memory(generator.load().networks.sam, **limits)
    with pytest.raises(StoreError, match='out of memory.*smaller SAM'):
        generator.generate(frames)


def test_other_errors_are_no_lack_of_memory(checkpoint, frames):
    generator = build(checkpoint, batch_size=2)

    def fail(*args):
        raise RuntimeError('a kernel failed')

    generator.load().networks.sam.image_encoder.forward = fail
    with pytest.raises(RuntimeError, match='a kernel failed'):
        generator.generate(frames)


def limit_memory(sam, images, prompts):
    """Let the networks fail above these batch sizes, as torch does."""
    calls = dict(images=[], prompts=[])

    def check(kind, limit, error):

        def hook(module, args):
            calls[kind].append(len(args[-1]))
            if len(args[-1]) > limit:
                raise error

        return hook

    sam.image_encoder.register_forward_pre_hook(
        check('images', images, torch.cuda.OutOfMemoryError('no memory')))
    sam.mask_decoder.transformer.register_forward_pre_hook(
        check(
            'prompts', prompts,
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you "
                         'tried to allocate 9 bytes')))
    return calls


def test_checkpoint_decides_settings(checkpoint, tmp_path):
    settings = build(checkpoint).settings()
    assert settings['model'] == 'custom'
    assert settings['points_per_side'] == 4
    assert settings['overlap'] == 'smaller'
    batches = build(checkpoint, batch_size=7, points_per_batch=3)
    assert batches.settings() == settings
    assert str(checkpoint.parent) not in repr(settings)
    other = build(save_sam(tmp_path / 'other.pth', seed=1)).settings()
    assert other['checkpoint_sha256'] != settings['checkpoint_sha256']


def test_pickled_without_networks(checkpoint, frames):
    generator = build(checkpoint)
    expected = generator.generate(frames[:1])[0]
    content = pickle.dumps(generator)
    assert len(content) < 5000
    ids = pickle.loads(content).generate(frames[:1])[0]
    np.testing.assert_array_equal(ids, expected)


def test_wrapped_weights(checkpoint, frames, tmp_path):
    path = tmp_path / 'tuned.pth'
    torch.save(dict(model=torch.load(checkpoint), epoch=3), path)
    np.testing.assert_array_equal(
        build(path).generate(frames[:1])[0],
        build(checkpoint).generate(frames[:1])[0])


@pytest.mark.parametrize('content, message', [
    (dict(weight=torch.ones(3)), 'SAM checkpoint: it has no image_enc'),
    ([torch.ones(3)], 'holds a list'),
    (dict(code=pytest.raises), 'allow-list'),
])
def test_other_files(tmp_path, content, message):
    path = tmp_path / 'other.pth'
    torch.save(content, path)
    with pytest.raises(StoreError, match=message):
        build(path).settings()


def test_damaged_and_missing_checkpoints(tmp_path, checkpoint):
    path = tmp_path / 'half.pth'
    path.write_bytes(checkpoint.read_bytes()[:5000])
    with pytest.raises(StoreError, match='half.pth'):
        build(path).settings()
    with pytest.raises(StoreError, match='none.pth is missing'):
        build(tmp_path / 'none.pth').settings()


def test_checkpoint_of_another_model(tmp_path, checkpoint, frames):
    weights = torch.load(checkpoint)
    del weights['mask_decoder.iou_token.weight']
    path = tmp_path / 'part.pth'
    torch.save(weights, path)
    with pytest.raises(StoreError, match='part.pth does not fit.*iou_token'):
        build(path).generate(frames)
    for call in ('settings', 'generate'):
        generator = build(checkpoint, model_type='vit_h')
        arguments = [frames] if call == 'generate' else []
        with pytest.raises(
                StoreError, match=r'holds SAM custom \(2 blocks.*not vit_h'):
            getattr(generator, call)(*arguments)


def test_published_sizes_are_known_by_their_shapes(tmp_path):
    with torch.device('meta'):
        shapes = build_sam_vit_b().state_dict()
    path = tmp_path / 'sam_vit_b.pth'
    torch.save({
        k: torch.empty(1).expand(v.shape)
        for k, v in shapes.items()
    }, path)
    assert build(path, model_type='vit_b').settings()['model'] == 'vit_b'
    with pytest.raises(StoreError, match=r'vit_b \(12 blocks.*not vit_h'):
        build(path, model_type='vit_h').settings()


@pytest.mark.parametrize('options, message', [
    (dict(model_type='vit_x'), "model_type 'vit_x' is unknown"),
    (dict(overlap='biggest'), "overlap 'biggest' is unknown"),
    (dict(dtype='int8'), "dtype 'int8' is unknown"),
    (dict(device='tpu9'), 'device=tpu9 is unknown'),
    (dict(min_area=5, max_area=2), 'leave no region'),
    (dict(points_per_batch=-1), 'points_per_batch -1'),
    (dict(points_per_side=0), 'no prompt'),
    (dict(crop_n_layers=3, crop_n_points_downscale_factor=2), 'no prompt'),
    (dict(points=3), 'no option points'),
])
def test_bad_options(checkpoint, options, message):
    with pytest.raises(StoreError, match=message):
        build(checkpoint, **options)


def test_gpu_stays_in_the_main_process(checkpoint, monkeypatch):
    assert not build(checkpoint).in_process
    with pytest.raises(StoreError, match='sees no GPU'):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
        build_generator('sam', dict(checkpoint=checkpoint, device='cuda'))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    generator = build_generator('sam', dict(checkpoint=checkpoint))
    assert generator.torch_device.type == 'cuda' and generator.in_process
    assert generator.batch_size > 1


def test_workers_use_one_thread(checkpoint, frames, monkeypatch):
    threads = []
    monkeypatch.setattr(sam_module.multiprocessing, 'parent_process', object)
    monkeypatch.setattr(torch, 'set_num_threads', threads.append)
    build(checkpoint).generate(frames[:1])
    assert threads == [1]


def test_half_precision_is_near(checkpoint, frames):
    exact = build(checkpoint, pred_iou_thresh=0.0).generate(frames[:1])[0]
    half = build(
        checkpoint, pred_iou_thresh=0.0,
        dtype='bfloat16').generate(frames[:1])[0]
    assert ((half > 0) == (exact > 0)).mean() > 0.9


def test_rounds_hold_each_prompt_once():
    for side in (1, 2, 3, 4, 8, 32):
        rounds = coarse_to_fine(side)
        together = np.concatenate(rounds)
        assert sorted(together) == list(range(side * side))
    sizes = [len(indices) for indices in coarse_to_fine(32)]
    assert sizes == [64, 256, 704]
    # Spread evenly: each of the 8 x 8 blocks has one of the first round.
    rows, columns = np.divmod(coarse_to_fine(32)[0], 32)
    assert len(set(zip(rows // 4, columns // 4))) == 64


def test_prompts_inside_found_masks_are_skipped():
    """Four objects: each found as before, with a fraction of the prompts."""
    image = islands_image(160, 200, 0)
    ids = np.zeros((160, 200), int)
    for i, (top, left) in enumerate([(10, 10), (10, 110), (90, 10),
                                     (90, 110)]):
        ids[top:top + 60, left:left + 80] = i + 1

    def find(skip_covered):
        generator = BatchedMaskGenerator(
            MaskOracle([ids]),
            MaskSettings(points_per_side=16, skip_covered=skip_covered))
        masks = generator.generate([image])[0][0]
        objects = sorted(np.bincount(ids[mask]).argmax() for mask in masks)
        return objects, generator.prompts_decoded

    assert find(0.) == ([1, 2, 3, 4], 256)
    objects, decoded = find(.2)
    assert objects == [1, 2, 3, 4] and decoded < 150
    # Masks larger than the share do not stop prompts.
    assert find(.1) == ([1, 2, 3, 4], 256)


def test_skipping_is_a_setting_only_where_it_is_used(checkpoint, frames):
    plain, aware = build(checkpoint), build(checkpoint, skip_covered=.5)
    assert 'skip_covered' not in plain.settings()
    assert aware.settings()['skip_covered'] == .5
    assert aware.generate(frames[:1])[0].shape == (60, 80)
    with pytest.raises(StoreError, match='skip_covered'):
        build(checkpoint, skip_covered=2)
