"""The comparison with stock SAM runs on a tiny one and writes its result."""
import json

import numpy as np
import pytest

from tools.analysis import benchmark_sam as benchmark


def test_result(tmp_path, capsys):
    file = tmp_path / 'folder' / 'result.json'
    benchmark.main([
        '--quick', '--frames', '3', '--batch-size', '2', '--points-per-side',
        '3', '--json',
        str(file)
    ])
    result = json.loads(file.read_text())
    sam = result['sam']
    assert sam['frames'] == len(sam['regions']) == 3
    assert sam['model'] == 'custom' and sam['weights'] == 'random'
    assert min(sam['regions']) >= 1 and max(sam['differing_pixels']) < 50
    assert sam['speed_ratio'] == pytest.approx(sam['stock_s'] / sam['ours_s'])
    assert result['machine']['device'] == 'cpu'
    assert 'sam speed_ratio' in capsys.readouterr().out


def test_other_maps_are_noticed():
    images = [np.full((2, 3, 3), i, np.uint8) for i in range(3)]

    def stock(image):
        return np.ones((2, 3), np.uint16)

    def ours(batch):
        return [
            np.where(image[..., 0] == 1, 2, 1).astype(np.uint16)
            for image in batch
        ]

    result = benchmark.compare(stock, ours, images, 2, 'cpu')
    assert result['differing_pixels'] == [0, 6, 0]
    assert not result['are_maps_equal'] and result['regions'] == [1, 2, 1]
