"""The loader's benchmark runs on a small data set and writes its result."""
import json

import pytest
import torch

from tests.datasets import frame_store
from tools.benchmark import main


def test_result(tmp_path, capsys, monkeypatch):
    # Threads of this process are those of the other tests too.
    monkeypatch.setattr(torch, 'set_num_threads', lambda count: None)
    frame_store.write_data_set(tmp_path)
    file = tmp_path / 'folder' / 'result.json'
    main([
        'loader', '--data',
        str(tmp_path), '--points', '100', '--batch-size', '4', '--frames', '9',
        '--workers', '0', '--json',
        str(file)
    ])
    result = json.loads(file.read_text())
    assert result['frames'] == 6 and list(result['workers']) == ['0']
    assert result['workers']['0']['frames_per_s'] > 0
    parts = result['parts']
    assert parts.pop('total_ms') == pytest.approx(sum(parts.values()), rel=.01)
    assert {'LoadRGBDPoints_ms', 'LoadRegionTargets_ms'} < set(parts)
    assert '"frames_per_s"' in capsys.readouterr().out
