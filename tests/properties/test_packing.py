"""Properties of samples, batches and files of many frames."""
import pickle
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from mmdet3d.structures import DepthPoints
from mmengine.structures import InstanceData

from sam3d_plugin.datasets.frame_batch import collate_frames
from sam3d_plugin.datasets.transforms import PackPretrainInputs
from sam3d_plugin.store.frame_rows import FrameRows, pack_frames, unpack_frames

DTYPES = st.sampled_from(
    [np.float32, np.float64, np.int64, np.int32, np.uint8, np.bool_])
ARRAYS = arrays(DTYPES,
                array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
NAMES = st.text('abc', min_size=1, max_size=3)


@st.composite
def tensors(draw):
    """Tensors of any type and shape, some of them strided views."""
    tensor = torch.from_numpy(np.array(draw(ARRAYS)))
    if tensor.ndim > 1 and draw(st.booleans()):
        tensor = tensor.transpose(0, 1)
    if tensor.ndim and draw(st.booleans()):
        tensor = tensor[::2]
    return tensor


SAMPLES = st.lists(
    st.fixed_dictionaries(
        dict(
            inputs=st.fixed_dictionaries(dict(points=tensors())),
            data_samples=st.builds(
                SimpleNamespace, tensor=tensors(), name=NAMES))),
    min_size=1,
    max_size=5)


def assert_same(found, expected):
    assert found.dtype == expected.dtype and found.shape == expected.shape
    assert np.array_equal(
        found.numpy(), expected.numpy(), equal_nan=found.is_floating_point())


@given(SAMPLES)
def test_a_batch_arrives_as_it_was_sent(samples):
    batch = pickle.loads(pickle.dumps(collate_frames(samples)))
    assert set(batch) == {'inputs', 'data_samples'}
    assert len(batch['inputs']['points']) == len(samples)
    for i, sample in enumerate(samples):
        assert_same(batch['inputs']['points'][i], sample['inputs']['points'])
        found, expected = batch['data_samples'][i], sample['data_samples']
        assert_same(found.tensor, expected.tensor)
        assert found.name == expected.name


@given(
    st.integers(0, 20), st.integers(0, 6),
    st.sets(st.sampled_from(['scan', 'frame', 'sample_idx', 'other'])),
    st.booleans())
def test_packing_keeps_points_regions_and_names(num_points, num_regions, keys,
                                                has_labels):
    points = torch.rand(num_points, 4)
    regions = InstanceData(ids=torch.arange(num_regions) + 1)
    labels = np.arange(num_points)
    results = dict(
        points=DepthPoints(points, points_dim=4),
        regions=regions,
        **{key: f'{key} of it'
           for key in keys})
    if has_labels:
        results['pts_semantic_mask'] = labels
    packed = PackPretrainInputs()(results)
    sample = packed['data_samples']
    assert torch.equal(packed['inputs']['points'], points)
    assert torch.equal(sample.regions.ids, regions.ids)
    assert set(sample.metainfo) == keys - {'other'} | {'point_columns'}
    assert ('gt_pts_seg' in sample) == has_labels
    if has_labels:
        np.testing.assert_array_equal(sample.gt_pts_seg.pts_semantic_mask,
                                      labels)


@given(st.dictionaries(NAMES, st.integers(0, 5), min_size=1), DTYPES)
def test_rows_of_frames_come_back(lengths, dtype):
    rng = np.random.default_rng(0)
    frames = {
        name:
        dict(
            matrix=rng.integers(0, 2, (rows, 3)).astype(dtype),
            vector=rng.integers(0, 99, rows))
        for name, rows in lengths.items()
    }
    content, columns = pack_frames(frames), ('matrix', 'vector')
    with TemporaryDirectory() as folder:
        Path(folder, 'scan.safetensors').write_bytes(content)
        rows = FrameRows(folder, columns, 'tool')
        assert rows.frames('scan') == list(frames)
        mapped = {name: rows.read('scan', name) for name in frames}
    read = unpack_frames(content, 'a', columns)
    assert list(read) == list(frames)
    for name, expected in frames.items():
        for column, values in expected.items():
            for found in (read, mapped):
                assert found[name][column].dtype == values.dtype
                np.testing.assert_array_equal(found[name][column], values)
