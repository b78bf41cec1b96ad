"""The loader's benchmark runs on a small data set and writes its result."""
import json

import pytest

from tests.datasets import frame_store
from tools.benchmarks import loader as benchmark


@pytest.mark.parametrize('collate', ['collate_frames', 'pseudo_collate'])
def test_result(tmp_path, capsys, collate):
    frame_store.write_data_set(tmp_path)
    file = tmp_path / 'folder' / 'result.json'
    benchmark.main([
        '--data',
        str(tmp_path), '--points', '100', '--batch-size', '4', '--frames', '9',
        '--workers', '0', '--collate', collate, '--json',
        str(file)
    ])
    result = json.loads(file.read_text())
    assert result['frames'] == 6 and list(result['workers']) == ['0']
    assert result['workers']['0']['frames_per_s'] > 0
    parts = result['parts']
    assert parts.pop('total_ms') == pytest.approx(
        sum(parts.values()), abs=0.01)
    assert {'LoadRGBDPoints_ms', 'LoadRegionTargets_ms'} < set(parts)
    assert '"frames_per_s"' in capsys.readouterr().out
