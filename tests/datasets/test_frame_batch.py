"""Tests of batches on their way from a worker."""
import copy
import pickle
from multiprocessing.reduction import ForkingPickler

import torch
from mmdet3d.structures import Det3DDataSample
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData

from sam3d_plugin.datasets.frame_batch import FrameBatch, collate_frames


def make_samples(counts=(3, 1, 5)):
    samples = []
    for i, count in enumerate(counts):
        sample = Det3DDataSample(metainfo=dict(scan='a', frame=str(i)))
        sample.regions = InstanceData(
            ids=torch.arange(count), features=torch.rand(count, 4))
        points = torch.rand(8 + i, 6)[:, ::2]
        samples.append(dict(inputs=dict(points=points), data_samples=sample))
    return samples


def test_a_sent_batch_is_what_pseudo_collate_makes():
    samples = make_samples()
    batch = collate_frames(samples)
    assert dict(batch) == pseudo_collate(samples)
    # What a worker's queue does.
    sent = pickle.loads(bytes(ForkingPickler.dumps(batch)))
    assert type(sent) is FrameBatch and set(sent) == set(batch)
    for sample, points, received in zip(samples, sent['inputs']['points'],
                                        sent['data_samples']):
        assert torch.equal(points, sample['inputs']['points'])
        expected = sample['data_samples']
        assert received.metainfo == expected.metainfo
        assert torch.equal(received.regions.ids, expected.regions.ids)
        assert torch.equal(received.regions.features,
                           expected.regions.features)


def test_all_tensors_are_sent_as_one():
    sent = pickle.loads(
        bytes(ForkingPickler.dumps(collate_frames(make_samples()))))
    tensors = [*sent['inputs']['points']]
    for sample in sent['data_samples']:
        tensors += [sample.regions.ids, sample.regions.features]
    assert all(t.is_contiguous() for t in tensors)
    places = sorted((t.data_ptr(), t.nbytes) for t in tensors)
    gaps = [b - a - size for (a, size), (b, _) in zip(places, places[1:])]
    assert all(0 <= gap < 16 for gap in gaps)
    assert all(t.data_ptr() % 8 == 0 for t in tensors)


def test_a_copy_shares_the_tensors():
    batch = collate_frames(make_samples())
    other = copy.copy(batch)
    assert type(other) is FrameBatch and other is not batch
    assert other['inputs'] is batch['inputs']


def test_batches_without_tensors_or_with_empty_ones():
    batch = FrameBatch(a=[1, 'b'])
    assert pickle.loads(pickle.dumps(batch)) == dict(a=[1, 'b'])
    sent = pickle.loads(
        bytes(ForkingPickler.dumps(FrameBatch(a=torch.zeros(0, 4)))))
    assert sent['a'].shape == (0, 4)


def test_tensors_that_numpy_does_not_know():
    batch = FrameBatch(
        a=torch.ones(2, dtype=torch.bfloat16),
        b=torch.ones(3, requires_grad=True))
    sent = pickle.loads(pickle.dumps(batch))
    assert sent['a'].dtype == torch.bfloat16 and sent['a'].sum() == 2
    assert sent['b'].sum() == 3
