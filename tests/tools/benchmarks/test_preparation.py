"""The benchmark of preparation runs, on little."""
import json

import torch

from tools.benchmarks import preparation as benchmark_preparation


def test_everything_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark_preparation, 'ROOM', tmp_path / 'none')
    # Threads of this process are those of the other tests too.
    monkeypatch.setattr(torch, 'set_num_threads', lambda count: None)
    path = tmp_path / 'results.json'
    benchmark_preparation.main(
        ['--frames', '3', '--scans', '2', '--json',
         str(path)])
    results = json.loads(path.read_text())
    assert results['sens']['images'] == 'made'
    assert results['sens']['extract_per_second'] > 0
    assert results['manifests']['frames'] == 104
