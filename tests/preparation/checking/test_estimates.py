"""What a step will cost: counted, measured, compared with the disk."""
import time

import pytest

from sam3d_plugin.preparation.checking import estimates
from sam3d_plugin.preparation.running.frame_steps import FrameStep, Product
from sam3d_plugin.preparation.running.runs import RunOptions, run_step
from sam3d_plugin.store.errors import FrameError, StoreError
from sam3d_plugin.store.shards import Shard

HERE = RunOptions(workers=0)


class Slow(FrameStep):
    """Items of 100 bytes that take 10 ms; the first call takes 200 more."""
    kind = 'slow'

    def __init__(self, batch_size=1, bad=()):
        self.batch_size = batch_size
        self.bad = bad
        self.calls = []

    def settings(self):
        return {}

    def scans(self):
        return ['a', 'b', 'c', 'd']

    def items(self, scan):
        if scan == 'c':
            raise FrameError('closed')
        return [f'{i}' for i in range(10)]

    def paths(self, scan, item):
        return [f'{scan}/{item}']

    def process(self, scan, items):
        if not self.calls:
            time.sleep(0.2)
        self.calls.append((scan, list(items)))
        return super().process(scan, items)

    def make(self, scan, item):
        time.sleep(0.01)
        if item in self.bad:
            raise FrameError(f'{item} is bad')
        return Product({self.paths(scan, item)[0]: b'x' * 100})


def sample_of(step, count=3, **options):
    items = estimates.list_items(step, HERE)
    return estimates.measure(
        step, estimates.choose_batches(items, count, step.batch_size),
        **options)


def test_start_is_not_counted_for_every_item():
    sample = sample_of(Slow())
    assert (sample.items, sample.skipped, sample.size) == (3, 0, 100)
    assert 0.01 <= sample.seconds < 0.06
    assert 0.15 < sample.start_seconds < 0.3
    assert sample.source == 'measured on 3 frames of this machine'


def test_skipped_items_of_the_sample_count_too():
    bad = [str(i) for i in range(0, 10, 2)]
    sample = sample_of(Slow(10, bad), 10)
    assert (sample.items, sample.skipped, sample.size) == (5, 5, 50)
    with pytest.raises(StoreError, match='no item of the sample .* is bad'):
        sample_of(Slow(bad=[str(i) for i in range(10)]))


def test_a_slow_step_is_sampled_as_often_as_time_allows():
    step = Slow()
    sample = sample_of(step, limit=0.01)
    assert len(step.calls) == sample.items == 1
    assert sample.start_seconds == 0


def test_hours_bytes_and_what_is_done(tmp_path):
    step = Slow()
    items = estimates.list_items(step, HERE)
    assert items['c'] == [] and len(items['a']) == 10
    run_step(step, tmp_path, RunOptions(Shard(0, 4), 0))
    assert estimates.count_done(items, tmp_path, None) == 10
    result = estimates.estimate(
        step, tmp_path, HERE, items,
        estimates.Sample(3, 0, 36.0, 72.0, 1e6, 'a test'))
    assert (result.items, result.done, result.left) == (30, 10, 20)
    assert result.device_hours == pytest.approx((20 * 36 + 72) / 3600)
    assert result.size == 20_000_000 and result.device == 'CPU'
    assert result.to_json()['hours'] == pytest.approx(result.hours)
    assert result.free == estimates.free_space(tmp_path / 'not' / 'there')


def test_a_shard_has_its_part():
    items = estimates.list_items(Slow(), RunOptions(Shard(1, 2)))
    assert sorted(items) == ['b', 'd']


def test_the_sample_is_spread_over_scans_and_kept_off_the_ends():
    items = {scan: [str(i) for i in range(9)] for scan in 'abcde'}
    batches = estimates.choose_batches(items, 3, 1)
    assert [scan for scan, _ in batches] == ['a', 'c', 'e']
    assert all(names[0] not in '08' for _, names in batches)
    one = estimates.choose_batches({'a': items['a'], 'b': []}, 3, 1)
    assert len({names[0] for _, names in one}) == 3
    batch, = estimates.choose_batches(items, 3, 8)
    assert len(batch[1]) == 3
    assert [len(n)
            for _, n in estimates.choose_batches(items, 16, 4)] == [4] * 4
    assert estimates.choose_batches({'a': ['0']}, 5, 2) == [('a', ['0'])]
    assert estimates.choose_batches({}, 3, 1) == []
    with pytest.raises(StoreError, match='there are no frames'):
        estimates.measure(Slow(), [])


def test_the_published_cost_is_called_so():
    sample = estimates.published_sam(123)
    assert sample.items == 0 and sample.source.startswith('published, not')
    assert estimates.SAM_SECONDS * 25000 / 3600 == pytest.approx(39, abs=0.5)
