"""The benchmark of pre-training runs on a small data set; its parts count
right."""
import json

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sam3d_plugin.experiments import result_tables as tables
from tests.datasets import frame_store
from tools.benchmark import main
from tools.benchmarks import measuring
from tools.benchmarks import pretraining as benchmark
from tools.benchmarks import pretraining_contrast as contrast
from tools.benchmarks import pretraining_ratios as ratios
from tools.benchmarks import pretraining_steps as steps

SMALL = """
_base_ = ['{config}']
body = dict(embed_dims=32, depth=1, num_heads=2)
model = dict(
    backbone=dict(
        embedding=dict(embed_dims=32, hidden_dims=(8, 16, 32)), encoder=body),
    decoder={decoder},
    {heads})
train_dataloader = dict(dataset=dict(ann_file=''))
"""


@pytest.fixture
def configs(tmp_path):
    """Both stages, small enough for a test."""
    parts = {
        1: ('body', 'head=dict(in_channels=32, out_channels=3)'),
        2: ('dict(transformer=body)',
            'global_head=dict(in_channels=32, out_channels=32)')
    }
    files = []
    for stage, (decoder, heads) in parts.items():
        base = benchmark.CONFIGS / f'stage{stage}_synthrooms_mini.py'
        files.append(tmp_path / f'stage{stage}.py')
        files[-1].write_text(
            SMALL.format(config=base, decoder=decoder, heads=heads))
    return [str(file) for file in files]


def make_contrast_small(monkeypatch):
    small = dict(points=300, frames=3, pairs=64, queries=8, queue=32)
    monkeypatch.setattr(contrast, 'SIZES', small)


@pytest.mark.parametrize('method, points', [('point_contrast', 1200),
                                            ('depth_contrast', 4096)])
def test_methods_on_two_views(method, points, tmp_path, monkeypatch):
    """Each view counts as a frame, and the parts are the whole step."""
    monkeypatch.setitem(benchmark.MATMUL_SIZE, 'cpu', 32)
    monkeypatch.setitem(benchmark.KNN['cpu'], 'num_tokens', 20)
    make_contrast_small(monkeypatch)
    frame_store.write_data_set(tmp_path)
    folder = measuring.ROOT / f'projects/{method}/configs'
    base = folder / f'{method}_mini.py'
    config = tmp_path / 'pairs.py'
    config.write_text(
        f"_base_ = ['{base}']\ntrain_dataloader = dict(dataset=dict("
        "ann_file=''))\nmodel = dict(backbone=dict("
        "embedding=dict(hidden_dims=(8, 16, 32))))")
    file = tmp_path / 'result.json'
    main([
        'pretraining', '--config',
        str(config), '--data',
        str(tmp_path), '--device', 'cpu', '--points', '1200', '--rounds', '1',
        '--dtype', 'fp32', '--json',
        str(file)
    ])
    result = json.loads(file.read_text())
    row = result['rows'][0]
    # Of a view, however many the loader reads.
    assert row['points'] == points
    assert row['samples_per_s'] == pytest.approx(2000 / row['step_ms'], 1e-2)
    assert row['parts_ms']['loss'] > 0 and row['parts_ms']['tokenize'] > 0
    assert row['parts_ms']['targets'] == 0 and not result['padding']
    names = [target['name'] for target in result['targets']]
    assert len(names) == 4 and 'InfoNCE of 64 pairs' in names[2]
    for key in ('pairs_ms', 'overlaps_s', 'info_nce_ms', 'queue_ms'):
        assert result['contrast'][key] > 0


def test_result(tmp_path, configs, capsys, monkeypatch):
    monkeypatch.setitem(benchmark.MATMUL_SIZE, 'cpu', 32)
    monkeypatch.setitem(benchmark.KNN['cpu'], 'num_tokens', 20)
    make_contrast_small(monkeypatch)
    frame_store.write_data_set(tmp_path)
    file = tmp_path / 'folder' / 'result.json'
    main([
        'pretraining', '--config', *configs, '--data',
        str(tmp_path), '--device', 'cpu', '--batch-size', '2', '--points',
        '160', '--rounds', '1', '--dtype', 'bf16', '--json',
        str(file)
    ])
    result = json.loads(file.read_text())
    rows = result['rows']
    assert [(r['stage'], r['tokenizer'][:3], r['dtype'])
            for r in rows] == [(f'stage {stage}', tokens, 'bf16')
                               for stage in (1, 2)
                               for tokens in ('sam', 'knn')]
    for row in rows:
        parts = row['parts_ms']
        assert tuple(parts) == steps.PARTS
        assert min(parts.values()) > 0
        assert sum(parts.values()) == pytest.approx(row['step_ms'], rel=.01)
        assert row['samples_per_s'] == pytest.approx(
            2000 / row['step_ms'], rel=.01)
        assert row['peak_memory_gb'] > 0.1
        assert row['matmul_share'] == pytest.approx(
            row['matmul_floor_ms'] / row['step_ms'], rel=.01)
    assert [entry['stage']
            for entry in result['padding']] == ['stage 1', 'stage 2']
    masking = result['masking']
    assert masking['token_ratio'] == pytest.approx(.4, abs=.1)
    assert masking['point_ratio'] == pytest.approx(.4, abs=.15)
    assert len(result['targets']) == 7
    assert 'encoder at mask ratio 0.6' in capsys.readouterr().out
    assert '| stage 2, knn 20×64, bf16, 2×160 |' in tables.pretraining_table(
        result)


