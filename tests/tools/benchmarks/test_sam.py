"""The comparison with stock SAM runs on a tiny one and writes its result."""
import json

import numpy as np
import pytest
import torch

from tools.benchmark import main
from tools.benchmarks import sam as benchmark


def test_result(tmp_path, capsys):
    file = tmp_path / 'folder' / 'result.json'
    torch.manual_seed(0)  # Some random weights find no region
    main([
        'sam', '--quick', '--frames', '3', '--batch-size', '2',
        '--points-per-side', '3', '--json',
        str(file)
    ])
    result = json.loads(file.read_text())
    sam = result['sam']
    assert sam['frames'] == len(sam['regions']) == 3
    assert sam['model'] == 'custom' and sam['weights'] == 'random'
    assert min(sam['regions']) >= 1 and sam['stock_s'] > 0
    ours = sam['ours']
    assert max(ours['differing_pixels']) < 50
    assert ours['speed_ratio'] == pytest.approx(
        sam['stock_s'] / ours['s'], rel=.01)
    assert result['machine']['device'] == 'cpu'
    assert '"speed_ratio"' in capsys.readouterr().out


def test_other_maps_are_noticed():
    images = [np.full((2, 3, 3), i, np.uint8) for i in range(3)]

    def stock(image):
        return np.ones((2, 3), np.uint16)

    def ours(batch):
        return [
            np.where(image[..., 0] == 1, 2, 1).astype(np.uint16)
            for image in batch
        ]

    wrong = benchmark.compare(stock, ours, images, 2, 'cpu')
    assert wrong['ours']['differing_pixels'] == [0, 6, 0]
    assert not wrong['ours']['are_maps_equal']
    assert wrong['regions'] == [1, 1, 1]
    right = benchmark.compare(stock, lambda batch: list(map(stock, batch)),
                              images, 2, 'cpu')
    assert right['ours']['are_maps_equal']
