"""The benchmark of voxels runs, and compares what computes the same."""
import json

import pytest
import torch

from sam3d_plugin.experiments import result_tables
from tools.benchmark import main
from tools.benchmarks import voxels as benchmark


def test_figures(tmp_path, capsys):
    file = tmp_path / 'result.json'
    main(['voxels', '--quick', '--rounds', '1', '--json', str(file)])
    result = json.loads(file.read_text())
    assert result['points'] == 1000 and result['spconv']
    assert len(result['layers']) == len(benchmark.LAYERS)
    for layer in result['layers']:
        times = layer['both_ms']
        assert 0 < layer['forward_ms']['ours'] and 0 < times['ours']
        assert times.keys() <= {'ours', 'dense', 'spconv'}
        assert layer['pairs'] >= layer['voxels'] > 1
    (step, ) = result['steps']
    assert 0 < step['wall_s'] and step['parameters'] < 3e6
    table = result_tables.voxels_table(result)
    assert '10 cm, 256 channels' in table and 'a quarter as wide' in table
    assert 'Res16UNet34C' in capsys.readouterr().out


@pytest.mark.parametrize('kernel', [2, 3])
def test_what_is_compared_computes_the_same(kernel):
    points = benchmark.frame_points(800)
    layer = benchmark.build_layer(points, .1, 4, kernel)
    found = benchmark.ours(layer)()
    grid = layer.grid if kernel == 3 else layer.grid.coarser()[0]
    places = layer.grid.coordinates
    first = places.amin(0).div(2, rounding_mode='floor')
    first = first * 2 if kernel == 3 else first
    dense = benchmark.dense(layer)()[0].permute(1, 2, 3, 0)
    torch.testing.assert_close(found,
                               dense[(grid.coordinates - first).unbind(1)])
    spconv, _ = benchmark.import_spconv()
    if spconv is not None:  # its rows may be in another order
        theirs = benchmark.with_spconv(layer, spconv)()
        torch.testing.assert_close(found.sort(0).values, theirs.sort(0).values)


def test_a_box_that_is_too_large_is_left_out(monkeypatch):
    layer = benchmark.build_layer(benchmark.frame_points(800), .1, 4, 3)
    monkeypatch.setattr(benchmark, 'MOST_DENSE', 100)
    assert benchmark.dense(layer) is None