def test_clock_shares_out_the_whole_step(monkeypatch):
    now = iter([0., 1., 1.5, 4., 10., 10.25, 12., 13.])
    monkeypatch.setattr(steps.time, 'perf_counter', lambda: next(now))
    clock = steps.StepClock('cpu')
    for _ in range(2):
        clock.begin()
        for part in ('data', 'other', 'other'):
            clock.mark(part)
    medians = clock.medians()
    assert medians['data'] == pytest.approx((1000 + 250) / 2)
    assert medians['other'] == pytest.approx((3000 + 2750) / 2)
    assert medians['step'] == pytest.approx((4000 + 3000) / 2)
    assert medians['backward'] == 0


class _Model(nn.Module):
    """A linear layer and an attention, whose operations are known."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 4)

    def data_preprocessor(self, data, training):
        return data

    def forward(self, x, mode):
        x = self.linear(x)
        return dict(loss=F.scaled_dot_product_attention(x, x, x).sum())

    def parse_losses(self, losses):
        return losses['loss'], losses


def test_flops_are_those_of_the_matrix_products():
    model = _Model()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    case = steps.Case(model, optimizer, 'cpu', 'fp32')
    rows, channels = 10, 4
    linear = 2 * rows * 8 * channels
    product = 2 * rows * rows * channels
    # no gradient of the input; two products forward, four backward
    expected = 2 * linear + 6 * product
    assert steps.count_flops(case, dict(x=torch.rand(1, rows, 8))) == expected


def test_matmul_rate_is_positive():
    assert steps.measure_matmul('cpu', 'bf16', 16, 2) > 0


def test_peak_memory_sees_what_was_freed():
    measuring.reset_peak('cpu')
    before = measuring.peak_bytes('cpu')
    torch.ones(50_000_000).sum()
    assert measuring.peak_bytes('cpu') - before > 1e8


def test_equal_counts_have_the_total_of_mixed_ones():
    mixed = ratios.mixed_counts(8, 20, 256)
    assert mixed[0] == 20 and mixed[-1] == 256
    assert (np.diff(mixed) > 0).all()
    equal = ratios.equal_counts(mixed)
    assert equal.sum() == mixed.sum() and np.ptp(equal) <= 1


def test_made_up_frames_have_equally_large_regions():
    batch = ratios.make_batch([3, 5], 60, 7)
    for points, sample, count in zip(batch['inputs']['points'],
                                     batch['data_samples'], (3, 5)):
        ids, sizes = points[:, 3].unique(return_counts=True)
        assert ids.tolist() == sample.regions.ids.tolist()
        assert len(ids) == count and np.ptp(sizes.numpy()) == 0
        assert sample.regions.features.shape == (count, 7)


def test_verdicts_of_the_full_size():
    row = dict(
        stage='stage 1',
        tokenizer='sam',
        dtype='bf16',
        batch_size=64,
        step_ms=100.,
        parts_ms=dict(data=10.),
        peak_memory_gb=11.)
    small = dict(row, batch_size=8)
    memory, waiting = benchmark.full_size_verdicts([row, small])
    assert memory['met'] and memory['measured'] == 11.
    assert not waiting['met'] and waiting['measured'] == pytest.approx(.1)


def test_loader_table():
    results = dict(
        points=20000,
        batch_size=16,
        workers={
            '0': dict(frames_per_s=80.4, main_ms=12.4),
            '2': dict(frames_per_s=160., main_ms=.1)
        },
        machine=dict(cores=2))
    text = tables.loader_table(results)
    assert '| the training process | 80 | 12.40 |' in text
    assert '| 2 workers | 160 | 0.10 |' in text


def test_costs_of_clouds_are_told_beside_those_of_point_mae():
    row = dict(
        stage='PointMAE',
        config='point_mae_mini',
        tokenizer='knn 64×64',
        samples_per_s=20.,
        step_ms=100.,
        parts_ms=dict(data=25.),
        peak_memory_gb=1.25)
    # Two views of a frame are two clouds in a step that is twice as long.
    views = dict(row, stage='CSC', config='csc_mini', samples_per_s=10.)
    text = tables.method_steps_table(
        dict(rows=[views, row], machine=dict(device='cpu')))
    assert '| `csc_mini` | knn 64×64 | 10 | 100 | 2.00 | 25% | 1.2 |' in text
    assert '| `point_mae_mini` | knn 64×64 | 20 | 50 | 1.00 | 25% |' in text
