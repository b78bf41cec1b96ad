"""The benchmark of preparation runs, on little."""
import json

import torch

from tools.benchmark import main


def test_everything_is_measured(tmp_path, monkeypatch):
    # Threads of this process are those of the other tests too.
    monkeypatch.setattr(torch, 'set_num_threads', lambda count: None)
    path = tmp_path / 'results.json'
    main(['preparation', '--quick', '--json', str(path)])
    results = json.loads(path.read_text())
    assert results['sens']['extract_per_second'] > 0
    assert results['manifests']['frames'] == 104
